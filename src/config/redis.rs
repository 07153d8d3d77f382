//! `[redis]`: where the log is that several hubs share, and how it is used.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::keys::{HOUR, MINUTE};
use super::kinds::{Choice, Maybe, Millis, Number, Visitor};
use super::secrets::{self, MASK};
use super::texts::{file, key_prefix};

/// What a publisher's answer promises where the log is in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// The message is in the primary's memory.
    Primary,
    /// It is in the memory of so many replicas too.
    Replicated,
}

const ACKNOWLEDGEMENTS: Choice<Acknowledge> = Choice(&[
    ("primary", Acknowledge::Primary),
    ("replicated", Acknowledge::Replicated),
]);

/// `[redis]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Redis {
    /// `REDIS_URL`; `None`: this hub stands alone.
    pub url: Option<RedisUrl>,
    /// Certificates of authorities to trust instead of the system's, in PEM; for `rediss`.
    pub ca_file: Option<PathBuf>,
    /// What every key of the hub's begins with; hubs with the same one are one.
    pub prefix: String,
    pub acknowledge: Acknowledge,
    /// Replicas that must have a message before it is acknowledged.
    pub replicas: u32,
    /// How long one answer of Redis may take.
    pub timeout: Duration,
    /// Messages that the log keeps, roughly.
    pub log_messages_max: u64,
    /// How long a hub that says nothing any more counts as there.
    pub lease: Duration,
}

/// Takes the visitor to the keys of the section.
pub fn visit<V: Visitor>(redis: &mut Redis, v: &mut V) -> Result<(), V::Error> {
    v.visit("redis.url", Maybe(secrets::RedisLink), &mut redis.url)?;
    v.visit("redis.ca_file", Maybe(file()), &mut redis.ca_file)?;
    v.visit("redis.prefix", key_prefix(), &mut redis.prefix)?;
    v.visit(
        "redis.acknowledge",
        ACKNOWLEDGEMENTS,
        &mut redis.acknowledge,
    )?;
    v.visit("redis.replicas", Number(1..=100), &mut redis.replicas)?;
    v.visit("redis.timeout_ms", Millis(50..=MINUTE), &mut redis.timeout)?;
    v.visit(
        "redis.log_messages_max",
        Number(100..=1_000_000_000),
        &mut redis.log_messages_max,
    )?;
    v.visit("redis.lease_ms", Millis(500..=HOUR), &mut redis.lease)
}

/// Where Redis is: one server, or how to find the one that is to be used.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub topology: Topology,
    pub tls: bool,
    /// At least one.
    pub hosts: Vec<(String, u16)>,
    pub username: Option<String>,
    pub password: Option<String>,
    /// The database's number.
    pub database: i64,
}

/// How several servers stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    Single,
    /// The hosts are sentinels, which know the primary of this name.
    Sentinel(String),
    /// The hosts are nodes of a cluster.
    Cluster,
}

impl RedisUrl {
    /// `redis://`, `redis-sentinel://` or `redis-cluster://`, each with `rediss` for TLS, then
    /// `[user][:password@]host[:port][,host[:port]…]`, and behind a `/` the number of the database or, for
    /// Sentinel, the primary's name.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (scheme, tls) = match scheme.strip_prefix("rediss") {
            Some(rest) => (rest, true),
            None => (scheme.strip_prefix("redis")?, false),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (credentials, hosts),
            None => ("", authority),
        };
        let (topology, port, database) = match scheme {
            "" => (Topology::Single, 6379, path),
            "-cluster" => (Topology::Cluster, 6379, path),
            "-sentinel" if !path.is_empty() => (Topology::Sentinel(path.to_owned()), 26379, ""),
            _ => return None,
        };
        let hosts: Vec<_> = hosts.split(',').map(|it| host(it, port)).collect();
        let hosts: Option<Vec<_>> = hosts.into_iter().collect();
        let hosts = hosts.filter(|hosts| topology != Topology::Single || hosts.len() == 1)?;
        let (username, password) = match credentials.split_once(':') {
            Some((username, password)) => (decoded(username)?, decoded(password)?),
            None => (decoded(credentials)?, String::new()),
        };
        let database = match database {
            "" => 0,
            number => number.parse().ok().filter(|number| *number >= 0)?,
        };
        if topology == Topology::Cluster && database != 0 {
            return None;
        }
        Some(Self {
            topology,
            tls,
            hosts,
            username: (!username.is_empty()).then_some(username),
            password: (!password.is_empty()).then_some(password),
            database,
        })
    }

    /// As [`RedisUrl::parse`] reads it; the credentials masked where `masked`.
    pub fn print(&self, masked: bool) -> String {
        let encoded = |text: &str| {
            let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            encoded.replace('+', "%20")
        };
        let scheme = if self.tls { "rediss" } else { "redis" };
        let (kind, path) = match &self.topology {
            Topology::Single if self.database == 0 => ("", String::new()),
            Topology::Single => ("", format!("/{}", self.database)),
            Topology::Sentinel(name) => ("-sentinel", format!("/{name}")),
            Topology::Cluster => ("-cluster", String::new()),
        };
        let credentials = match (&self.username, &self.password) {
            (None, None) => String::new(),
            _ if masked => format!("{MASK}@"),
            (username, password) => {
                let username = username.as_deref().map(encoded).unwrap_or_default();
                let password = password.as_deref().map(encoded).unwrap_or_default();
                format!("{username}:{password}@")
            }
        };
        let hosts: Vec<_> = self.hosts.iter().map(printed).collect();
        format!("{scheme}{kind}://{credentials}{}{path}", hosts.join(","))
    }
}

impl fmt::Debug for RedisUrl {
    /// Never prints the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.print(true))
    }
}

fn printed((host, port): &(String, u16)) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

fn host(text: &str, port: u16) -> Option<(String, u16)> {
    // A scheme that has rules for its hosts, so that what is none is refused.
    let url = Url::parse(&format!("http://{text}")).ok()?;
    let is_host_only = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    let given = match text.rsplit_once(':') {
        Some((_, digits)) if !digits.ends_with(']') => digits.parse().ok()?,
        _ => port,
    };
    let host = url.host_str().filter(|_| is_host_only && given != 0)?;
    let host = host.trim_matches(['[', ']']);
    Some((host.to_owned(), given))
}

fn decoded(text: &str) -> Option<String> {
    // Nothing in it separates fields: a name or a password is one key without a value.
    let escaped = text
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    let mut pairs = url::form_urlencoded::parse(escaped.as_bytes());
    let (decoded, _) = pairs.next().unwrap_or_default();
    (!decoded.contains('\u{fffd}')).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_printed_again() {
        for text in [
            "redis://cache:6379",
            "redis://:secret@cache:6379/3",
            "rediss://app:p%40ss%3Aw%2Brd@cache.example.org:6380",
            "redis://[::1]:6379",
            "redis-sentinel://:x@one:26379,two:26380/primary",
            "rediss-cluster://one:7000,two:7001,three:7002",
        ] {
            let url = RedisUrl::parse(text).expect(text);
            assert_eq!(url.print(false), text);
            let shown = format!("{url:?}");
            assert!(
                !shown.contains("secret") && !shown.contains("p%40"),
                "{shown}"
            );
        }
        let url = RedisUrl::parse("rediss://app:p%40ss%3Aw%2Brd@cache").unwrap();
        assert_eq!(url.password.as_deref(), Some("p@ss:w+rd"));
        assert_eq!(url.hosts, [("cache".to_owned(), 6379)]);
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for text in [
            "",
            "cache:6379",
            "http://cache",
            "redis://",
            "redis://cache:0",
            "redis://cache:66000",
            "redis://a,b",
            "redis://cache/x",
            "redis://cache/-1",
            "redis-sentinel://one:26379",
            "redis-cluster://one/1",
            "redis-socket://one",
            "redis://a b",
        ] {
            assert_eq!(RedisUrl::parse(text), None, "{text:?}");
        }
    }
}
