//! `statshub check-token`: whether and why the configured hub would take or refuse a token.

use std::process::Output;
use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use serde_json::json;

use super::claims;
use crate::support::hub::{Hub, Start};
use crate::support::token;

async fn check_token(start: Start, given: &str) -> (bool, String) {
    let ended: Output = start.arg("check-token").arg(given).run().await;
    let stdout = String::from_utf8(ended.stdout).unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(
        !format!("{stdout}{stderr}").contains("eyJ"),
        "a token is shown: {stdout}{stderr}"
    );
    (ended.status.success(), stdout + &stderr)
}

#[tokio::test]
async fn a_token_is_taken_or_refused_with_the_reason() {
    let check = async |token: String, taken: bool, says: &str| {
        let (was_taken, said) = check_token(Hub::with(), &token).await;
        assert_eq!(was_taken, taken, "{said}");
        assert!(said.contains(says), "{says:?} is not in {said:?}");
    };
    check(token::admin("ada"), true, "ada").await;
    check(token::service("job"), true, "publish").await;
    check(format!("Bearer {}", token::admin("ada")), true, "ada").await;
    check(
        token::token("ada", "guest", Duration::from_secs(60)),
        false,
        "role",
    )
    .await;
    check(
        token::sign(&claims(json!({"exp": token::now() - 60}))),
        false,
        "exp",
    )
    .await;
    check(token::sign(&claims(json!({"exp": null}))), false, "exp").await;
    check(
        token::sign(&claims(json!({"nbf": token::now() + 60}))),
        false,
        "nbf",
    )
    .await;
    check(token::sign(&claims(json!({"sub": null}))), false, "sub").await;
    let other = token::sign_with(&Header::default(), &claims(json!({})), &"other".repeat(8));
    check(other, false, "signature").await;
    let foreign = token::sign_as("rsa_a", Algorithm::RS256, None, &claims(json!({})));
    check(foreign, false, "RS256").await;
    check("garbage".into(), false, "token").await;
}

#[tokio::test]
async fn a_token_can_be_read_from_a_file_so_that_no_list_of_processes_shows_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), token::admin("ada") + "\n").unwrap();
    let given = format!("@{}", file.path().display());
    let (taken, said) = check_token(Hub::with(), &given).await;
    assert!(taken && said.contains("ada"), "{said}");
    let (taken, _) = check_token(Hub::with(), "@/nowhere/token").await;
    assert!(!taken);
}

#[tokio::test]
async fn a_token_is_judged_by_the_settings() {
    let config = "[auth]\npermitted_roles = [\"owner\"]\naudiences = [\"hub\"]";
    let configured = || Hub::with().config(config);
    let good = token::sign(&claims(json!({"role": "owner", "aud": "hub"})));
    let (taken, said) = check_token(configured(), &good).await;
    assert!(taken, "{said}");
    let (taken, said) = check_token(configured(), &token::admin("ada")).await;
    assert!(!taken && said.contains("aud"), "{said}");

    let keys = format!(
        "[auth]\npublic_key_file = {:?}\nalgorithm = \"RS256\"",
        token::public_key("rsa_a")
    );
    let with_keys = || Hub::with().without_env("JWT_SECRET").config(&keys);
    let signed = |key| token::sign_as(key, Algorithm::RS256, None, &claims(json!({})));
    assert!(check_token(with_keys(), &signed("rsa_a")).await.0);
    assert!(!check_token(with_keys(), &signed("rsa_b")).await.0);
}
