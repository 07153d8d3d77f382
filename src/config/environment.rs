//! What environment variables and flags say, over the file.

use std::collections::BTreeMap;

use toml::Value;

use super::error::{ConfigError, shown};
use super::load::Overrides;

/// Every variable that is looked at, with the key of the file that it goes over. `DATABASE_URL` is
/// for the `sql` sources that name no URL.
pub const VARIABLES: [(&str, Option<&str>); 22] = [
    ("REAL_TIME_ENABLED", Some("realtime.enabled")),
    (
        "REAL_TIME_UPDATE_INTERVAL",
        Some("realtime.update_interval_ms"),
    ),
    (
        "REAL_TIME_HEARTBEAT_INTERVAL",
        Some("realtime.heartbeat_interval_ms"),
    ),
    (
        "REAL_TIME_CLEANUP_INTERVAL",
        Some("realtime.cleanup_interval_ms"),
    ),
    (
        "REAL_TIME_BUFFER_FLUSH_INTERVAL",
        Some("realtime.buffer_flush_interval_ms"),
    ),
    ("WEBSOCKET_ENABLED", Some("websocket.enabled")),
    ("WEBSOCKET_PATH", Some("websocket.path")),
    (
        "WEBSOCKET_PING_INTERVAL",
        Some("websocket.ping_interval_ms"),
    ),
    (
        "MAX_CONNECTIONS_PER_USER",
        Some("sessions.connections_per_user_max"),
    ),
    ("MAX_BUFFER_SIZE", Some("sessions.backlog_messages_max")),
    ("CONNECTION_TIMEOUT", Some("sessions.timeout_ms")),
    ("CONSOLE_ENABLED", Some("console.enabled")),
    (JWT_SECRET, Some("auth.secret")),
    (JWT_SECRET_FILE, Some("auth.secret_file")),
    (
        "JWT_PREVIOUS_SECRET_FILE",
        Some("auth.previous_secret_file"),
    ),
    ("HOST", Some("http.host")),
    ("PORT", Some("http.port")),
    ("REDIS_URL", Some("redis.url")),
    (DATABASE_URL, None),
    ("RUST_LOG", Some("log.filter")),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", Some("traces.endpoint")),
    ("OTEL_SERVICE_NAME", Some("traces.service_name")),
];
pub const JWT_SECRET: &str = "JWT_SECRET";
pub const JWT_SECRET_FILE: &str = "JWT_SECRET_FILE";
pub const DATABASE_URL: &str = "DATABASE_URL";

/// The environment the program was started with. An empty variable counts as unset, because that is
/// how compose files and unit files unset one.
#[derive(Clone, Copy)]
pub struct Environment<'a>(pub &'a BTreeMap<String, String>);

impl<'a> Environment<'a> {
    pub fn get(self, variable: &str) -> Option<&'a str> {
        let text = self.0.get(variable)?;
        (!text.is_empty()).then_some(text)
    }

    /// The variable that goes over `key`, and what it says.
    pub fn over(self, key: &str) -> Option<(&'static str, &'a str)> {
        let (variable, _) = VARIABLES.iter().find(|(_, over)| *over == Some(key))?;
        Some((variable, self.get(variable)?))
    }

    /// `value` with each `${VARIABLE}` in its texts replaced; `$${` stands for `${`. What comes from a
    /// variable is taken as it is.
    pub fn interpolate(self, key: &str, value: &Value) -> Result<Value, ConfigError> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill_in(key, text)?),
            Value::Table(table) => {
                let filled = table.iter().map(|(name, inner)| {
                    let inner = self.interpolate(&format!("{key}.{}", shown(name)), inner)?;
                    Ok((name.clone(), inner))
                });
                Value::Table(filled.collect::<Result<_, ConfigError>>()?)
            }
            other => other.clone(),
        })
    }

    fn fill_in(self, key: &str, text: &str) -> Result<String, ConfigError> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            match (before.strip_suffix('$'), after.split_once('}')) {
                (None, Some((variable, after))) if is_variable_name(variable) => {
                    let missing = || ConfigError::Variable {
                        key: key.to_owned(),
                        variable: shown(variable),
                    };
                    filled = filled + before + self.get(variable).ok_or_else(missing)?;
                    rest = after;
                }
                (escaped, _) => {
                    filled = filled + escaped.unwrap_or(before) + "${";
                    rest = after;
                }
            }
        }
        Ok(filled + rest)
    }
}

/// Anything else between `${` and `}` is more likely part of a password than a name.
fn is_variable_name(text: &str) -> bool {
    let in_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !text.is_empty() && text.bytes().all(in_name)
}

impl Overrides {
    /// The flag that goes over `key`, and what it says.
    pub(super) fn over(&self, key: &str) -> Option<(&'static str, String)> {
        match key {
            "http.host" => Some(("--host", self.host.clone()?)),
            "http.port" => Some(("--port", self.port?.to_string())),
            _ => None,
        }
    }
}
