//! Where the keys can be.

use std::time::Duration;

use super::*;

#[test]
fn without_a_key_there_is_no_start_but_in_development() {
    assert_eq!(
        load_alone("").unwrap_err(),
        "there is no JWT key; set JWT_SECRET to at least 32 random bytes, or name a key in [auth] of the file, or start with --dev"
    );
    let dev = Overrides {
        dev: true,
        ..Overrides::default()
    };
    let secret = |overrides: &Overrides| {
        let settings = parse("", &BTreeMap::new(), overrides).unwrap();
        assert!(settings.dev);
        match settings.auth.keys {
            AuthKeys::Secret(secret) => secret,
            other => panic!("{other:?}"),
        }
    };
    let made = secret(&dev);
    assert_eq!(made.len(), 64);
    assert_ne!(secret(&dev), made, "random");
    let again = Overrides {
        dev_secret: Some(made.clone()),
        ..dev.clone()
    };
    assert_eq!(secret(&again), made);
    let given = parse("", &environment(&[("JWT_SECRET", SECRET)]), &dev).unwrap();
    assert_eq!(given.auth.keys, AuthKeys::Secret(SECRET.to_owned()));
}

#[test]
fn development_never_listens_beyond_loopback() {
    let check = |variables: &[(&str, &str)], host: Option<&str>, error: Option<&str>| {
        let overrides = Overrides {
            dev: true,
            host: host.map(str::to_owned),
            ..Overrides::default()
        };
        assert_eq!(
            parse("", &environment(variables), &overrides)
                .err()
                .as_deref(),
            error
        );
    };
    check(&[], None, None);
    check(&[], Some("::1"), None);
    check(&[("HOST", "0.0.0.0")], Some("localhost"), None);
    check(
        &[("HOST", "0.0.0.0")],
        None,
        Some(
            "HOST is \"0.0.0.0\"; allowed is with --dev a loopback address: 127.0.0.1, ::1 or localhost",
        ),
    );
    check(
        &[],
        Some("10.0.0.1"),
        Some(
            "--host is \"10.0.0.1\"; allowed is with --dev a loopback address: 127.0.0.1, ::1 or localhost",
        ),
    );
}

/// Attack: guessing a weak secret.
#[test]
fn weak_secrets_are_refused_and_not_repeated() {
    let repeated = "changeme".repeat(4);
    let pem =
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----";
    for weak in [
        "secret",
        "changeme",
        &SECRET[1..],
        &"a".repeat(64),
        &repeated,
        "0123456789abcdef0123456789abcdef",
        "your-256-bit-secret-goes-right-here-ok",
        "Please-ChangeMe-before-production-42!",
        pem,
    ] {
        let error = load("", &[("JWT_SECRET", weak)]).unwrap_err();
        assert!(
            error.starts_with("JWT_SECRET is \"***\"; allowed is a secret of at least 32 bytes"),
            "{error}"
        );
        assert!(
            error.ends_with("a PEM key goes into auth.public_key_file"),
            "{error}"
        );
    }
    assert!(load("", &[("JWT_SECRET", "a-test-secret-of-more-than-32-bytes")]).is_ok());
    assert!(
        load("", &[("JWT_SECRET", &"9".repeat(19).repeat(2))]).is_err(),
        "digits are a text too"
    );
}

#[test]
fn there_is_one_place_for_the_keys() {
    let keys = |text: &str| load_alone(text).map(|settings| settings.auth.keys);
    let check = |text: &str, line: &str| assert_eq!(keys(text).unwrap_err(), line);
    assert_eq!(
        keys("[auth]\npublic_key_file = \"k.pem\"\nalgorithm = \"ES256\""),
        Ok(AuthKeys::Pem {
            path: "k.pem".into(),
            algorithm: jsonwebtoken::Algorithm::ES256
        })
    );
    assert_eq!(
        keys("[auth]\njwks_file = \"k.json\""),
        Ok(AuthKeys::JwksFile {
            path: "k.json".into(),
            algorithms: vec![jsonwebtoken::Algorithm::RS256]
        })
    );
    assert_eq!(
        keys(
            "[auth]\njwks_url = \"https://id/jwks\"\nalgorithms = [\"EdDSA\"]\njwks_cool_down_ms = 50"
        ),
        Ok(AuthKeys::JwksUrl {
            url: "https://id/jwks".into(),
            algorithms: vec![jsonwebtoken::Algorithm::EdDSA],
            refresh: Duration::from_secs(600),
            cool_down: Duration::from_millis(50),
            keep: Duration::from_secs(86_400),
        })
    );
    check(
        "[auth]\njwks_file = \"k\"\njwks_url = \"https://id\"",
        "auth.jwks_url is set, but so is auth.jwks_file, and only one of them can hold the keys",
    );
    check(
        "[auth]\npublic_key_file = \"k.pem\"",
        "auth.algorithm is missing; allowed is the algorithm of auth.public_key_file, such as RS256",
    );
    check(
        "[auth]\npublic_key_file = \"k\"\nalgorithm = \"HS256\"",
        "auth.algorithm is \"HS256\"; allowed is one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
    );
    check(
        "[auth]\njwks_file = \"k\"\nalgorithms = [\"RS256\", \"ES256\"]",
        "auth.algorithms is [RS256, ES256]; allowed is a list of one family: RS and PS, or ES, or EdDSA",
    );
    check(
        "[auth]\nalgorithm = \"RS256\"",
        "auth.algorithm is set, but it only makes sense beside auth.public_key_file",
    );
    check(
        "[auth]\njwks_url = \"ftp://id\"",
        "auth.jwks_url is \"ftp://id\"; allowed is a URL that begins with https:// or http://",
    );
}

#[test]
fn the_secret_of_the_environment_goes_over_every_other_key() {
    for text in [
        "secret = \"0f9e8d7c6b5a49382716f5e4d3c2b1a0\"",
        "public_key_file = \"k\"\nalgorithm = \"RS256\"",
        "jwks_url = \"https://id\"\nalgorithms = [\"ES256\"]",
    ] {
        let settings = load(&format!("[auth]\n{text}"), &[]).unwrap();
        assert_eq!(settings.auth.keys, AuthKeys::Secret(SECRET.to_owned()));
    }
}
