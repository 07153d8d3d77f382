//! Tokens good and bad, with real keys and signatures, against the front door of the room; here what
//! the tests share. The key files are fixtures, made once.

mod claims;
mod jwks_file;
mod jwks_trust;
mod jwks_url;
mod keys;
mod tokens;

use std::path::PathBuf;
use std::time::Duration;

use futures::executor::block_on;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{Authenticator, Identity, Reason, Refusal};
use crate::config::{Auth, AuthKeys};

const SECRET: &str = "a secret of thirty-two bytes at least, CANARY";
/// The tests' now, in seconds since the Unix epoch.
const NOW_S: u64 = 1_800_000_000;
const NOW_MS: u64 = NOW_S * 1000;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/auth")
        .join(name)
}

fn fixture_bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn private_key(name: &str) -> EncodingKey {
    let pem = fixture_bytes(&format!("{name}.key.pem"));
    let read = match name.split('_').next() {
        Some("rsa") => EncodingKey::from_rsa_pem,
        Some("ec") => EncodingKey::from_ec_pem,
        _ => EncodingKey::from_ed_pem,
    };
    read(&pem).unwrap()
}

fn public_pem(name: &str) -> Vec<u8> {
    fixture_bytes(&format!("{name}.pub.pem"))
}

/// The public key as a JWK, with `change` applied.
fn jwk(name: &str, algorithm: Algorithm, kid: &str, change: impl FnOnce(&mut Value)) -> Value {
    let jwk = Jwk::from_encoding_key(&private_key(name), algorithm).unwrap();
    let mut jwk = serde_json::to_value(jwk).unwrap();
    jwk["kid"] = json!(kid);
    change(&mut jwk);
    jwk
}

/// Claims that every rule admits, with `change` applied.
fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = json!({"sub": "u1", "role": "platform_admin", "exp": NOW_S + 60});
    change(&mut claims);
    claims
}

fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap()
}

fn hs256(claims: &Value) -> String {
    sign(
        &Header::default(),
        claims,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
}

/// Any header text and any claims text, rightly signed with the secret.
fn hs256_raw(header: &str, claims: &str) -> String {
    let encode = |text: &str| base64url(text.as_bytes());
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.unwrap())
}

/// Base64url without padding, by way of a JWK, whose public form writes a secret so.
fn base64url(bytes: &[u8]) -> String {
    let key = jsonwebtoken::DecodingKey::from_secret(bytes);
    let jwk = serde_json::to_value(Jwk::from_decoding_key(&key, None).unwrap()).unwrap();
    jwk["k"].as_str().unwrap().to_owned()
}

fn with_kid(algorithm: Algorithm, kid: &str) -> Header {
    Header {
        kid: Some(kid.to_owned()),
        ..Header::new(algorithm)
    }
}

fn settings(keys: AuthKeys) -> Auth {
    Auth {
        keys,
        previous_secret_file: None,
        permitted_roles: vec!["platform_admin".into()],
        publisher_roles: vec!["service".into()],
        audiences: Vec::new(),
        issuers: Vec::new(),
        leeway: Duration::from_secs(5),
        token_ttl_max: None,
        ticket_ttl: Duration::from_secs(30),
    }
}

fn with_secret() -> Auth {
    settings(AuthKeys::Secret(SECRET.into()))
}

fn verify(auth: &Auth, jwt: &str) -> Result<Identity, Reason> {
    match block_on(Authenticator::start(auth).unwrap().verify(jwt, NOW_MS)) {
        Ok(identity) => Ok(identity),
        Err(Refusal::Unauthenticated(reason)) => Err(reason),
        Err(Refusal::Unavailable(why)) => panic!("{why}"),
    }
}

fn pem(name: &str, algorithm: Algorithm) -> AuthKeys {
    AuthKeys::Pem {
        path: fixture(&format!("{name}.pub.pem")),
        algorithm,
    }
}

fn rsa(name: &str, kid: &str) -> Value {
    jwk(name, Algorithm::RS256, kid, |_| {})
}

fn document(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

fn rs256(name: &str, kid: &str) -> String {
    sign(
        &with_kid(Algorithm::RS256, kid),
        &claims(|_| {}),
        &private_key(name),
    )
}
