//! Defaults, file, environment, flags: which goes over which.

use std::path::Path;

use super::*;

#[test]
fn variables_go_over_their_keys() {
    const INTERVAL: (&[&str], &[&str]) = (
        &["1", "50", "86400000"],
        &["0", "-1", "1.5", "86400001", "30s", " 1", "true"],
    );
    const FLAG: (&[&str], &[&str]) = (&["true", "false", "1", "0"], &["yes", "TRUE", "2", "on"]);
    let check = |variable: &str, (good, bad): (&[&str], &[&str])| {
        let (_, key) = VARIABLES
            .iter()
            .find(|(known, _)| *known == variable)
            .unwrap();
        let key = key.unwrap();
        let default = load("", &[]).unwrap();
        for text in good {
            let shown = match (*text, FLAG.0 == good) {
                ("1", true) => "true",
                ("0", true) => "false",
                (text, _) => text,
            };
            let settings = load("", &[(variable, text)]).unwrap();
            assert_eq!(
                at(&settings, key).trim_matches('"'),
                shown,
                "{variable}={text}"
            );
        }
        for text in bad {
            let error = load("", &[(variable, text)]).unwrap_err();
            let begins = format!("{variable} is ");
            assert!(
                error.starts_with(&begins) && error.contains("; allowed is "),
                "{error}"
            );
        }
        assert_eq!(
            load("", &[(variable, "")]).unwrap(),
            default,
            "{variable} empty"
        );
    };
    check("REAL_TIME_ENABLED", FLAG);
    check("REAL_TIME_UPDATE_INTERVAL", INTERVAL);
    check("REAL_TIME_HEARTBEAT_INTERVAL", INTERVAL);
    check("REAL_TIME_CLEANUP_INTERVAL", INTERVAL);
    check("REAL_TIME_BUFFER_FLUSH_INTERVAL", INTERVAL);
    check("WEBSOCKET_ENABLED", FLAG);
    check(
        "WEBSOCKET_PATH",
        (
            &["/ws", "/api/admin/analytics/ws_2.x"],
            &[
                "ws",
                "/",
                "//",
                "/a//b",
                "/ws/",
                "/ws?x=1",
                "/ws#x",
                "/w s",
                "/{id}",
                "/a/../b",
                "/é",
                "/api/health",
                "/metrics",
                "/api/admin/analytics/stream",
            ],
        ),
    );
    check("WEBSOCKET_PING_INTERVAL", INTERVAL);
    check(
        "MAX_CONNECTIONS_PER_USER",
        (&["1", "1000"], &["0", "-5", "five"]),
    );
    check(
        "MAX_BUFFER_SIZE",
        (&["1", "1000000"], &["0", "1000001", "1e3"]),
    );
    check(
        "CONNECTION_TIMEOUT",
        (&["1", "604800000"], &["0", "604800001", "30m"]),
    );
    check(
        "HOST",
        (
            &["0.0.0.0", "::", "::1", "localhost", "hub-1.example.org"],
            &["a b", "host:80", "http://x", "[::1]"],
        ),
    );
    check(
        "PORT",
        (
            &["0", "65535"],
            &["-1", "65536", "http", "99999999999999999999"],
        ),
    );
    check(
        "RUST_LOG",
        (
            &[
                "info",
                "OFF",
                "warn,statshub=debug,statshub::access=",
                "actix_web",
                "debug/GET",
            ],
            &[
                "statshub=loud",
                " ",
                "a=b=c",
                "inof",
                "warning",
                "=,=",
                "warn;debug",
                "info,",
            ],
        ),
    );
}

#[test]
fn every_variable_with_a_key_has_a_known_one() {
    for (variable, key) in VARIABLES {
        let known = |key| known_keys().iter().any(|known| known.name == key);
        assert!(key.is_none_or(known), "{variable}");
    }
    assert_eq!(VARIABLES.len(), 22);
}

#[test]
fn later_layers_go_over_earlier_ones() {
    let file = "[http]\nport = 1\nhost = \"127.0.0.2\"\n[log]\nfilter = \"warn\"";
    let variables = environment(&[("JWT_SECRET", SECRET), ("PORT", "2"), ("HOST", "127.0.0.3")]);
    let flags = Overrides {
        port: Some(3),
        ..Overrides::default()
    };
    let of = |text, variables, flags| {
        let settings = parse(text, variables, flags).unwrap();
        (settings.http.port, settings.http.host, settings.log.filter)
    };
    let secret_only = environment(&[("JWT_SECRET", SECRET)]);
    let none = Overrides::default();
    assert_eq!(
        of("", &secret_only, &none),
        (3001, "127.0.0.1".into(), "info".into())
    );
    assert_eq!(
        of(file, &secret_only, &none),
        (1, "127.0.0.2".into(), "warn".into())
    );
    assert_eq!(
        of(file, &variables, &none),
        (2, "127.0.0.3".into(), "warn".into())
    );
    assert_eq!(
        of(file, &variables, &flags),
        (3, "127.0.0.3".into(), "warn".into())
    );
}

#[test]
fn a_named_file_must_be_there_and_the_usual_one_need_not() {
    let directory = tempfile::tempdir().unwrap();
    let named = directory.path().join("hub.toml");
    let error = Settings::load(Some(&named), &BTreeMap::new(), &Overrides::default()).unwrap_err();
    assert!(
        error.to_string().contains("hub.toml cannot be read: "),
        "{error}"
    );
    let usual = |directory: &Path| written::read_file(None, directory).unwrap().1;
    assert_eq!(usual(directory.path()), "");
    std::fs::write(directory.path().join("config.toml"), "[http]").unwrap();
    assert_eq!(usual(directory.path()), "[http]");
    std::fs::write(&named, [0xff, 0xfe]).unwrap();
    let error = Settings::load(Some(&named), &BTreeMap::new(), &Overrides::default()).unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[test]
fn where_redis_is_comes_from_the_environment_and_is_never_shown() {
    let settings = load("", &[("REDIS_URL", "redis://:hunter2@cache:6379")]).unwrap();
    let url = settings.redis.url.clone().unwrap();
    assert_eq!(url.password.as_deref(), Some("hunter2"));
    let shown = settings.masked();
    assert!(
        shown.contains("redis://***@cache:6379") && !shown.contains("hunter2"),
        "{shown}"
    );
    let error = load("", &[("REDIS_URL", "http://:hunter2@cache")]).unwrap_err();
    assert!(
        error.starts_with("REDIS_URL is \"***\"; allowed is redis://"),
        "{error}"
    );
    let alone = load("", &[("REDIS_URL", "")]).unwrap();
    assert_eq!(alone.redis.url, None);
}

#[test]
fn the_database_of_the_environment_is_the_store_of_several_hubs_only() {
    let check = |text: &str, redis: &str, database: &str, expected: Option<&str>| {
        let settings = load(text, &[("REDIS_URL", redis), ("DATABASE_URL", database)]).unwrap();
        assert_eq!(settings.store.url.as_deref(), expected, "{text} {redis}");
    };
    let (redis, database) = ("redis://cache", "postgres://db/x");
    check("", redis, database, Some(database));
    check("", redis, "mysql://db/x", None);
    check("", "", database, None);
    check("[store]\ndurability = \"memory\"", redis, database, None);
    let other = "[store]\nurl = \"postgres://other/x\"";
    check(other, redis, database, Some("postgres://other/x"));
    check(other, "", "", Some("postgres://other/x"));
    let error = load(&format!("{other}\ndurability = \"memory\""), &[]).unwrap_err();
    assert!(
        error.starts_with("store.durability is \"memory\""),
        "{error}"
    );
}
