//! Shape, size and header of a token, and what is said about a bad one.

use proptest::prelude::*;

use super::super::sign_hs256;
use super::*;
use crate::domain::message::UserId;

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

/// Attack: `kid` injection, a key of the token's own, `crit`.
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
    /// Attack: a forged or broken token.
    #[test]
    fn no_text_makes_verifying_panic(text in "\\PC{0,300}", dots in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,3}") {
        prop_assert!(verify(&with_secret(), &text).is_err());
        prop_assert!(verify(&with_secret(), &dots).is_err());
    }

    /// Attack: a forged or broken token.
    #[test]
    fn no_header_or_claims_make_verifying_panic(header in "\\PC{0,60}", claims in "\\PC{0,60}", name in "(sub|exp|role|aud|nbf|iss|jti)", value in "(-?[0-9]{1,30}(\\.[0-9]+)?(e[0-9]{1,4})?|\"\\\\u[0-9a-f]{4}\"|\\[+|\\{\\}|null)") {
        let _ = verify(&with_secret(), &hs256_raw(&header, &claims));
        let _ = verify(&with_secret(), &hs256_raw(r#"{"alg":"HS256"}"#, &claims));
        let _ = verify(&with_secret(), &hs256_raw(r#"{"alg":"HS256"}"#, &format!(r#"{{"{name}":{value}}}"#)));
        let one = format!(r#"{{"sub":"u","exp":1800000060,"{name}2":0,"{name}":{value}}}"#);
        let _ = verify(&with_secret(), &hs256_raw(r#"{"alg":"HS256"}"#, &one));
    }
}
