//! Public keys: PEM, a JWKS file, and a JWKS URL whose keys change.

use jsonwebtoken::Algorithm::{self, *};
use jsonwebtoken::Header;
use serde_json::{Value, json};

use super::{claims, status_for};
use crate::support::eventually;
use crate::support::hub::{Hub, Start};
use crate::support::jwks::JwksServer;
use crate::support::token::{self, jwk, public_key, sign_as};

/// A hub whose keys are in `auth`, a part of its settings.
fn with_keys(auth: &str) -> Start {
    let config = format!("[auth]\n{auth}");
    Hub::with().without_env("JWT_SECRET").config(&config)
}

fn signed(key: &str, algorithm: Algorithm, kid: Option<&str>) -> String {
    sign_as(key, algorithm, kid, &claims(json!({})))
}

/// Each case: the key pair whose public half the hub has, the algorithm it is for, and signatures
/// that are no good then.
type Pem = (
    &'static str,
    Algorithm,
    &'static [(&'static str, Algorithm)],
);

const PEMS: [Pem; 6] = [
    (
        "rsa_a",
        RS256,
        &[
            ("rsa_b", RS256),
            ("rsa_a", RS512),
            ("rsa_a", PS256),
            ("ec_p256", ES256),
        ],
    ),
    (
        "rsa_a",
        RS512,
        &[("rsa_b", RS512), ("rsa_a", RS256), ("ed25519", EdDSA)],
    ),
    (
        "rsa_b",
        PS256,
        &[("rsa_a", PS256), ("rsa_b", RS256), ("rsa_b", PS512)],
    ),
    ("ec_p256", ES256, &[("ec_p384", ES384), ("rsa_a", RS256)]),
    ("ec_p384", ES384, &[("ec_p256", ES256), ("ed25519", EdDSA)]),
    ("ed25519", EdDSA, &[("ec_p256", ES256), ("rsa_a", RS256)]),
];

/// Attack: algorithm confusion (`none`, another one, the public key as the secret).
#[tokio::test]
async fn a_public_key_serves_its_own_algorithm_and_no_other() {
    for (key, algorithm, bad) in PEMS {
        let file = public_key(key);
        let auth = format!("public_key_file = {file:?}\nalgorithm = \"{algorithm:?}\"");
        let hub = with_keys(&auth).start().await;
        let check = async |token: String, expected: u16| {
            assert_eq!(
                status_for(&hub, &token).await,
                expected,
                "{key} {algorithm:?} {token}"
            );
        };
        check(signed(key, algorithm, None), 200).await;
        check(signed(key, algorithm, Some("any")), 200).await;
        for (other, signs) in bad {
            check(signed(other, *signs, None), 401).await;
        }
        // The public key is no secret, whatever a token says.
        let pem = std::fs::read_to_string(&file).unwrap();
        for secret in [pem.as_str(), pem.trim_end(), token::SECRET] {
            let token = token::sign_with(&Header::default(), &claims(json!({})), secret);
            check(token, 401).await;
        }
    }
}

#[tokio::test]
async fn a_key_that_is_too_short_or_missing_stops_the_start() {
    for (file, algorithm) in [
        ("rsa_1024", "RS256"),
        ("ec_p256", "RS256"),
        ("nowhere", "RS256"),
    ] {
        let file = public_key(file);
        let auth = format!("public_key_file = {file:?}\nalgorithm = \"{algorithm}\"");
        let ended = with_keys(&auth).run().await;
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert!(
            ended.status.code().is_some_and(|code| code != 0),
            "{stderr}"
        );
        assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    }
}

/// A JWKS document in a directory of its own.
fn jwks_file(keys: &[Value]) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, json!({"keys": keys}).to_string()).unwrap();
    (directory, format!("jwks_file = {path:?}"))
}

/// Attack: `kid` injection, a key of the token's own, `crit`.
#[tokio::test]
async fn the_kid_chooses_among_the_keys_of_a_file_and_does_nothing_else() {
    let (_directory, auth) = jwks_file(&[
        jwk("rsa_a", RS256, "a"),
        jwk("rsa_b", RS256, "b"),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "new"}),
    ]);
    let hub = with_keys(&auth).start().await;
    let check = async |token: String, expected: u16| {
        assert_eq!(status_for(&hub, &token).await, expected, "{token}");
    };
    check(signed("rsa_a", RS256, Some("a")), 200).await;
    check(signed("rsa_b", RS256, Some("b")), 200).await;
    check(signed("rsa_a", RS256, Some("b")), 401).await;
    check(signed("rsa_a", RS512, Some("a")), 401).await;
    check(signed("ec_p256", ES256, Some("a")), 401).await;
    check(signed("rsa_a", RS256, None), 401).await;
    let long = "k".repeat(4000);
    for kid in [
        "",
        "c",
        "A",
        "a\0",
        "../a",
        "http://127.0.0.1:9/a",
        "' OR 1=1 --",
        "\n",
        &long,
    ] {
        check(signed("rsa_a", RS256, Some(kid)), 401).await;
    }
    check(token::admin("ada"), 401).await;
}

#[tokio::test]
async fn a_file_with_one_key_serves_tokens_that_name_none() {
    let (_directory, auth) = jwks_file(&[jwk("ec_p256", ES256, "only")]);
    let auth = format!("{auth}\nalgorithms = [\"ES256\"]");
    let hub = with_keys(&auth).start().await;
    assert_eq!(status_for(&hub, &signed("ec_p256", ES256, None)).await, 200);
    assert_eq!(
        status_for(&hub, &signed("ec_p256", ES256, Some("only"))).await,
        200
    );
    assert_eq!(status_for(&hub, &signed("rsa_a", RS256, None)).await, 401);
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_taken_as_soon_as_a_token_names_it() {
    let issuer = JwksServer::start().await;
    issuer.serve(&[jwk("rsa_a", RS256, "a")]);
    let auth = format!("jwks_url = {:?}\njwks_cool_down_ms = 10", issuer.url);
    let hub = with_keys(&auth).start().await;
    let old = signed("rsa_a", RS256, Some("a"));
    let new = signed("rsa_b", RS256, Some("b"));
    assert_eq!(status_for(&hub, &old).await, 200);
    assert_eq!(status_for(&hub, &new).await, 401);

    issuer.serve(&[jwk("rsa_a", RS256, "a"), jwk("rsa_b", RS256, "b")]);
    eventually("the new key", async || {
        (status_for(&hub, &new).await == 200).then_some(())
    })
    .await;
    assert_eq!(
        status_for(&hub, &old).await,
        200,
        "both, while they overlap"
    );

    let stranger = signed("rsa_a", RS256, Some("b"));
    assert_eq!(status_for(&hub, &stranger).await, 401);
}

/// Failure: the issuer is down, slow, or answers nonsense.
#[tokio::test]
async fn a_key_that_the_issuer_withdraws_is_given_up_at_the_next_refresh() {
    let issuer = JwksServer::start().await;
    issuer.serve(&[jwk("rsa_a", RS256, "a"), jwk("rsa_b", RS256, "b")]);
    let auth = format!(
        "jwks_url = {:?}\njwks_refresh_ms = 50\njwks_cool_down_ms = 10",
        issuer.url
    );
    let hub = with_keys(&auth).start().await;
    let old = signed("rsa_a", RS256, Some("a"));
    assert_eq!(status_for(&hub, &old).await, 200);
    issuer.serve(&[jwk("rsa_b", RS256, "b")]);
    eventually("the key to be given up", async || {
        (status_for(&hub, &old).await == 401).then_some(())
    })
    .await;
    assert_eq!(
        status_for(&hub, &signed("rsa_b", RS256, Some("b"))).await,
        200
    );
}

/// Attack: a flood of unknown `kid`s, to make the hub flood the issuer.
#[tokio::test]
async fn many_tokens_of_unknown_keys_do_not_make_many_questions() {
    let issuer = JwksServer::start().await;
    issuer.serve(&[jwk("rsa_a", RS256, "a")]);
    let hub = with_keys(&format!("jwks_url = {:?}", issuer.url))
        .start()
        .await;
    let good = signed("rsa_a", RS256, Some("a"));
    assert_eq!(status_for(&hub, &good).await, 200);
    for number in 0..50 {
        let kid = format!("kid{number}");
        let stranger = signed("rsa_b", RS256, Some(&kid));
        assert_eq!(status_for(&hub, &stranger).await, 401);
    }
    for _ in 0..50 {
        assert_eq!(status_for(&hub, &good).await, 200);
    }
    assert!(issuer.requests() <= 2, "{} questions", issuer.requests());
}

/// Failure: the issuer is down, slow, or answers nonsense.
#[tokio::test]
async fn the_last_good_keys_serve_while_the_issuer_is_in_trouble() {
    let issuer = JwksServer::start().await;
    issuer.serve(&[jwk("rsa_a", RS256, "a")]);
    let auth = format!(
        "jwks_url = {:?}\njwks_refresh_ms = 20\njwks_cool_down_ms = 10",
        issuer.url
    );
    let hub = with_keys(&auth).start().await;
    let good = signed("rsa_a", RS256, Some("a"));
    assert_eq!(status_for(&hub, &good).await, 200);
    issuer.fail();
    let before = issuer.requests();
    eventually("refreshes that fail", async || {
        (issuer.requests() > before + 1).then_some(())
    })
    .await;
    assert_eq!(status_for(&hub, &good).await, 200);
}

#[tokio::test]
async fn without_any_keys_yet_the_hub_is_unavailable_and_says_that_it_is_degraded() {
    let issuer = JwksServer::start().await;
    let auth = format!(
        "jwks_url = {:?}\njwks_refresh_ms = 20\njwks_cool_down_ms = 10",
        issuer.url
    );
    let hub = with_keys(&auth).start().await;
    let good = signed("rsa_a", RS256, Some("a"));
    let answer = hub.api(&good).get("/metrics").await;
    assert_eq!(answer.failure(), (503, "unavailable"));
    assert!(answer.retry_after() >= 1);
    let health = hub.anonymous().get("/api/health").await;
    assert_eq!(health.data()["status"], "degraded");

    issuer.serve(&[jwk("rsa_a", RS256, "a")]);
    eventually("the keys", async || {
        (status_for(&hub, &good).await == 200).then_some(())
    })
    .await;
    let health = hub.anonymous().get("/api/health").await;
    assert_eq!(health.data()["status"], "healthy");
}
