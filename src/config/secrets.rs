//! What must never be shown: keys, tokens, the credentials in URLs and headers.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use toml::Value;
use toml::map::Map;
use url::Url;

use super::kinds::{Kind, Text, text};
use super::redis::{RedisUrl, Topology};

/// What is shown in place of a secret.
pub const MASK: &str = "***";

/// HMAC-SHA-256 is as strong as its key up to the length of its output (RFC 7518, section 3.2).
const JWT_SECRET_BYTES_MIN: usize = 32;
const TOKEN_BYTES_MIN: usize = 16;
/// Random bytes in any usual notation have far more; `changemechangeme…` has 7.
const DISTINCT_BYTES_MIN: usize = 8;
/// What the placeholders in other people's examples have in common.
const PLACEHOLDERS: [&str; 9] = [
    "changeme",
    "change-me",
    "change_me",
    "change-this",
    "change_this",
    "your-",
    "your_",
    "super-secret",
    "supersecret",
];

const GOOD_SECRET: &str = "a secret of at least 32 bytes that is no placeholder and not repeated, such as \
     `openssl rand -hex 32` makes; a PEM key goes into auth.public_key_file";

/// A text that nobody may see.
pub struct Hidden(Text<String>);

/// The secret that JWTs are signed with.
pub fn jwt_secret() -> Hidden {
    Hidden(text(GOOD_SECRET, |secret| {
        is_good_secret(secret).then(|| secret.to_owned())
    }))
}

/// Whether JWTs may be signed with `secret`, wherever it stands.
pub fn is_good_secret(secret: &str) -> bool {
    secret.len() >= JWT_SECRET_BYTES_MIN && !secret.contains("-----BEGIN") && !is_guessable(secret)
}

/// What they may be signed with, in words that fit after "allowed is".
pub fn good_secret() -> &'static str {
    GOOD_SECRET
}

/// A bearer token that callers must know.
pub fn bearer_token() -> Hidden {
    Hidden(text(
        "a token of at least 16 printable ASCII characters without spaces",
        |token| {
            let good =
                token.len() >= TOKEN_BYTES_MIN && token.bytes().all(|b| b.is_ascii_graphic());
            good.then(|| token.to_owned())
        },
    ))
}

pub const GOOD_WEBHOOK_SECRET: &str = "whsec_ and the base64 of 24 to 64 random bytes, such as \
     `echo whsec_$(openssl rand -base64 32)` makes";

/// What notifications are signed with, as Standard Webhooks writes it.
pub fn webhook_secret() -> Hidden {
    Hidden(text(GOOD_WEBHOOK_SECRET, |secret| {
        webhook_key(secret).map(|_| secret.to_owned())
    }))
}

/// The key in such a secret; `None` for what is none.
pub fn webhook_key(secret: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    let mut distinct = key.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let good = (24..=64).contains(&key.len()) && distinct.len() >= DISTINCT_BYTES_MIN;
    good.then_some(key)
}

/// Where notifications go. Of many receivers whoever knows the path may send there, so it is hidden.
pub struct WebhookUrl;

impl Kind for WebhookUrl {
    type Meant = String;
    const SECRET: bool = true;

    fn allowed(&self) -> String {
        "a URL that begins with https:// or http://".to_owned()
    }

    fn read(&self, value: &Value) -> Option<String> {
        parse_url(value.as_str()?, &WEB_SCHEMES)
    }

    fn write(&self, meant: &String) -> Option<Value> {
        Some(meant.as_str().into())
    }

    fn shown(&self, value: &Value) -> Value {
        let origin = value.as_str().map(super::origin_of);
        let shown = origin.map_or_else(|| MASK.to_owned(), |it| format!("{it}/{MASK}"));
        Value::String(shown)
    }
}

fn is_guessable(secret: &str) -> bool {
    let lower = secret.to_lowercase();
    let mut distinct = secret.as_bytes().to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.len() < DISTINCT_BYTES_MIN
        || is_repetition(secret.as_bytes())
        || PLACEHOLDERS.iter().any(|known| lower.contains(known))
}

/// Whether `bytes` is a shorter text over and over, the last time perhaps cut.
fn is_repetition(bytes: &[u8]) -> bool {
    (1..=bytes.len() / 2).any(|period| bytes[period..] == bytes[..bytes.len() - period])
}

impl Kind for Hidden {
    type Meant = String;
    const SECRET: bool = true;

    fn allowed(&self) -> String {
        self.0.allowed()
    }

    fn read(&self, value: &Value) -> Option<String> {
        self.0.read(value)
    }

    fn write(&self, meant: &String) -> Option<Value> {
        self.0.write(meant)
    }
}

/// A URL of which the credentials are hidden.
pub struct Link(Text<String>);

const WEB_SCHEMES: [&str; 2] = ["https", "http"];
const DATABASE_SCHEMES: [&str; 5] = ["postgres", "postgresql", "mysql", "mariadb", "sqlite"];
const POSTGRES_SCHEMES: [&str; 2] = ["postgres", "postgresql"];

/// Where an HTTP source or a JWKS document is.
pub fn web_url() -> Link {
    Link(text("a URL that begins with https:// or http://", |url| {
        parse_url(url, &WEB_SCHEMES)
    }))
}

/// Where a database is.
pub fn database_url() -> Link {
    Link(text(
        "a URL that begins with postgres://, mysql:// or sqlite:",
        |url| parse_url(url, &DATABASE_SCHEMES),
    ))
}

/// Where Redis is.
pub struct RedisLink;

impl Kind for RedisLink {
    type Meant = RedisUrl;
    const SECRET: bool = true;

    fn allowed(&self) -> String {
        "redis://host:port, redis-sentinel://host:port,.../name or redis-cluster://host:port,..., each also \
         with rediss for TLS and with user:password@ before the hosts"
            .to_owned()
    }

    fn read(&self, value: &Value) -> Option<RedisUrl> {
        RedisUrl::parse(value.as_str()?)
    }

    fn write(&self, meant: &RedisUrl) -> Option<Value> {
        Some(Value::String(meant.print(false)))
    }

    fn shown(&self, value: &Value) -> Value {
        let meant = value.as_str().and_then(RedisUrl::parse);
        let shown = meant.map_or_else(|| MASK.to_owned(), |url| url.print(true));
        Value::String(shown)
    }
}

/// Where a database is that keeps what the hub keeps.
pub fn postgres_url() -> Link {
    Link(text("a URL that begins with postgres://", |url| {
        parse_url(url, &POSTGRES_SCHEMES)
    }))
}

/// Where traces go. Who may send them there is said by headers; a user in the URL would be sent nowhere.
pub fn collector_url() -> Link {
    Link(text(
        "a URL that begins with http:// or https://, without a user, a query and a fragment",
        |text| {
            let url = Url::parse(text).ok()?;
            let is_plain = url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none();
            is_plain.then(|| parse_url(text, &WEB_SCHEMES))?
        },
    ))
}

/// Where a source of a kind not yet known is.
pub fn source_url() -> Link {
    Link(text(
        "for sql a URL that begins with postgres://, mysql:// or sqlite:, for http and prometheus one that begins \
         with https:// or http://, for redis one with redis:// or rediss://, for postgres_notify one with postgres://",
        |url| {
            parse_url(url, &WEB_SCHEMES)
                .or_else(|| parse_url(url, &DATABASE_SCHEMES))
                .or_else(|| parse_redis_server(url))
        },
    ))
}

/// What the URL of a Redis that is read is, in words that fit after "allowed is".
pub const REDIS_SERVER: &str = "the URL of one server, redis://host:port or rediss://host:port, also with user:password@ before the host";

/// Where a Redis is that is read.
pub fn redis_server_url() -> Link {
    Link(text(REDIS_SERVER, parse_redis_server))
}

fn parse_redis_server(text: &str) -> Option<String> {
    let url = RedisUrl::parse(text)?;
    (url.topology == Topology::Single).then(|| text.to_owned())
}

/// The database of the environment, where it is a PostgreSQL.
pub fn if_postgres(database_url: Option<&str>) -> Option<String> {
    parse_url(database_url?, &POSTGRES_SCHEMES)
}

fn parse_url(text: &str, schemes: &[&str]) -> Option<String> {
    let url = Url::parse(text).ok()?;
    schemes.contains(&url.scheme()).then(|| text.to_owned())
}

impl Kind for Link {
    type Meant = String;
    const SECRET: bool = true;

    fn allowed(&self) -> String {
        self.0.allowed()
    }

    fn read(&self, value: &Value) -> Option<String> {
        self.0.read(value)
    }

    fn write(&self, meant: &String) -> Option<Value> {
        self.0.write(meant)
    }

    fn shown(&self, value: &Value) -> Value {
        let text = value.as_str().unwrap_or_default();
        // Whose credentials may have characters that are of another part elsewhere.
        let is_redis = text.starts_with("redis");
        let shown = match RedisUrl::parse(text).filter(|_| is_redis) {
            Some(url) => url.print(true),
            None if is_redis => MASK.to_owned(),
            None => masked_url(text),
        };
        Value::String(shown)
    }
}

/// `text` without user, password, fragment and values in the query, all of which may be credentials;
/// the mask alone where nobody knows where they are, as in `user:password@host` without a scheme.
pub fn masked_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return MASK.to_owned();
    };
    if !url.has_authority() && url.scheme() != "sqlite" {
        return MASK.to_owned();
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !has_user && url.query().is_none() && url.fragment().is_none() {
        return text.to_owned();
    }
    if has_user {
        // Both fail only for a URL without a host, which has no user either.
        let _ = url.set_password(None);
        let _ = url.set_username(MASK);
    }
    let masked = |(name, _): (_, _)| format!("{name}={MASK}");
    let query: Option<Vec<_>> = url.query().map(|_| url.query_pairs().map(masked).collect());
    url.set_fragment(None);
    url.set_query(query.map(|pairs| pairs.join("&")).as_deref());
    url.into()
}

/// Headers of a request, the values hidden.
pub struct Headers;

impl Kind for Headers {
    type Meant = BTreeMap<String, String>;
    const SECRET: bool = true;

    fn allowed(&self) -> String {
        "a table of header names, each with a text of printable ASCII".to_owned()
    }

    fn read(&self, value: &Value) -> Option<Self::Meant> {
        let header = |(name, value): (&String, &Value)| {
            let value = value.as_str()?;
            let good = is_header_name(name) && value.bytes().all(|b| matches!(b, b' '..=b'~'));
            good.then(|| (name.clone(), value.to_owned()))
        };
        value.as_table()?.iter().map(header).collect()
    }

    fn write(&self, meant: &Self::Meant) -> Option<Value> {
        let written = |(name, value): (&String, &String)| (name.clone(), value.clone().into());
        let table: Map<_, _> = meant.iter().map(written).collect();
        (!table.is_empty()).then_some(Value::Table(table))
    }

    fn shown(&self, value: &Value) -> Value {
        let masked = |(name, _): (&String, _)| (name.clone(), MASK.into());
        match value.as_table() {
            Some(table) => Value::Table(table.iter().map(masked).collect()),
            None => MASK.into(),
        }
    }
}

/// A token as RFC 9110, section 5.6.2 has it.
fn is_header_name(name: &str) -> bool {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(is_token)
}
