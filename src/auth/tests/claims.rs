//! What claims have to say.

use super::super::Access;
use super::*;
use crate::domain::message::UserId;

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

/// Attack: a token used after or before its time.
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

/// Attack: a token used after or before its time.
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
            // Several audiences are allowed, and never several issuers.
            (json!(["x", "stats"]), name == "aud"),
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
