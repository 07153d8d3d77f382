//! What is printed, and what a reload finds.

use super::*;

/// Everything that can hold a secret holds this word.
const SECRETS: &str = "
    [auth]
    secret = \"hunter2-3b1c09d5e7a4826b0c1d2e3f4\"
    [prometheus]
    token = \"hunter2-0123456789\"
    [store]
    url = \"postgres://hub:hunter2@store/x\"
    [[source]]
    metric = \"a\"
    kind = \"sql\"
    url = \"postgres://hub:hunter2@db/x?sslpassword=hunter2\"
    query = \"SELECT 1\"
    [[source]]
    metric = \"b\"
    kind = \"http\"
    url = \"https://hunter2@x/y?key=hunter2&other=hunter2\"
    headers = { Authorization = \"Bearer hunter2\" }
    [[source]]
    metric = \"c\"
    kind = \"redis\"
    url = \"rediss://hub:hunter2@cache/1\"
    key = \"k\"
    [[outbox]]
    name = \"d\"
    url = \"postgres://hub:hunter2@out/x\"";

#[test]
fn secrets_are_masked_wherever_settings_are_shown() {
    let settings = load_alone(SECRETS).unwrap();
    let masked = settings.masked();
    for shown in [&masked, &format!("{settings:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for wanted in [
        "secret = \"***\"",
        "token = \"***\"",
        "postgres://***@db/x?sslpassword=***",
        "postgres://***@store/x",
        "https://***@x/y?key=***&other=***",
        "Authorization = \"***\"",
        "rediss://***@cache:6379/1",
        "postgres://***@out/x",
    ] {
        assert!(masked.contains(wanted), "{wanted} in {masked}");
    }
    let jwks = load_alone("[auth]\njwks_url = \"https://u:hunter2@id/\"").unwrap();
    assert!(!format!("{jwks:?} {}", jwks.masked()).contains("hunter2"));
}

#[test]
fn errors_do_not_repeat_secrets() {
    for text in [
        "[auth]\nsecret = \"hunter2\"",
        "[auth]\nsecret = [\"hunter2\"]",
        "[auth]\nsecret = { a = \"hunter2\" }",
        "[auth]\njwks_url = \"hunter2\"",
        "[prometheus]\ntoken = \"hunter2\"",
        "[auth]\nsecret = \"hunter2",
        "[auth]\nsecret = hunter2",
        "auth = \"hunter2\"",
        "source = [\"hunter2\"]",
        "[[source]]\nmetric = \"a\"\nkind = \"http\"\nurl = \"u:hunter2@x\"",
        "[[source]]\nmetric = \"a\"\nkind = \"http\"\nurl = \"https://x\"\nheaders = \"hunter2\"",
    ] {
        let error = load(text, &[]).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_printed_is_a_file_that_loads_to_the_same() {
    let check = |text: &str| {
        let settings = load(text, &[]).unwrap();
        assert_eq!(
            load(&settings.masked().replace("secret = \"***\"", ""), &[]).unwrap(),
            settings
        );
    };
    check("");
    check(
        "[http]\nport = 0\nallowed_origins = [\"http://a\"]\ntrusted_proxies = [\"::1\"]\n[auth]\ntoken_ttl_max_ms = 5000\n[audit]\nfile = \"a.log\"",
    );
    check(
        "[[metric]]\nname = \"a.*\"\nretain = \"latest\"\npriority = \"low\"\n[[source]]\nmetric = \"a\"\nkind = \"sql\"\nurl = \"sqlite:x\"\nquery = 'SELECT \"a\"'\n[[source]]\nmetric = \"b\"\nkind = \"http\"\nurl = \"http://x\"\ninterval_ms = 7",
    );
    for keys in [
        "public_key_file = \"k\"\nalgorithm = \"EdDSA\"",
        "jwks_file = \"k\"",
        "jwks_url = \"http://id\"",
    ] {
        let settings = load_alone(&format!("[auth]\n{keys}")).unwrap();
        assert_eq!(load_alone(&settings.masked()), Ok(settings));
    }
}

#[test]
fn a_reload_says_what_it_changes_and_what_it_cannot() {
    let check = |text: &str, applied: &[&str], needs_restart: &[&str]| {
        let old = load("[[source]]\nmetric = \"a\"\nkind = \"host\"", &[]).unwrap();
        let changes = old.changes(&load(text, &[]).unwrap());
        assert_eq!(changes.applied, applied, "{text}");
        assert_eq!(changes.needs_restart, needs_restart, "{text}");
    };
    let same = "\n[[source]]\nmetric = \"a\"\nkind = \"host\"";
    check(same, &[], &[]);
    check(
        &format!("[http]\nport = 1\n[limits]\nper_ip_burst = 7{same}"),
        &["limits.per_ip_burst"],
        &["http.port"],
    );
    check(
        &format!("[sessions]\ntimeout_ms = 7\nbacklog_messages_max = 7{same}"),
        &["sessions.timeout_ms"],
        &["sessions.backlog_messages_max"],
    );
    check(
        &format!("[auth]\nissuers = [\"i\"]\ntoken_ttl_max_ms = 1000{same}"),
        &["auth.issuers", "auth.token_ttl_max_ms"],
        &[],
    );
    check(
        &format!("[prometheus]\nenabled = false\ntoken = \"0123456789abcdefg\"{same}"),
        &["prometheus.token"],
        &["prometheus.enabled"],
    );
    check("[[metric]]\nname = \"a\"", &["metric", "source"], &[]);
    check("", &["source"], &[]);
}

#[test]
fn a_reload_sees_another_secret_and_does_not_show_it() {
    let other = "0f9e8d7c6b5a49382716f5e4d3c2b1a0";
    let (old, new) = (
        load("", &[]).unwrap(),
        load("", &[("JWT_SECRET", other)]).unwrap(),
    );
    assert_eq!(old.changes(&new).applied, ["auth.secret"]);
    let jwks = load_alone("[auth]\njwks_file = \"k\"").unwrap();
    assert_eq!(
        old.changes(&jwks).applied,
        ["auth.jwks_file", "auth.algorithms", "auth.secret"]
    );
}

#[test]
fn every_key_that_changes_while_running_is_a_key() {
    for key in crate::config::report::WHILE_RUNNING {
        let begins = format!("{key}.");
        let known = |known: &Key| known.name == key || known.name.starts_with(&begins);
        assert!(known_keys().iter().any(known), "{key}");
    }
}
