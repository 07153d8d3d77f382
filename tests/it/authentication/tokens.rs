//! The token itself: shape, size, algorithm, header; and the secret it is checked with.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::{claims, status_for};
use crate::support::hub::Hub;
use crate::support::token;

/// Ends in a stop, which looks for tokens in everything the hub has written.
async fn check_all(hub: Hub, cases: &[(String, u16)]) {
    for (token, expected) in cases {
        let status = status_for(&hub, token).await;
        assert_eq!(status, *expected, "{token:.300}");
    }
    hub.stop().await;
}

/// Attack: a forged or broken token.
#[tokio::test]
async fn what_is_no_token_or_not_rightly_signed_is_refused() {
    let hub = Hub::with().env("RUST_LOG", "trace").start().await;
    let good = token::admin("ada");
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let other = token::sign_with(&Header::default(), &claims(json!({})), &"other".repeat(8));
    let mut cases = vec![
        (good.clone(), 200),
        (other, 401),
        (format!("{rest}."), 401),
        (format!("{rest}.AAAA"), 401),
        (format!("{good}="), 401),
        (format!("x{good}"), 401),
        (rest.to_owned(), 401),
        (format!("{rest}x.{signature}"), 401),
        (token::sign_text(r#"{"alg":"HS256"}"#, "[]"), 401),
        (token::sign_text(r#"{"alg":"HS256"}"#, "no json"), 401),
    ];
    for garbage in [
        "garbage", ".", "..", "...", "a.b.c", "a.b.c.d", "%00", "null",
    ] {
        cases.push((garbage.to_owned(), 401));
    }
    check_all(hub, &cases).await;
}

/// Attack: a forged or broken token.
#[tokio::test]
async fn a_token_too_long_to_be_one_is_refused_though_rightly_signed() {
    let hub = Hub::start().await;
    let long = claims(json!({"padding": "x".repeat(8192)}));
    check_all(hub, &[(token::sign(&long), 401)]).await;
}

/// Attack: algorithm confusion (`none`, another one, the public key as the secret).
#[tokio::test]
async fn the_algorithm_is_the_hubs_to_choose() {
    let hub = Hub::start().await;
    let text = claims(json!({})).to_string();
    let mut cases = Vec::new();
    for name in [
        "none", "None", "NONE", "NonE", "hs256", "", "RS256", "ES256", "HS512",
    ] {
        let header = json!({"alg": name}).to_string();
        let signed = token::sign_text(&header, &text);
        let (rest, _) = signed.rsplit_once('.').unwrap();
        cases.push((format!("{rest}."), 401));
        cases.push((signed, 401));
    }
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let header = Header::new(algorithm);
        cases.push((
            token::sign_with(&header, &claims(json!({})), token::SECRET),
            401,
        ));
    }
    let foreign = token::sign_as("rsa_a", Algorithm::RS256, None, &claims(json!({})));
    cases.push((foreign, 401));
    cases.push((token::sign_text(r#"{"typ":"JWT"}"#, &text), 401));
    cases.push((token::sign_text(r#"{"alg":["HS256"]}"#, &text), 401));
    check_all(hub, &cases).await;
}

/// Attack: `kid` injection, a key of the token's own, `crit`.
#[tokio::test]
async fn a_token_cannot_bring_its_own_key_or_rules() {
    let hub = Hub::start().await;
    let text = claims(json!({})).to_string();
    let with = |header: serde_json::Value| token::sign_text(&header.to_string(), &text);
    let own = token::jwk("rsa_a", Algorithm::RS256, "k");
    let mut cases = vec![
        // Not looked at: the secret decides.
        (
            with(json!({"alg": "HS256", "jku": "http://127.0.0.1:9/"})),
            200,
        ),
        (
            with(json!({"alg": "HS256", "x5u": "http://127.0.0.1:9/"})),
            200,
        ),
        (with(json!({"alg": "HS256", "jwk": own})), 200),
        // Signed with the key it brings.
        (signed_with_own_key(), 401),
        // Extensions that must be understood are not.
        (
            with(json!({"alg": "HS256", "crit": ["b64"], "b64": false})),
            401,
        ),
        (with(json!({"alg": "HS256", "crit": "b64"})), 401),
        (with(json!({"alg": "HS256", "crit": []})), 401),
    ];
    let long = "k".repeat(4000);
    for kid in [
        "../../etc/passwd",
        "' OR 1=1 --",
        "http://evil/",
        "\u{1b}[31m\n\0",
        &long,
    ] {
        cases.push((with(json!({"alg": "HS256", "kid": kid})), 200));
    }
    check_all(hub, &cases).await;
}

fn signed_with_own_key() -> String {
    let mut header = Header::new(Algorithm::RS256);
    let own = token::jwk("rsa_a", Algorithm::RS256, "k");
    header.jwk = Some(serde_json::from_value(own).expect("a JWK"));
    let pem = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/auth/rsa_a.key.pem"
    );
    let key = EncodingKey::from_rsa_pem(&std::fs::read(pem).unwrap()).unwrap();
    jsonwebtoken::encode(&header, &claims(json!({})), &key).unwrap()
}

/// Attack: a forged or broken token.
#[tokio::test]
async fn every_refusal_says_the_same_and_the_log_says_why() {
    let hub = Hub::with().env("RUST_LOG", "debug").start().await;
    let mut texts = Vec::new();
    for bad in [
        "garbage".to_owned(),
        token::sign(&claims(json!({"exp": token::now() - 3600}))),
        token::sign(&claims(json!({"exp": null}))),
        token::sign_with(&Header::default(), &claims(json!({})), &"other".repeat(8)),
    ] {
        let answer = hub.api(&bad).get("/metrics").await;
        let challenge = answer.header("www-authenticate").unwrap().to_owned();
        texts.push((answer.body.to_string(), challenge));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    hub.logged("exp").await;
    hub.logged("signature").await;
}

/// Attack: guessing a weak secret.
#[tokio::test]
async fn a_hub_does_not_start_with_a_secret_that_can_be_guessed() {
    let pem = std::fs::read_to_string(token::public_key("rsa_a")).unwrap();
    let repeated = "changeme".repeat(8);
    for secret in [
        "password",
        "changeme",
        "too-short-0123456789",
        &repeated,
        &pem,
    ] {
        let ended = Hub::with().env("JWT_SECRET", secret).run().await;
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{secret} {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
        assert!(stderr.contains("JWT_SECRET"), "{stderr}");
        assert!(!stderr.contains(secret), "a secret is shown: {stderr}");
    }
}

/// Attack: guessing a weak secret.
#[tokio::test]
async fn a_hub_does_not_start_without_any_key() {
    let ended = Hub::with().without_env("JWT_SECRET").run().await;
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    assert!(stderr.contains("JWT_SECRET"), "{stderr}");
}
