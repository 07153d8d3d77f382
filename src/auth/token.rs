//! What a JWT says and whether it holds now. Pure: keys and time are given.
//!
//! The signature, the algorithm and the shape are the library's work; the times are judged here,
//! because the library reads the clock itself, grants 60 s and leaves `nbf` alone unless told.

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config;
use crate::domain::message::UserId;

/// Longest token in bytes; anything longer is refused before any work is spent on it.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Latest time a claim may name, in seconds: the end of the year 9998. Beyond it lie times that cannot
/// be printed and issuers that write milliseconds.
const SECONDS_MAX: f64 = 253_370_764_799.0;

/// Whose token it was and how long it holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    pub user: UserId,
    /// From `role` and `roles`, as written.
    pub roles: Vec<String>,
    /// `exp`, in milliseconds since the Unix epoch, without leeway: streams end at it.
    pub expires_at_ms: u64,
    /// `iat`, likewise.
    pub issued_at_ms: Option<u64>,
    /// `jti`.
    pub token_id: Option<String>,
}

/// Why a token was not taken. The client is told only which of the two it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 401: the token is at fault. The reason is for the log and `check-token`.
    #[error("{0}")]
    Unauthenticated(#[from] Reason),
    /// 503: there is no key to judge it by, and why.
    #[error("no signing keys yet: {0}")]
    Unavailable(String),
}

/// What exactly is wrong with a token. Never holds a part of it, except a `kid`, which is shortened
/// and escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    #[error("the token is not three base64url parts")]
    Shape,
    #[error("the header is no JSON object with a known alg")]
    Header,
    #[error("the header has crit, and no extension is understood")]
    Critical,
    #[error("the algorithm {0:?} is not among those configured")]
    Algorithm(Algorithm),
    #[error("no key has the kid \"{0}\" and this algorithm")]
    UnknownKey(String),
    #[error("the token names no kid, and not exactly one key fits")]
    UnnamedKey,
    #[error("the signature does not match")]
    Signature,
    #[error("the claims are no JSON object, or hold one claim twice")]
    Claims,
    #[error("exp is missing")]
    NoExpiry,
    #[error("{0} is no time in seconds since 1970")]
    NoTime(&'static str),
    #[error("exp passed {} s ago", .0.as_secs_f64())]
    Expired(Duration),
    #[error("{0} is still {ahead} s away", ahead = .1.as_secs_f64())]
    NotYet(&'static str, Duration),
    #[error("exp is further away than tokens may live")]
    LivesTooLong,
    #[error("aud is missing or not the one configured")]
    Audience,
    #[error("iss is missing or not the one configured")]
    Issuer,
    #[error("neither sub nor userId is there")]
    NoUser,
    #[error("the user is neither an integer nor a text of 1 to {max} bytes without control characters", max = UserId::BYTES_MAX)]
    User,
}

impl Reason {
    /// For a `kid` as an outsider wrote it.
    pub(super) fn unknown_key(kid: &str) -> Self {
        Self::UnknownKey(
            kid.chars()
                .take(64)
                .flat_map(char::escape_default)
                .collect(),
        )
    }
}

/// What is asked of claims besides a signature.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(super) leeway_ms: u64,
    ttl_max_ms: Option<u64>,
    audiences: Vec<String>,
    issuers: Vec<String>,
}

impl From<&config::Auth> for Rules {
    fn from(auth: &config::Auth) -> Self {
        Self {
            leeway_ms: millis(auth.leeway),
            ttl_max_ms: auth.token_ttl_max.map(millis),
            audiences: auth.audiences.clone(),
            issuers: auth.issuers.clone(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads the header, which is not yet to be believed. Of what it holds only `alg` and `kid` are ever
/// used; `jku`, `x5u`, `jwk` and their like would let a token choose its own key.
///
/// # Errors
/// Too long, no JWT, or with a `crit` extension.
pub fn read_header(jwt: &str) -> Result<Header, Reason> {
    if jwt.len() > TOKEN_BYTES_MAX {
        return Err(Reason::TooLong);
    }
    let header = jsonwebtoken::decode_header(jwt).map_err(|error| match error.kind() {
        ErrorKind::Json(_) => Reason::Header,
        _ => Reason::Shape,
    })?;
    match header.crit {
        Some(_) => Err(Reason::Critical),
        None => Ok(header),
    }
}

/// How the library is to check a token: signature and algorithm, nothing else.
pub fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

/// The claims that count, as written. A struct, because in one a claim that is there twice is an
/// error, where in a map the last would win unseen.
#[derive(Debug, Deserialize)]
pub struct Claims {
    sub: Option<Value>,
    #[serde(rename = "userId")]
    user_id: Option<Value>,
    role: Option<Value>,
    roles: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    iat: Option<Value>,
    aud: Option<Value>,
    iss: Option<Value>,
    jti: Option<Value>,
}

impl Claims {
    /// # Errors
    /// The signature is not by `key`, or there are no readable claims.
    pub fn open(jwt: &str, key: &DecodingKey, validation: &Validation) -> Result<Self, Reason> {
        let token = jsonwebtoken::decode(jwt, key, validation);
        token
            .map(|token| token.claims)
            .map_err(|error| match error.kind() {
                ErrorKind::Json(_) | ErrorKind::Utf8(_) => Reason::Claims,
                ErrorKind::Base64(_) | ErrorKind::InvalidToken => Reason::Shape,
                _ => Reason::Signature,
            })
    }

    /// Whether they hold at `now_ms`, milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn judge(self, rules: &Rules, now_ms: u64) -> Result<Identity, Reason> {
        let expires_at_ms = self.expiry(rules, now_ms)?;
        let issued_at_ms = past(&self.iat, "iat", rules, now_ms)?;
        past(&self.nbf, "nbf", rules, now_ms)?;
        // Where no audience is configured, aud is not looked at on purpose: one key, one service is
        // the common case, and issuers put anything into it.
        if !admits(&rules.audiences, &self.aud) {
            return Err(Reason::Audience);
        }
        // One text, where `aud` may be several (RFC 7519, section 4.1.1).
        let issuer = self.iss.filter(Value::is_string);
        if !admits(&rules.issuers, &issuer) {
            return Err(Reason::Issuer);
        }
        let user = self
            .sub
            .as_ref()
            .or(self.user_id.as_ref())
            .ok_or(Reason::NoUser)?;
        Ok(Identity {
            user: text(user)
                .and_then(|text| UserId::parse(&text))
                .ok_or(Reason::User)?,
            roles: [strings(&self.role), strings(&self.roles)].concat(),
            expires_at_ms,
            issued_at_ms,
            token_id: self.jti.as_ref().and_then(text),
        })
    }

    fn expiry(&self, rules: &Rules, now_ms: u64) -> Result<u64, Reason> {
        let written = self.exp.as_ref().ok_or(Reason::NoExpiry)?;
        let exp_ms = time_ms(written).ok_or(Reason::NoTime("exp"))?;
        if exp_ms.saturating_add(rules.leeway_ms) <= now_ms {
            return Err(Reason::Expired(Duration::from_millis(now_ms - exp_ms)));
        }
        let ahead_ms = exp_ms.saturating_sub(now_ms);
        match rules.ttl_max_ms {
            Some(max_ms) if ahead_ms > max_ms.saturating_add(rules.leeway_ms) => {
                Err(Reason::LivesTooLong)
            }
            _ => Ok(exp_ms),
        }
    }
}

/// A time that, where it is there, must not lie ahead.
fn past(
    claim: &Option<Value>,
    name: &'static str,
    rules: &Rules,
    now_ms: u64,
) -> Result<Option<u64>, Reason> {
    let Some(written) = claim else {
        return Ok(None);
    };
    let at_ms = time_ms(written).ok_or(Reason::NoTime(name))?;
    if at_ms > now_ms.saturating_add(rules.leeway_ms) {
        return Err(Reason::NotYet(name, Duration::from_millis(at_ms - now_ms)));
    }
    Ok(Some(at_ms))
}

/// A NumericDate (RFC 7519, section 2): seconds, possibly with a fraction.
fn time_ms(value: &Value) -> Option<u64> {
    let seconds = value.as_f64()?;
    (0.0..=SECONDS_MAX)
        .contains(&seconds)
        .then_some((seconds * 1000.0) as u64)
}

/// A text, or an integer as its decimal text, which is how many Node services write user ids.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

/// A text or a list of texts; of any other form nothing at all is taken.
fn strings(claim: &Option<Value>) -> Vec<String> {
    match claim {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn admits(wanted: &[String], claim: &Option<Value>) -> bool {
    wanted.is_empty() || strings(claim).iter().any(|given| wanted.contains(given))
}

/// A token signed with an HS256 secret, for development and the command line.
///
/// # Errors
/// Only what the library may find wrong with signing, which for HS256 is nothing.
pub fn sign_hs256(
    secret: &str,
    user: &UserId,
    role: &str,
    ttl: Duration,
    now_ms: u64,
) -> anyhow::Result<String> {
    let issued_s = now_ms / 1000;
    let claims = json!({
        "sub": user.as_str(),
        "role": role,
        "iat": issued_s,
        "exp": issued_s.saturating_add(ttl.as_secs()),
        "jti": uuid::Uuid::new_v4(),
    });
    let key = EncodingKey::from_secret(secret.as_bytes());
    Ok(jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &key,
    )?)
}
