//! A mistake stops the start with one line that says what is wrong, with what, and what is allowed.

use crate::support::hub::{Hub, Start};
use crate::support::token;

/// The one line with which `start` is refused.
async fn refused(start: Start) -> String {
    start.says().await.failure(2).to_owned()
}

#[tokio::test]
async fn a_wrong_value_of_a_variable_is_named_with_what_is_allowed() {
    for (variable, value) in [
        ("REAL_TIME_ENABLED", "yes"),
        ("REAL_TIME_UPDATE_INTERVAL", "0"),
        ("REAL_TIME_HEARTBEAT_INTERVAL", "30s"),
        ("REAL_TIME_CLEANUP_INTERVAL", "-1"),
        ("REAL_TIME_BUFFER_FLUSH_INTERVAL", "1.5"),
        ("WEBSOCKET_ENABLED", "on"),
        ("WEBSOCKET_PATH", "/metrics"),
        ("WEBSOCKET_PING_INTERVAL", "86400001"),
        ("MAX_CONNECTIONS_PER_USER", "0"),
        ("MAX_BUFFER_SIZE", "many"),
        ("CONNECTION_TIMEOUT", "30m"),
        ("HOST", "http://127.0.0.1"),
        ("PORT", "65536"),
        ("RUST_LOG", "statshub=loud"),
    ] {
        let line = refused(Hub::with().env(variable, value)).await;
        let says = line.strip_prefix(&format!("statshub: {variable} is "));
        let (is, allowed) = says
            .and_then(|it| it.split_once("; allowed is "))
            .expect(&line);
        assert_eq!(is.trim_matches('"'), value, "{line}");
        assert!(!allowed.is_empty(), "{line}");
    }
}

#[tokio::test]
async fn a_wrong_value_that_may_be_a_secret_is_named_and_not_shown() {
    let pem = std::fs::read_to_string(token::public_key("rsa_a")).expect("a key");
    for (variable, value) in [
        ("JWT_SECRET", "CANARY"),
        ("JWT_SECRET", &*"CANARY".repeat(6)),
        ("JWT_SECRET", &pem),
        ("DATABASE_URL", "oracle://ada:CANARY@db/x"),
        ("DATABASE_URL", "CANARY"),
    ] {
        let line = refused(Hub::with().env(variable, value)).await;
        assert!(
            line.contains(variable) && line.contains("; allowed is "),
            "{line}"
        );
        assert!(
            !line.contains("CANARY") && !line.contains("BEGIN PUBLIC"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_mistake_in_the_file_is_named_as_it_stands_there() {
    let source = "[[source]]\nmetric = \"a\"\nkind";
    for (config, expected) in [
        (
            "[http]\nport = \"3001\"".to_owned(),
            "http.port is \"3001\"; allowed is ",
        ),
        (
            "[http]\nprot = 3001".to_owned(),
            "unknown key http.prot; the nearest known one is http.port",
        ),
        (
            "[htpp]\nport = 1".to_owned(),
            "unknown key htpp; the nearest known one is http",
        ),
        ("[http\n".to_owned(), "config.toml:1: "),
        ("\n\n[http]\nport = = 1".to_owned(), "config.toml:4: "),
        (
            "[http]\nallowed_origins = [\"*\"]".to_owned(),
            "http.allowed_origins is [\"*\"]; allowed is ",
        ),
        (
            format!("{source} = \"hots\""),
            "source.1.kind is \"hots\"; allowed is ",
        ),
        (
            format!("{source} = \"host\"\nquery = \"SELECT 1\""),
            "source.1.query is set, but ",
        ),
        (
            format!("{source} = \"http\"\nurl = \"http://h/${{NOT_THERE}}\""),
            "source.1.url needs the environment variable NOT_THERE",
        ),
        (
            format!("{source} = \"hub\"\n{source} = \"hub\""),
            "source.2.metric",
        ),
        (
            "[auth]\nsecret = \"short\"".to_owned(),
            "auth.secret is \"***\"; allowed is ",
        ),
        (
            "[prometheus]\ntoken = \"short\"".to_owned(),
            "prometheus.token is \"***\"; allowed is ",
        ),
    ] {
        let line = refused(Hub::with().config(&config)).await;
        assert!(line.contains(expected), "{expected:?} is not in {line:?}");
        assert!(!line.contains("short"), "a secret is shown: {line}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let line = refused(Hub::with().arg("--config").arg("nowhere.toml")).await;
    assert!(line.contains("nowhere.toml cannot be read"), "{line}");
    let line = refused(Hub::with().arg("--config").arg(".")).await;
    assert!(line.contains("cannot be read"), "{line}");
    // A relative one is looked for where the program runs.
    let start = Hub::with().file("hub.toml", "[audit]\nenabled = false");
    start
        .arg("--config")
        .arg("hub.toml")
        .start()
        .await
        .stop()
        .await;
}

#[tokio::test]
async fn every_command_that_goes_by_the_settings_refuses_wrong_ones() {
    for words in [
        &[][..],
        &["serve"],
        &["--dev"],
        &["demo"],
        &["check-config"],
        &["check-token", "x"],
        &["token", "--user", "ada"],
    ] {
        let start = Hub::with().config("[http]\nprot = 1");
        let line = refused(words.iter().fold(start, |it, word| it.arg(word))).await;
        assert!(line.contains("unknown key http.prot"), "{words:?} {line}");
    }
}
