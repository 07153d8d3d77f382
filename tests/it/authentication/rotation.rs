//! Keys are exchanged while the hub runs: by writing the file anew in which they stand, or with the old secret
//! still taken beside the new one.

use std::fs;

use jsonwebtoken::Algorithm::RS256;
use rustix::process::Signal;
use serde_json::json;

use super::{claims, status_for};
use crate::support::hub::{Hub, Start};
use crate::support::token::{self, jwk, public_key, sign_as};

const READ: &str = "settings read again";
const OLD: &str = "one-0123456789-secret-abcdefghijk";
const NEW: &str = "another-0123456789-secret-abcdefgh";

fn keyless() -> Start {
    Hub::with().without_env("JWT_SECRET")
}

fn signed(secret: &str) -> String {
    token::sign_with(&Default::default(), &claims(json!({})), secret)
}

/// Attack: a key or an authority that was withdrawn goes on.
#[tokio::test]
async fn a_public_key_that_is_written_anew_is_taken_over_and_the_old_one_no_longer() {
    let pem = |name: &str| fs::read_to_string(public_key(name)).unwrap();
    let config = "[auth]\npublic_key_file = \"issuer.pem\"\nalgorithm = \"RS256\"\n";
    let start = keyless().config(config).file("issuer.pem", &pem("rsa_a"));
    let hub = start.start().await;
    let token = |key: &str| sign_as(key, RS256, None, &claims(json!({})));
    let (old, new) = (token("rsa_a"), token("rsa_b"));
    assert_eq!(status_for(&hub, &old).await, 200);
    assert_eq!(status_for(&hub, &new).await, 401);
    // What is no key changes nothing.
    fs::write(hub.path("issuer.pem"), "half of a ke").unwrap();
    hub.signal(Signal::HUP);
    let line = hub.logged("the settings stay as they were").await;
    assert!(line.contains("issuer.pem"), "{line}");
    assert_eq!(status_for(&hub, &old).await, 200);
    fs::write(hub.path("issuer.pem"), pem("rsa_b")).unwrap();
    hub.signal(Signal::HUP);
    let line = hub.logged(READ).await;
    assert!(line.ends_with("changed: auth.public_key_file"), "{line}");
    assert_eq!(status_for(&hub, &old).await, 401);
    assert_eq!(status_for(&hub, &new).await, 200);
}

/// Attack: a key or an authority that was withdrawn goes on.
#[tokio::test]
async fn a_jwks_file_that_is_written_anew_is_taken_over_and_named_in_the_answer() {
    let document = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|key| jwk(key, RS256, key)).collect();
        json!({"keys": keys}).to_string()
    };
    let config = "[auth]\njwks_file = \"jwks.json\"\n";
    let start = keyless().config(config);
    let hub = start.file("jwks.json", &document(&["rsa_a"])).start().await;
    let token = |key: &str| sign_as(key, RS256, Some(key), &claims(json!({})));
    let (old, new) = (token("rsa_a"), token("rsa_b"));
    let reload = async |token: &str| {
        let answer = hub.api(token).post("/reload", &json!({})).await;
        answer.data().clone()
    };
    assert_eq!(
        reload(&old).await,
        json!({"applied": [], "needsRestart": []})
    );
    fs::write(hub.path("jwks.json"), document(&["rsa_b"])).unwrap();
    assert_eq!(
        reload(&old).await,
        json!({"applied": ["auth.jwks_file"], "needsRestart": []})
    );
    assert_eq!(status_for(&hub, &old).await, 401);
    assert_eq!(status_for(&hub, &new).await, 200);
}

/// Attack: a key or an authority that was withdrawn goes on.
#[tokio::test]
async fn a_secret_in_a_file_is_exchanged_and_tokens_of_before_live_on() {
    let start = keyless()
        .env("JWT_SECRET_FILE", "secret")
        .env("JWT_PREVIOUS_SECRET_FILE", "previous");
    // As `echo` writes it.
    let start = start.file("secret", &format!("{OLD}\n"));
    let hub = start.file("previous", "").start().await;
    let (old, new) = (signed(OLD), signed(NEW));
    assert_eq!(status_for(&hub, &old).await, 200);
    assert_eq!(status_for(&hub, &new).await, 401);
    fs::write(hub.path("previous"), format!("{OLD}\n")).unwrap();
    fs::write(hub.path("secret"), NEW).unwrap();
    let answer = hub.api(&old).post("/reload", &json!({})).await;
    assert_eq!(
        answer.data()["applied"],
        json!(["auth.previous_secret_file", "auth.secret_file"])
    );
    assert_eq!(status_for(&hub, &old).await, 200);
    assert_eq!(status_for(&hub, &new).await, 200);
    // The commands sign with the new one.
    let path = |name: &str| hub.path(name).display().to_string();
    let made = keyless()
        .env("JWT_SECRET_FILE", &path("secret"))
        .arg("token")
        .arg("--user")
        .arg("ada");
    let made = made.says().await.result().to_owned();
    assert_eq!(status_for(&hub, &made).await, 200);
    fs::write(hub.path("previous"), "").unwrap();
    hub.signal(Signal::HUP);
    let gone = "changed: auth.previous_secret_file";
    crate::support::eventually("the end of the old secret", async || {
        hub.stderr()
            .lines()
            .any(|line| line.ends_with(gone))
            .then_some(())
    })
    .await;
    assert_eq!(status_for(&hub, &old).await, 401);
    assert_eq!(status_for(&hub, &made).await, 200);
    let log = hub.stop().await.stderr;
    assert!(!log.contains(OLD) && !log.contains(NEW), "{log}");
}

#[tokio::test]
async fn whoever_changes_a_secret_that_does_not_count_is_told() {
    let auth = |secret: &str| format!("[auth]\nsecret = {secret:?}\n");
    let hub = Hub::with().config(&auth(OLD)).start().await;
    let ada = token::admin("ada");
    hub.write_config(&auth(NEW));
    let answer = hub.api(&ada).post("/reload", &json!({})).await;
    assert_eq!(
        answer.data(),
        &json!({"applied": [], "needsRestart": [], "overridden": ["auth.secret (JWT_SECRET)"]})
    );
    let line = hub.logged("does not count").await;
    assert!(line.ends_with("auth.secret (JWT_SECRET)"), "{line}");
    assert_eq!(status_for(&hub, &signed(NEW)).await, 401);
    // Told once, and not for as long as it stands there.
    let answer = hub.api(&ada).post("/reload", &json!({})).await;
    assert_eq!(answer.data(), &json!({"applied": [], "needsRestart": []}));
}

#[tokio::test]
async fn what_is_wrong_with_a_secret_in_a_file_is_told_in_one_line_without_it() {
    for (text, expected) in [
        (
            "too-short-CANARY",
            "auth.secret_file secret cannot be used: a secret in it is none; allowed is ",
        ),
        (
            "changeme-changeme-changeme-changeme-CANARY",
            "auth.secret_file secret cannot be used",
        ),
        ("", "auth.secret_file secret cannot be used"),
    ] {
        let start = keyless().env("JWT_SECRET_FILE", "secret");
        let said = start.file("secret", text).says().await;
        let line = said.failure(1);
        assert!(
            line.contains(expected) && !line.contains("CANARY"),
            "{line}"
        );
    }
    let missing = keyless().env("JWT_SECRET_FILE", "nowhere").says().await;
    let line = missing.failure(1);
    assert!(
        line.contains("auth.secret_file nowhere cannot be read"),
        "{line}"
    );
    let both = Hub::with().env("JWT_SECRET_FILE", "secret").says().await;
    let line = both.failure(2);
    assert!(
        line.contains("JWT_SECRET_FILE is set, but so is JWT_SECRET"),
        "{line}"
    );
    let key = public_key("rsa_a");
    let config = format!("[auth]\npublic_key_file = {key:?}\nalgorithm = \"RS256\"\n");
    let start = keyless().config(&config).file("previous", OLD);
    let mixed = start.env("JWT_PREVIOUS_SECRET_FILE", "previous");
    let line = mixed.says().await.failure(2).to_owned();
    assert!(
        line.contains("JWT_PREVIOUS_SECRET_FILE is set, but it only makes sense beside a secret"),
        "{line}"
    );
}
