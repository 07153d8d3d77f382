//! Tokens good and bad, with real keys and signatures, against the front door of the room.

use std::path::PathBuf;
use std::time::Duration;

use futures::executor::block_on;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::test_keys::*;
use super::{Access, Authenticator, Identity, Reason, Refusal, sign_hs256};
use crate::config::{Auth, AuthKeys};
use crate::domain::message::UserId;

fn verify(auth: &Auth, jwt: &str) -> Result<Identity, Reason> {
    match block_on(Authenticator::start(auth).unwrap().verify(jwt, NOW_MS)) {
        Ok(identity) => Ok(identity),
        Err(Refusal::Unauthenticated(reason)) => Err(reason),
        Err(Refusal::Unavailable(why)) => panic!("{why}"),
    }
}

/// What comes of claims that hold but for `change`.
fn judged(auth: &Auth, change: impl FnOnce(&mut Value)) -> Result<Identity, Reason> {
    verify(auth, &hs256(&claims(change)))
}

#[test]
fn a_good_token_says_who_and_until_when() {
    let identity = judged(&with_secret(), |it| {
        it["iat"] = json!(NOW_S - 1);
        it["jti"] = json!("t1");
    });
    let expected = Identity {
        user: UserId::parse("u1").unwrap(),
        roles: vec!["platform_admin".into()],
        expires_at_ms: NOW_MS + 60_000,
        issued_at_ms: Some(NOW_MS - 1000),
        token_id: Some("t1".into()),
    };
    assert_eq!(identity, Ok(expected));
}

#[test]
fn what_is_no_token_is_refused() {
    let good = hs256(&claims(|_| {}));
    let (rest, _) = good.rsplit_once('.').unwrap();
    let check = |text: &str, expected: Reason| {
        let shown = text.chars().take(40).collect::<String>();
        assert_eq!(verify(&with_secret(), text), Err(expected), "{shown:?}");
    };
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b.c.d",
        "garbage",
        "é.é.é",
        "\0",
        rest,
        &format!("{good}="),
    ] {
        let got = verify(&with_secret(), text);
        assert!(
            matches!(got, Err(Reason::Shape | Reason::Header)),
            "{text:?}: {got:?}"
        );
    }
    check(&"x".repeat(1 << 20), Reason::TooLong);
    check(
        &hs256(&claims(|it| it["pad"] = json!("x".repeat(8192)))),
        Reason::TooLong,
    );
    check(&format!("{rest}."), Reason::Signature);
    check(&format!("{rest}.AAAA"), Reason::Signature);
    check(&hs256_raw(r#"{"alg":"HS256"}"#, "[]"), Reason::Claims);
    check(&hs256_raw(r#"{"alg":"HS256"}"#, "no json"), Reason::Claims);
}

#[test]
fn the_algorithm_is_ours_to_choose() {
    let text = claims(|_| {}).to_string();
    for alg in ["none", "None", "NONE", "NonE", "hs256", "", "RSA1_5"] {
        for token in [
            hs256_raw(&json!({"alg": alg}).to_string(), &text),
            hs256_raw(&json!({"alg": alg}).to_string(), &text)
                .rsplit_once('.')
                .unwrap()
                .0
                .to_owned()
                + ".",
        ] {
            assert_eq!(verify(&with_secret(), &token), Err(Reason::Header), "{alg}");
        }
    }
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = sign(&Header::new(algorithm), &claims(|_| {}), &key);
        assert_eq!(
            verify(&with_secret(), &token),
            Err(Reason::Algorithm(algorithm))
        );
    }
    for algorithm in ["RS256", "ES256", "EdDSA", "HS512"] {
        let token = hs256_raw(&json!({"alg": algorithm}).to_string(), &text);
        let got = verify(&with_secret(), &token);
        assert!(
            matches!(got, Err(Reason::Algorithm(_))),
            "{algorithm}: {got:?}"
        );
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    for (name, algorithm) in [
        ("rsa_a", Algorithm::RS256),
        ("ec_p256", Algorithm::ES256),
        ("ed25519", Algorithm::EdDSA),
    ] {
        let forged = sign(
            &Header::default(),
            &claims(|_| {}),
            &EncodingKey::from_secret(&public_pem(name)),
        );
        let got = verify(&settings(pem(name, algorithm)), &forged);
        assert_eq!(got, Err(Reason::Algorithm(Algorithm::HS256)), "{name}");
    }
}

#[test]
fn headers_cannot_bring_their_own_key() {
    let check = |header: Value, expected: Result<(), Reason>| {
        let got = verify(
            &with_secret(),
            &hs256_raw(&header.to_string(), &claims(|_| {}).to_string()),
        );
        assert_eq!(got.map(drop), expected, "{header}");
    };
    // Ignored: the secret decides.
    check(
        json!({"alg": "HS256", "jku": "http://evil/", "x5u": "http://evil/"}),
        Ok(()),
    );
    check(
        json!({"alg": "HS256", "jwk": jwk("rsa_a", Algorithm::RS256, "k", |_| {})}),
        Ok(()),
    );
    for kid in [
        "../../etc/passwd",
        "' OR 1=1 --",
        "http://evil/",
        "\u{1b}[31m\n\0",
        &"k".repeat(4000),
    ] {
        check(json!({"alg": "HS256", "kid": kid}), Ok(()));
    }
    // Extensions that must be understood are not.
    check(
        json!({"alg": "HS256", "crit": ["b64"], "b64": false}),
        Err(Reason::Critical),
    );
    check(json!({"alg": "HS256", "crit": []}), Err(Reason::Critical));
    check(json!({"alg": "HS256", "crit": "b64"}), Err(Reason::Header));
    check(json!({"alg": "HS256", "crit": [1]}), Err(Reason::Header));
    check(json!({"alg": ["HS256"]}), Err(Reason::Header));
    check(json!({}), Err(Reason::Header));
}

#[test]
fn expiry_is_required_and_judged_with_leeway() {
    let check = |exp: Value, expected: Result<u64, Reason>| {
        let got = judged(&with_secret(), |it| it["exp"] = exp.clone());
        assert_eq!(got.map(|it| it.expires_at_ms), expected, "{exp}");
    };
    let ago = |s| Reason::Expired(Duration::from_secs(s));
    let malformed = || Err(Reason::NoTime("exp"));
    check(json!(NOW_S + 1), Ok(NOW_MS + 1000));
    check(json!(NOW_S - 1), Ok(NOW_MS - 1000));
    check(json!(NOW_S - 4), Ok(NOW_MS - 4000));
    check(json!(NOW_S - 5), Err(ago(5)));
    check(json!(NOW_S - 30), Err(ago(30)));
    check(json!(0), Err(ago(NOW_S)));
    check(json!(NOW_S as f64 + 0.5), Ok(NOW_MS + 500));
    check(
        json!(NOW_S + 50 * 365 * 86_400),
        Ok(NOW_MS + 50 * 365 * 86_400_000),
    );
    for exp in [
        json!("1800000060"),
        json!(-1),
        json!(1e300),
        json!(NOW_MS),
        json!([]),
        json!({}),
        json!(true),
    ] {
        let got = judged(&with_secret(), |it| it["exp"] = exp.clone());
        // Of some forms the library itself makes the claims unreadable.
        assert!(
            got == malformed() || got == Err(Reason::Claims),
            "{exp}: {got:?}"
        );
    }
    check(Value::Null, Err(Reason::NoExpiry));
    let missing = judged(&with_secret(), |it| {
        drop(it.as_object_mut().unwrap().remove("exp"))
    });
    assert_eq!(missing, Err(Reason::NoExpiry));
}

#[test]
fn tokens_that_live_too_long_are_refused_where_that_is_configured() {
    let auth = Auth {
        token_ttl_max: Some(Duration::from_secs(3600)),
        ..with_secret()
    };
    for (ahead_s, expected) in [
        (60, Ok(())),
        (3605, Ok(())),
        (3606, Err(Reason::LivesTooLong)),
        (50 * 365 * 86_400, Err(Reason::LivesTooLong)),
    ] {
        let got = judged(&auth, |it| it["exp"] = json!(NOW_S + ahead_s));
        assert_eq!(got.map(drop), expected, "{ahead_s}");
    }
}

#[test]
fn a_token_from_the_future_is_refused() {
    for name in ["nbf", "iat"] {
        let check = |value: Value, expected: Result<(), Reason>| {
            let got = judged(&with_secret(), |it| it[name] = value.clone());
            assert_eq!(got.map(drop), expected, "{name} {value}");
        };
        check(json!(NOW_S - 1), Ok(()));
        check(json!(0), Ok(()));
        check(json!(NOW_S + 5), Ok(()));
        check(
            json!(NOW_S + 6),
            Err(Reason::NotYet(name, Duration::from_secs(6))),
        );
        for value in [json!("1800000000"), json!(-1), json!(1e300), json!(true)] {
            check(value, Err(Reason::NoTime(name)));
        }
    }
}

#[test]
fn audience_and_issuer_count_only_where_configured() {
    let audience = Auth {
        audiences: vec!["stats".into(), "other".into()],
        ..with_secret()
    };
    let issuer = Auth {
        issuers: vec!["stats".into()],
        ..with_secret()
    };
    for (auth, name, wrong) in [
        (&audience, "aud", Reason::Audience),
        (&issuer, "iss", Reason::Issuer),
    ] {
        for (value, right) in [
            (json!("stats"), true),
            (json!(["x", "stats"]), true),
            (json!("Stats"), false),
            (json!("stats2"), false),
            (json!(["x"]), false),
            (json!([]), false),
            (json!(["stats", 1]), false),
            (json!(1), false),
            (Value::Null, false),
        ] {
            let got = judged(auth, |it| it[name] = value.clone());
            let expected = if right { Ok(()) } else { Err(wrong.clone()) };
            assert_eq!(got.map(drop), expected, "{name} {value}");
            // Not configured: not looked at, on purpose.
            assert!(
                judged(&with_secret(), |it| it[name] = value.clone()).is_ok(),
                "{name} {value}"
            );
        }
    }
}

#[test]
fn the_user_is_sub_or_else_user_id() {
    let check = |sub: Value, user_id: Value, expected: Result<&str, Reason>| {
        let got = judged(&with_secret(), |it| {
            it["sub"] = sub.clone();
            it["userId"] = user_id.clone();
        });
        let got = got.map(|it| it.user.as_str().to_owned());
        assert_eq!(got, expected.map(str::to_owned), "{sub} {user_id}");
    };
    check(json!("a"), json!("b"), Ok("a"));
    check(json!(null), json!("b"), Ok("b"));
    check(json!(42), json!(null), Ok("42"));
    check(json!(null), json!(42), Ok("42"));
    check(json!(u64::MAX), json!(null), Ok("18446744073709551615"));
    check(json!("zoë 🦀"), json!(null), Ok("zoë 🦀"));
    check(json!(null), json!(null), Err(Reason::NoUser));
    for bad in [
        json!(""),
        json!("a\nb"),
        json!("\0"),
        json!("x".repeat(129)),
        json!(1.5),
        json!(1e20),
        json!(true),
    ] {
        check(bad.clone(), json!("b"), Err(Reason::User));
        check(json!(null), bad, Err(Reason::User));
    }
    check(json!(null), json!(["b"]), Err(Reason::User));
}

#[test]
fn roles_match_exactly_and_a_wrong_type_is_no_role() {
    let authenticator = Authenticator::start(&with_secret()).unwrap();
    let check = |role: Value, roles: Value, expected: Access| {
        let identity = judged(&with_secret(), |it| {
            it["role"] = role.clone();
            it["roles"] = roles.clone();
        });
        assert_eq!(
            authenticator.access(&identity.unwrap()),
            expected,
            "{role} {roles}"
        );
    };
    let none = || Value::Null;
    check(json!("platform_admin"), none(), Access::Admin);
    check(none(), json!("platform_admin"), Access::Admin);
    check(json!(["x", "platform_admin"]), none(), Access::Admin);
    check(none(), json!(["platform_admin", "service"]), Access::Admin);
    check(json!("x"), json!(["platform_admin"]), Access::Admin);
    check(json!("platform_admin"), json!({"x": 1}), Access::Admin);
    check(json!("service"), none(), Access::Publisher);
    check(none(), json!(["service", "x"]), Access::Publisher);
    for role in [
        json!("platform_admin_x"),
        json!("Platform_Admin"),
        json!(" platform_admin"),
        json!("platform_admin,x"),
        json!(""),
        json!(null),
        json!(1),
        json!(true),
        json!({"platform_admin": true}),
        json!([["platform_admin"]]),
        json!([{"name": "platform_admin"}]),
        json!(["platform_admin", 1]),
    ] {
        check(role.clone(), none(), Access::None);
        check(none(), role, Access::None);
    }
}

#[test]
fn a_claim_that_is_there_twice_is_refused() {
    for name in [
        "sub", "userId", "role", "roles", "exp", "nbf", "iat", "aud", "iss", "jti",
    ] {
        let text = claims(|_| {}).to_string();
        let twice = format!(r#"{{"{name}":1,"{name}":1,{}"#, &text[1..]);
        let got = verify(&with_secret(), &hs256_raw(r#"{"alg":"HS256"}"#, &twice));
        assert_eq!(got, Err(Reason::Claims), "{name}");
    }
    let escaped = r#"{"role":"x","r\u006fle":"platform_admin","sub":"u","exp":1800000060}"#;
    assert_eq!(
        verify(&with_secret(), &hs256_raw(r#"{"alg":"HS256"}"#, escaped)),
        Err(Reason::Claims)
    );
    let header = r#"{"alg":"none","alg":"HS256"}"#;
    let got = verify(
        &with_secret(),
        &hs256_raw(header, &claims(|_| {}).to_string()),
    );
    assert_eq!(got, Err(Reason::Header));
}

fn pem(name: &str, algorithm: Algorithm) -> AuthKeys {
    AuthKeys::Pem {
        path: fixture(&format!("{name}.pub.pem")),
        algorithm,
    }
}

#[test]
fn public_keys_verify_what_their_private_halves_signed() {
    for (name, algorithm) in [
        ("rsa_a", Algorithm::RS256),
        ("rsa_a", Algorithm::PS256),
        ("ec_p256", Algorithm::ES256),
        ("ec_p384", Algorithm::ES384),
        ("ed25519", Algorithm::EdDSA),
    ] {
        let auth = settings(pem(name, algorithm));
        let token = sign(
            &with_kid(algorithm, "any"),
            &claims(|_| {}),
            &private_key(name),
        );
        assert!(verify(&auth, &token).is_ok(), "{name} {algorithm:?}");
        let mut tampered = token.into_bytes();
        let last = tampered.len() - 10;
        tampered[last] = if tampered[last] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        assert_eq!(
            verify(&auth, &tampered),
            Err(Reason::Signature),
            "{name} {algorithm:?}"
        );
    }
    let other = sign(
        &Header::new(Algorithm::RS256),
        &claims(|_| {}),
        &private_key("rsa_b"),
    );
    assert_eq!(
        verify(&settings(pem("rsa_a", Algorithm::RS256)), &other),
        Err(Reason::Signature)
    );
}

#[test]
fn a_file_may_hold_several_public_keys() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        [public_pem("rsa_a"), public_pem("rsa_b")].concat(),
    )
    .unwrap();
    let auth = settings(AuthKeys::Pem {
        path: file.path().into(),
        algorithm: Algorithm::RS256,
    });
    for name in ["rsa_a", "rsa_b"] {
        let token = sign(
            &Header::new(Algorithm::RS256),
            &claims(|_| {}),
            &private_key(name),
        );
        assert!(verify(&auth, &token).is_ok(), "{name}");
    }
}

#[test]
fn unusable_keys_stop_the_start_with_one_helpful_line() {
    let key = |name: &str| AuthKeys::Pem {
        path: fixture(name),
        algorithm: Algorithm::RS256,
    };
    let secret = |text: &str| AuthKeys::Secret(text.to_owned());
    let pem_text = String::from_utf8(public_pem("rsa_a")).unwrap();
    for (keys, expected) in [
        (secret(""), "0 bytes"),
        (secret("CANARY"), "at least 32"),
        (secret(&pem_text), "text of a PEM key"),
        (key("rsa_a.key.pem"), "needs the PUBLIC KEY"),
        (key("rsa_1024.pub.pem"), "size that RS256 needs"),
        (key("ec_p256.pub.pem"), "size that RS256 needs"),
        (key("README.md"), "no PEM file"),
        (key("missing"), "cannot read the public key"),
        (pem("ec_p384", Algorithm::ES256), "size that ES256 needs"),
        (pem("rsa_a", Algorithm::HS256), "has no public key"),
        (
            AuthKeys::JwksFile {
                path: PathBuf::from("missing"),
                algorithms: vec![],
            },
            "cannot read the JWKS",
        ),
        (
            AuthKeys::JwksFile {
                path: fixture("README.md"),
                algorithms: vec![],
            },
            "no JWKS document",
        ),
    ] {
        let error = format!("{:#}", Authenticator::start(&settings(keys)).err().unwrap());
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
        assert!(
            !error.contains('\n') && !error.contains("CANARY"),
            "{error:?}"
        );
    }
}

#[test]
fn a_reload_exchanges_keys_and_rules_and_a_failed_one_changes_nothing() {
    let authenticator = Authenticator::start(&with_secret()).unwrap();
    let (old, service) = (
        hs256(&claims(|_| {})),
        claims(|it| it["role"] = json!("service")),
    );
    authenticator
        .reload(&settings(AuthKeys::Secret(String::new())))
        .unwrap_err();
    let identity = block_on(authenticator.verify(&old, NOW_MS)).unwrap();
    assert_eq!(authenticator.access(&identity), Access::Admin);
    let changed = Auth {
        permitted_roles: vec!["service".into()],
        ..settings(pem("ed25519", Algorithm::EdDSA))
    };
    authenticator.clone().reload(&changed).unwrap();
    assert!(block_on(authenticator.verify(&old, NOW_MS)).is_err());
    assert_eq!(authenticator.access(&identity), Access::None);
    let new = sign(
        &Header::new(Algorithm::EdDSA),
        &service,
        &private_key("ed25519"),
    );
    let identity = block_on(authenticator.verify(&new, NOW_MS)).unwrap();
    assert_eq!(authenticator.access(&identity), Access::Admin);
    assert!(authenticator.key_state().source.contains("ed25519.pub.pem"));
}

#[test]
fn what_we_sign_ourselves_we_take() {
    let user = UserId::parse("42").unwrap();
    let token = sign_hs256(SECRET, &user, "service", Duration::from_secs(60), NOW_MS).unwrap();
    let identity = verify(&with_secret(), &token).unwrap();
    assert_eq!(
        (identity.user, identity.expires_at_ms),
        (user, NOW_MS + 60_000)
    );
    assert_eq!(identity.roles, ["service"]);
    assert!(identity.token_id.is_some());
}

#[test]
fn a_reason_holds_nothing_of_the_token_that_could_harm_a_log() {
    let kid = "\u{1b}[31m\n\u{202e}".to_owned() + &"k".repeat(1000);
    let shown = Reason::unknown_key(&kid).to_string();
    assert!(
        shown.is_ascii() && !shown.contains(['\n', '\u{1b}']) && shown.len() < 200,
        "{shown}"
    );
    for token in [
        hs256_raw(r#"{"alg":"CANARY"}"#, "{}"),
        hs256_raw(r#"{"alg":"HS256"}"#, r#""CANARY""#),
        hs256_raw(
            r#"{"alg":"HS256"}"#,
            r#"{"sub":"CANARY\n","exp":1800000060}"#,
        ),
    ] {
        let reason = verify(&with_secret(), &token).unwrap_err();
        assert!(
            !format!("{reason} {reason:?}").contains("CANARY"),
            "{reason}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_makes_verifying_panic(text in "\\PC{0,300}", dots in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,3}") {
        prop_assert!(verify(&with_secret(), &text).is_err());
        prop_assert!(verify(&with_secret(), &dots).is_err());
    }

    #[test]
    fn no_header_or_claims_make_verifying_panic(header in "\\PC{0,60}", claims in "\\PC{0,60}", name in "(sub|exp|role|aud|nbf|iss|jti)", value in "(-?[0-9]{1,30}(\\.[0-9]+)?(e[0-9]{1,4})?|\"\\\\u[0-9a-f]{4}\"|\\[+|\\{\\}|null)") {
        let _ = verify(&with_secret(), &hs256_raw(&header, &claims));
        let _ = verify(&with_secret(), &hs256_raw(r#"{"alg":"HS256"}"#, &claims));
        let _ = verify(&with_secret(), &hs256_raw(r#"{"alg":"HS256"}"#, &format!(r#"{{"{name}":{value}}}"#)));
        let one = format!(r#"{{"sub":"u","exp":1800000060,"{name}2":0,"{name}":{value}}}"#);
        let _ = verify(&with_secret(), &hs256_raw(r#"{"alg":"HS256"}"#, &one));
    }
}
