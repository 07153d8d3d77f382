//! Settings that are texts of a certain form: addresses, paths, names.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use url::Url;

use super::kinds::{Text, text};
use super::selector::Selector;
use crate::domain::pattern::{MetricName, Pattern};

/// Paths that other endpoints have, so that `websocket.path` cannot be one of them.
pub const FIXED_PATHS: [&str; 49] = [
    "/",
    "/console",
    "/console/{hash}/{name:.*}",
    "/favicon.ico",
    "/statshub.js",
    "/statshub.d.ts",
    "/statshub-react.js",
    "/statshub-react.d.ts",
    "/metrics",
    "/health",
    "/health/live",
    "/health/ready",
    "/api/docs",
    "/api/openapi.json",
    "/api/health",
    "/api/health/live",
    "/api/health/ready",
    "/api/admin/analytics/stream",
    "/api/admin/analytics/reconnect",
    "/api/admin/analytics/websocket-info",
    "/api/admin/analytics/connection-stats",
    "/api/admin/analytics/websocket-stats",
    "/api/admin/analytics/subscribe",
    "/api/admin/analytics/unsubscribe",
    "/api/admin/analytics/test-connection",
    "/api/admin/analytics/publish",
    "/api/admin/analytics/write",
    "/api/admin/analytics/events",
    "/api/admin/analytics/alerts",
    "/api/admin/analytics/alerts/{id}/acknowledge",
    "/api/admin/analytics/alerts/{id}/resolve",
    "/api/admin/analytics/rules",
    "/api/admin/analytics/rules/test",
    "/api/admin/analytics/rules/{name}",
    "/api/admin/analytics/silences",
    "/api/admin/analytics/silences/{id}",
    "/api/admin/analytics/notifications",
    "/api/admin/analytics/notifications/{id}",
    "/api/admin/analytics/notifications/{id}/retry",
    "/api/admin/analytics/history",
    "/api/admin/analytics/export",
    "/api/admin/analytics/metrics",
    "/api/admin/analytics/ticket",
    "/api/admin/analytics/refresh",
    "/api/admin/analytics/connections",
    "/api/admin/analytics/disconnect",
    "/api/admin/analytics/explain",
    "/api/admin/analytics/reload",
    "/api/admin/analytics/audit",
];

pub fn host() -> Text<String> {
    text("an IP address or a host name", |host| {
        let in_name = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
        let is_name = !host.is_empty() && host.len() <= 253 && host.bytes().all(in_name);
        (is_name || host.parse::<IpAddr>().is_ok()).then(|| host.to_owned())
    })
}

pub fn listen_address() -> Text<SocketAddr> {
    Text {
        allowed: "an IP address and a port, such as 127.0.0.1:3002 or [::]:3002",
        parse: |text| text.parse().ok(),
        print: SocketAddr::to_string,
    }
}

/// Braces are refused with everything else unusual: the router would take them for parameters.
pub fn websocket_path() -> Text<String> {
    text(
        "a path that begins with /, is made of A-Z a-z 0-9 / _ . ~ -, has no query and belongs to no \
         other endpoint",
        |path| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_.~-".contains(&b);
            let good = path.starts_with('/')
                && path.bytes().all(plain)
                && !path
                    .split('/')
                    .skip(1)
                    .any(|part| ["", ".", ".."].contains(&part))
                && !FIXED_PATHS.contains(&path);
            good.then(|| path.to_owned())
        },
    )
}

/// Exactly what a browser sends, because it is compared byte by byte.
pub fn origin() -> Text<String> {
    text(
        "an exact origin such as https://admin.example.org or http://localhost:5173, never *",
        |origin| {
            let url = Url::parse(origin).ok()?;
            let is_exact = url.origin().ascii_serialization() == origin && !origin.contains('*');
            (is_exact && matches!(url.scheme(), "http" | "https")).then(|| origin.to_owned())
        },
    )
}

pub fn network() -> Text<IpNet> {
    Text {
        allowed: "an IP address or network such as 10.0.0.0/8",
        parse: |text| {
            let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
            text.parse().ok().or_else(address)
        },
        print: IpNet::to_string,
    }
}

pub fn word() -> Text<String> {
    text(
        "a text of 1 to 256 bytes without control characters",
        |word| {
            let good = (1..=256).contains(&word.len()) && !word.chars().any(char::is_control);
            good.then(|| word.to_owned())
        },
    )
}

pub fn file() -> Text<PathBuf> {
    Text {
        allowed: "the path of a file",
        parse: |path| (!path.is_empty() && !path.contains('\0')).then(|| path.into()),
        print: |path| path.to_string_lossy().into_owned(),
    }
}

/// Braces would move the hash tag that keeps all keys together.
pub fn key_prefix() -> Text<String> {
    text("1 to 64 of A-Z a-z 0-9 _ . : -", |prefix| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
        let good = (1..=64).contains(&prefix.len()) && prefix.bytes().all(fits);
        good.then(|| prefix.to_owned())
    })
}

pub fn log_filter() -> Text<String> {
    text(
        "a log filter such as info or warn,statshub=debug",
        |filter| {
            let good = filter.split('/').next().is_some_and(are_directives)
                && env_filter::Builder::new().try_parse(filter).is_ok();
            good.then(|| filter.to_owned())
        },
    )
}

/// Whether a log filter names modules and levels. Its own parser takes any word for a module, and so
/// a mistyped level, of which it would then log nothing.
fn are_directives(filter: &str) -> bool {
    let is_level = |word: &str| word.parse::<log::LevelFilter>().is_ok();
    let is_mistyped = |word: &str| {
        let word = word.to_lowercase();
        let close =
            |level: &str| word.starts_with(level) || strsim::damerau_levenshtein(&word, level) < 3;
        log::LevelFilter::iter().any(|level| close(&level.as_str().to_lowercase()))
    };
    let is_module = |word: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_:-".contains(c);
        !word.is_empty() && word.chars().all(fits)
    };
    filter
        .split(',')
        .map(str::trim)
        .all(|directive| match directive.split_once('=') {
            Some((module, level)) => is_module(module) && (level.is_empty() || is_level(level)),
            None => is_level(directive) || is_module(directive) && !is_mistyped(directive),
        })
}

pub fn metric_name() -> Text<MetricName> {
    Text {
        allowed: "a metric name such as credits.total: 1 to 16 segments of A-Z a-z 0-9 _ -, \
                  128 characters in all",
        parse: |text| MetricName::parse(text).ok(),
        print: MetricName::to_string,
    }
}

pub fn pattern() -> Text<Pattern> {
    Text {
        allowed: "a metric name, in which * may stand for a segment and ** for all at the end",
        parse: |text| Pattern::parse(text).ok(),
        print: Pattern::to_string,
    }
}

pub fn query() -> Text<String> {
    text("one SQL query", |query| {
        (!query.trim().is_empty()).then(|| query.to_owned())
    })
}

pub fn selector() -> Text<Selector> {
    Text {
        allowed: "a selector such as http_requests_total{job=\"api\",code=~\"5..\"}, without functions and ranges",
        parse: Selector::parse,
        print: |selector| selector.as_str().to_owned(),
    }
}

pub fn redis_key() -> Text<String> {
    text("a key of 1 to 1024 bytes", |key| {
        (1..=1024).contains(&key.len()).then(|| key.to_owned())
    })
}

/// As PostgreSQL cuts longer ones.
const IDENTIFIER_BYTES_MAX: usize = 63;

pub fn channel() -> Text<String> {
    text(
        "the name of a channel, 1 to 63 bytes without control characters",
        |name| is_identifier(name).then(|| name.to_owned()),
    )
}

fn is_identifier(name: &str) -> bool {
    (1..=IDENTIFIER_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

pub fn table() -> Text<String> {
    text(
        "the name of a table as it is in the catalogue, also with its schema before it, such as app.statshub_outbox",
        |name| {
            let parts: Vec<_> = name.split('.').collect();
            let good = parts.len() <= 2 && parts.into_iter().all(is_identifier);
            good.then(|| name.to_owned())
        },
    )
}
