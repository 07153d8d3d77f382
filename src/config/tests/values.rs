//! What is allowed, and what is said where something else was written.

use proptest::prelude::*;

use super::*;

#[test]
fn an_error_is_one_line_that_says_what_is_allowed() {
    let check = |text: &str, line: &str| assert_eq!(load(text, &[]).unwrap_err(), line);
    check(
        "[sessions]\ntimeout_ms = 0",
        "sessions.timeout_ms is 0; allowed is a whole number of milliseconds from 1 to 604800000",
    );
    check(
        "[http]\nport = \"3001\"",
        "http.port is \"3001\"; allowed is a whole number from 0 to 65535",
    );
    check(
        "[realtime]\nenabled = 1",
        "realtime.enabled is 1; allowed is true or false",
    );
    check(
        "[http]\nallowed_origins = [\"*\"]",
        "http.allowed_origins is [\"*\"]; allowed is a list, each an exact origin such as https://admin.example.org or http://localhost:5173, never *",
    );
    check(
        "[auth]\npermitted_roles = []",
        "auth.permitted_roles is []; allowed is a list that is not empty, each a text of 1 to 256 bytes without control characters",
    );
    check(
        "[http]\nprot = 1",
        "unknown key http.prot; the nearest known one is http.port",
    );
    check(
        "[websocket]\ntimeout_ms = 1",
        "unknown key websocket.timeout_ms; the nearest known one is webhook.timeout_ms",
    );
    check(
        "[htpp]\nport = 1",
        "unknown key htpp; the nearest known one is http",
    );
    check(
        "port = 1",
        "unknown key port; the nearest known one is http.port",
    );
    check(
        "http = 1",
        "http is of type integer; allowed is a table, written below [http]",
    );
    check(
        "[source]\nmetric = \"a\"",
        "source is of type table; allowed is a list of tables, each written below [[source]]",
    );
    check(
        "[http]\n\nport = = 1",
        "config.toml:3: extra `=`, expected nothing",
    );
    check(
        "[http]\n\"a\\nb\" = 1",
        "unknown key http.a\\nb; the nearest known one is http.port",
    );
    check(
        "[realtime]\nreconnect_spread_min_ms = 6000",
        "realtime.reconnect_spread_max_ms is 5000; allowed is at least realtime.reconnect_spread_min_ms, which is 6000",
    );
    check(
        "[http]\nbody_bytes_max = 2048",
        "http.message_bytes_max is 65536; allowed is at most http.body_bytes_max, which is 2048",
    );
    let long = format!("[log]\nfilter = \"x={}\"", "y".repeat(5000));
    assert!(load(&long, &[]).unwrap_err().len() < 200);
}

/// Attack: reading answers from a page of another origin.
#[test]
fn origins_are_exact() {
    let check = |origin: &str, good| {
        let text = format!("[http]\nallowed_origins = [{origin:?}]");
        assert_eq!(load(&text, &[]).is_ok(), good, "{origin}");
    };
    for good in [
        "https://a.example",
        "http://localhost:5173",
        "http://[::1]:8080",
    ] {
        check(good, true);
    }
    for bad in [
        "*",
        "null",
        "https://*.a.example",
        "https://a.example/",
        "https://a.example:443",
        "HTTPS://a.example",
        "a.example",
        "ftp://a.example",
        "",
    ] {
        check(bad, false);
    }
}

#[test]
fn proxies_are_addresses_or_networks() {
    let settings = load("[http]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]", &[]).unwrap();
    let shown: Vec<_> = settings
        .http
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(shown, ["10.0.0.0/8", "::1/128"]);
    assert!(load("[http]\ntrusted_proxies = [\"proxy\"]", &[]).is_err());
}

/// Something that looks like a file of ours, so that more than its first line is reached.
fn file() -> impl Strategy<Value = String> {
    let keys: Vec<_> = known_keys().iter().map(|key| key.name.clone()).collect();
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        Just("\"${HOME}\"".to_owned()),
        Just("[\"a\", 1]".to_owned()),
        Just("{ a = 1 }".to_owned()),
        "\\PC{0,20}",
        "\"[ -~&&[^\"\\\\]]{0,40}\"",
    ];
    let line = (prop::sample::select(keys), value).prop_map(|(key, value)| {
        let list = ["metric.", "source.", "aggregate."]
            .iter()
            .any(|list| key.starts_with(list));
        let (section, key) = key.split_once('.').unwrap_or_default();
        match list {
            true => format!("[[{section}]]\n{key} = {value}\n"),
            false => format!("{section}.{key} = {value}\n"),
        }
    });
    prop::collection::vec(line, 0..4).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn no_text_panics_the_loader_and_every_error_is_one_line(
        text in prop_oneof!["(?s).{0,200}", file()],
        variable in prop::sample::select(VARIABLES.map(|(variable, _)| variable).to_vec()),
        value in "(?s).{0,40}",
    ) {
        if let Err(line) = load(&text, &[(variable, &value)]) {
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            prop_assert!(line.len() < 1000, "{line:?}");
        }
    }
}
