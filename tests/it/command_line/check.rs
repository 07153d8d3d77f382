//! `check-token`, `check-config` and `health`: answers about a token, the settings and a hub, and the
//! exit code for a script to go by.

use std::time::Duration;

use toml::Table;

use super::{command, nobody};
use crate::support::hub::Hub;
use crate::support::{eventually, token};

#[tokio::test]
async fn a_token_is_judged_from_standard_input() {
    let expired =
        token::sign(&serde_json::json!({"sub": "ada", "role": "platform_admin", "exp": 1}));
    let guest = token::token("gus", "guest", Duration::from_secs(60));
    let foreign = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    for (input, code, expected) in [
        (
            token::admin("ada"),
            0,
            "taken: user ada may use everything, until ",
        ),
        (
            token::service("job") + "\n",
            0,
            "taken: user job may publish and nothing else, until ",
        ),
        (
            format!("  Bearer {}\r\n", token::admin("ada")),
            0,
            "taken: ",
        ),
        (expired, 1, "refused: "),
        (
            guest,
            1,
            "refused: the token is good, but its role is none of the permitted ones: \"guest\"",
        ),
        (foreign.to_owned(), 1, "refused: "),
        ("garbage".to_owned(), 1, "refused: "),
        (String::new(), 1, "refused: "),
        ("x".repeat(100_000), 1, "refused: "),
    ] {
        let said = command(&["check-token", "@-"]).answers(&input).await;
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.stdout.starts_with(expected), "{expected:?} {said:?}");
        assert_eq!(
            (said.stdout.lines().count(), &*said.stderr),
            (1, ""),
            "{said:?}"
        );
        assert!(!said.stdout.contains("eyJ"), "{said:?}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_read_or_judged_is_one_line() {
    let said = command(&["check-token", "@/nowhere/token"]).says().await;
    assert!(said.failure(1).contains("/nowhere/token"), "{said:?}");
    let jwt = token::admin("ada");
    let said = command(&["check-token", &jwt])
        .without_env("JWT_SECRET")
        .says()
        .await;
    let line = said.failure(2);
    assert!(
        line.contains("JWT_SECRET") && !line.contains(&jwt),
        "{line}"
    );
}

#[tokio::test]
async fn the_settings_in_force_are_printed_as_a_file_and_without_a_secret() {
    let config = "[http]\nallowed_origins = [\"https://a.example\"]\n\
        [prometheus]\ntoken = \"CANARY0123456789\"\n\
        [[metric]]\nname = \"users.**\"\nretain = \"latest\"\n\
        [[source]]\nmetric = \"web\"\nkind = \"http\"\n\
        url = \"http://CANARY:CANARY@127.0.0.1/x?key=CANARY\"\nheaders = { x-key = \"${CANARY_KEY}\" }\n\
        [[source]]\nmetric = \"db\"\nkind = \"sql\"\nquery = \"SELECT 1\"\n";
    let said = command(&["check-config"])
        .env("JWT_SECRET", "CANARY-0123456789-abcdefghij-klmnop")
        .env("CANARY_KEY", "CANARY")
        .env(
            "DATABASE_URL",
            "postgres://CANARY:CANARY@127.0.0.1/db?password=CANARY",
        )
        .env("MAX_BUFFER_SIZE", "7")
        .env("RUST_LOG", "trace")
        .config(config)
        .says()
        .await;
    let text = said.result();
    assert_eq!(said.stderr, "");
    assert!(!text.contains("CANARY"), "{text}");
    let settings: Table = text.parse().expect("settings as a file has them");
    assert_eq!(
        settings["sessions"]["backlog_messages_max"].as_integer(),
        Some(7)
    );
    assert_eq!(
        settings["http"]["allowed_origins"][0].as_str(),
        Some("https://a.example")
    );
    assert_eq!(settings["metric"][0]["name"].as_str(), Some("users.**"));
    assert_eq!(settings["source"][1]["query"].as_str(), Some("SELECT 1"));
    for (section, key) in [("auth", "secret"), ("prometheus", "token")] {
        assert_eq!(
            settings[section][key].as_str(),
            Some("***"),
            "it is set, that much is said"
        );
    }
}

#[tokio::test]
async fn wrong_settings_are_one_line_and_nothing_is_printed() {
    let said = command(&["check-config"])
        .config("[http]\nport = 70000")
        .says()
        .await;
    let line = said.failure(2);
    assert!(line.contains("http.port is 70000; allowed is "), "{line}");
    let said = command(&["check-config", "--config", "nowhere.toml"])
        .says()
        .await;
    assert!(said.failure(2).contains("nowhere.toml"), "{said:?}");
}

#[tokio::test]
async fn a_hub_is_asked_how_it_is_by_its_own_settings() {
    let source = "[[source]]\nmetric = \"web\"\nkind = \"http\"\nurl = \"http://127.0.0.1:1/\"";
    for (config, expected) in [("", "healthy"), (source, "degraded")] {
        let hub = Hub::with().config(config).start().await;
        let port = hub.port().to_string();
        eventually(expected, async || {
            let said = command(&["health"]).env("PORT", &port).says().await;
            (said.result() == expected).then_some(())
        })
        .await;
        // From a machine that has no settings at all.
        let url = hub.url("");
        let said = command(&["health", "--url", &url])
            .without_env("JWT_SECRET")
            .says()
            .await;
        assert_eq!((said.result(), &*said.stderr), (expected, ""));
    }
}

#[tokio::test]
async fn a_hub_that_is_away_is_not_healthy() {
    let url = format!("http://{}", nobody().await);
    let said = command(&["health", "--url", &url]).says().await;
    assert!(said.failure(1).contains(&url), "{said:?}");
}
