//! What some keys of a Redis hold.

use std::path::Path;

use anyhow::Context as _;
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, TlsCertificates, pipe,
};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::{Source, SourceError};
use crate::config::{RedisKeys, RedisUrl};
use crate::domain::pattern::MetricName;
use crate::trace::{Span, spans};

/// Reads its keys in two or three round trips; the time-out is the poller's.
pub(super) struct Redis {
    client: Client,
    keys: RedisKeys,
    bounds: Bounds,
    /// Kept between reads that went well. A read that was given up, or failed, leaves none.
    connection: Mutex<Option<MultiplexedConnection>>,
}

#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Fields of one hash.
    pub fields_max: usize,
    /// All values together.
    pub bytes_max: usize,
}

impl Redis {
    /// # Errors
    /// The file with the certificates cannot be read, or holds none.
    pub fn new(
        url: &RedisUrl,
        ca_file: Option<&Path>,
        keys: RedisKeys,
        bounds: Bounds,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client: client(url, ca_file)?,
            keys,
            bounds,
            connection: Mutex::default(),
        })
    }

    async fn get(&self) -> Result<Value, SourceError> {
        let mut kept = self.connection.lock().await;
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => {
                // The poller's time-out is the only one.
                let config = AsyncConnectionConfig::new();
                let config = config
                    .set_connection_timeout(None)
                    .set_response_timeout(None);
                let client = &self.client;
                let connect = client.get_multiplexed_async_connection_with_config(&config);
                connect.await.map_err(failed)?
            }
        };
        let value = match &self.keys {
            RedisKeys::One(key) => {
                let values = self
                    .values(&mut connection, std::slice::from_ref(key))
                    .await?;
                values.into_iter().next().unwrap_or_default()
            }
            RedisKeys::Several(keys) => {
                let values = self.values(&mut connection, keys).await?;
                let named = keys.iter().cloned().zip(values);
                Value::Object(named.collect())
            }
        };
        *kept = Some(connection);
        Ok(value)
    }

    /// One of each key. What a key's type decides is asked for when that is known, and a hash only when it is
    /// known not to be too large.
    async fn values(
        &self,
        connection: &mut MultiplexedConnection,
        keys: &[String],
    ) -> Result<Vec<Value>, SourceError> {
        let mut ask = pipe();
        for key in keys {
            ask.cmd("TYPE").arg(key);
        }
        let types: Vec<String> = ask.query_async(connection).await.map_err(failed)?;
        let mut ask = pipe();
        for (key, kind) in keys.iter().zip(&types) {
            match kind.as_str() {
                // What is too long is noticed by one byte more than is allowed.
                "string" => ask
                    .cmd("GETRANGE")
                    .arg(key)
                    .arg(0)
                    .arg(self.bounds.bytes_max),
                "hash" => ask.cmd("HLEN").arg(key),
                "list" => ask.cmd("LLEN").arg(key),
                "set" => ask.cmd("SCARD").arg(key),
                "zset" => ask.cmd("ZCARD").arg(key),
                "stream" => ask.cmd("XLEN").arg(key),
                // Not there, so that this is not found either; each answer is of one key.
                "none" => ask.cmd("GET").arg(key),
                other => {
                    return Err(SourceError::RedisType {
                        key: key.clone(),
                        kind: other.to_owned(),
                    });
                }
            };
        }
        let answers: Vec<redis::Value> = ask.query_async(connection).await.map_err(failed)?;
        let mut ask = pipe();
        let mut hashes = Vec::new();
        let mut bytes = 0;
        let mut values = Vec::with_capacity(keys.len());
        for (index, (answer, kind)) in answers.into_iter().zip(&types).enumerate() {
            values.push(match (kind.as_str(), answer) {
                (_, redis::Value::Nil) => Value::Null,
                ("hash", length) => {
                    let fields: usize = taken(length)?;
                    if fields > self.bounds.fields_max {
                        return Err(SourceError::RedisFields {
                            key: keys[index].clone(),
                            fields,
                            fields_max: self.bounds.fields_max,
                        });
                    }
                    hashes.push(index);
                    ask.cmd("HGETALL").arg(&keys[index]);
                    Value::Null
                }
                ("string" | "none", text) => self.bounded(taken(text)?, &mut bytes)?,
                (_, length) => taken::<u64>(length)?.into(),
            });
        }
        if hashes.is_empty() {
            return Ok(values);
        }
        let answers: Vec<Vec<(String, Vec<u8>)>> =
            ask.query_async(connection).await.map_err(failed)?;
        for (index, fields) in hashes.into_iter().zip(answers) {
            let mut object = Map::new();
            for (name, value) in fields {
                bytes += name.len();
                object.insert(name, self.bounded(value, &mut bytes)?);
            }
            values[index] = Value::Object(object);
        }
        Ok(values)
    }

    fn bounded(&self, value: Vec<u8>, bytes: &mut usize) -> Result<Value, SourceError> {
        *bytes += value.len();
        match *bytes > self.bounds.bytes_max {
            false => text(value),
            true => Err(SourceError::RedisBytes {
                body_bytes_max: self.bounds.bytes_max,
            }),
        }
    }
}

impl Source for Redis {
    fn span(&self, metric: &MetricName) -> Span {
        spans::query(metric, "redis")
    }

    fn read<'a>(&'a self, _: &'a mut Span) -> BoxFuture<'a, Result<Value, SourceError>> {
        Box::pin(self.get())
    }
}

/// JSON where it is any, numbers among it, and text where it is not.
fn text(bytes: Vec<u8>) -> Result<Value, SourceError> {
    let text = String::from_utf8(bytes).map_err(|_| SourceError::RedisText)?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn client(url: &RedisUrl, ca_file: Option<&Path>) -> anyhow::Result<Client> {
    let (host, port) = url.hosts.first().cloned().context("no host is named")?;
    let address = match url.tls {
        false => ConnectionAddr::Tcp(host, port),
        true => {
            // The client takes the cryptography of the process, and panics where several are built in and none is
            // chosen. Fails where one is chosen already, which is as good.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        }
    };
    // Without the name of the library, which a user with few rights may not say.
    let mut who = RedisConnectionInfo::default().set_skip_set_lib_name();
    who = who.set_db(url.database);
    if let Some(username) = &url.username {
        who = who.set_username(username);
    }
    if let Some(password) = &url.password {
        who = who.set_password(password);
    }
    let info = address.into_connection_info()?.set_redis_settings(who);
    Ok(match ca_file.filter(|_| url.tls) {
        Some(file) => {
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: Some(std::fs::read(file).context("ca_file cannot be read")?),
            };
            Client::build_with_tls(info, certificates)?
        }
        None => Client::open(info)?,
    })
}

fn failed(error: RedisError) -> SourceError {
    SourceError::Redis(error.to_string())
}

fn taken<T: FromRedisValue>(value: redis::Value) -> Result<T, SourceError> {
    FromRedisValue::from_redis_value(value).map_err(|error| SourceError::Redis(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_json_is_taken_as_such_and_else_as_text() {
        for (bytes, expected) in [
            ("42", json!(42)),
            ("-1.5", json!(-1.5)),
            (r#"{"a": [1]}"#, json!({"a": [1]})),
            ("007", json!("007")),
            ("1e999", json!("1e999")),
            ("zoë", json!("zoë")),
            ("", json!("")),
            ("null", json!(null)),
        ] {
            assert_eq!(text(bytes.into()).unwrap(), expected, "{bytes}");
        }
        assert!(matches!(text(vec![0xff]), Err(SourceError::RedisText)));
    }
}
