//! Tokens as an issuer would make them, good and bad.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{EncodingKey, Header, encode};
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

/// Seconds since the Unix epoch.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}
