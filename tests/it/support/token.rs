//! Tokens as an issuer would make them, good and bad.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// What every hub under test is started with.
pub const SECRET: &str = "integration-tests-0123456789-abcdef";

/// A token for everything, for an hour.
pub fn admin(user: &str) -> String {
    token(user, "platform_admin", Duration::from_secs(3600))
}

/// A token that publishes and does nothing else.
pub fn service(user: &str) -> String {
    token(user, "service", Duration::from_secs(3600))
}

pub fn token(user: &str, role: &str, ttl: Duration) -> String {
    sign(&json!({"sub": user, "role": role, "iat": now(), "exp": now() + ttl.as_secs()}))
}

/// Any claims at all.
pub fn sign(claims: &Value) -> String {
    sign_with(&Header::default(), claims, SECRET)
}

pub fn sign_with(header: &Header, claims: &Value, secret: &str) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("claims that can be signed")
}

/// Any header and claims, as they are written, rightly signed with the secret all the same.
pub fn sign_text(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", base64url(header), base64url(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.expect("a signature"))
}

/// Without padding, by way of a JWK, whose public form writes a secret so.
fn base64url(text: &str) -> String {
    let key = DecodingKey::from_secret(text.as_bytes());
    let jwk = serde_json::to_value(Jwk::from_decoding_key(&key, None).expect("a JWK"));
    jwk.expect("JSON")["k"].as_str().expect("a key").to_owned()
}

/// The public half of a key pair of `tests/fixtures/auth`, such as `rsa_a`.
pub fn public_key(name: &str) -> PathBuf {
    fixture(&format!("{name}.pub.pem"))
}

/// As [`sign`], with the private half of a key pair.
pub fn sign_as(name: &str, algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    encode(&header, claims, &private_key(name)).expect("claims that can be signed")
}

/// The public half as a key of a JWKS document.
pub fn jwk(name: &str, algorithm: Algorithm, kid: &str) -> Value {
    let jwk = Jwk::from_encoding_key(&private_key(name), algorithm).expect("a JWK");
    let mut jwk = serde_json::to_value(jwk).expect("JSON");
    jwk["kid"] = json!(kid);
    jwk
}

fn private_key(name: &str) -> EncodingKey {
    let pem = std::fs::read(fixture(&format!("{name}.key.pem"))).expect("a key file");
    let read = match name.split('_').next() {
        Some("rsa") => EncodingKey::from_rsa_pem,
        Some("ec") => EncodingKey::from_ec_pem,
        _ => EncodingKey::from_ed_pem,
    };
    read(&pem).expect("a private key")
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/auth")
        .join(name)
}

/// Seconds since the Unix epoch.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}
