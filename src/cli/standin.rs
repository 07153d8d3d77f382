//! MERGE: delete this file and its `mod` line, then in `src/cli` replace `crate::cli::standin::` by
//! `crate::`. It has the signatures of rooms that are built elsewhere, so that the code here is
//! type-checked meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

pub mod config {
    use super::*;
    use crate::config::{AuthKeys, is_loopback};

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    pub struct ConfigError(String);

    #[allow(dead_code)]
    #[derive(Debug, Default)]
    pub struct Overrides {
        pub host: Option<String>,
        pub port: Option<u16>,
        pub dev: bool,
        pub dev_secret: Option<String>,
    }

    pub struct Settings {
        pub http: Http,
        pub auth: Auth,
    }
    pub struct Http {
        pub host: String,
        pub port: u16,
    }
    pub struct Auth {
        pub keys: AuthKeys,
    }

    impl Settings {
        pub fn load(
            _file: Option<&Path>,
            environment: &BTreeMap<String, String>,
            overrides: &Overrides,
        ) -> Result<Self, ConfigError> {
            let secret = environment.get("JWT_SECRET").cloned();
            let secret = secret.or(overrides.dev.then(|| "d".repeat(32)));
            let host = environment.get("HOST").cloned();
            let host = overrides
                .host
                .clone()
                .or(host)
                .unwrap_or("127.0.0.1".into());
            let _ = is_loopback(&host);
            Ok(Self {
                http: Http {
                    host,
                    port: overrides.port.unwrap_or(3001),
                },
                auth: Auth {
                    keys: AuthKeys::Secret(secret.ok_or(ConfigError(
                        "JWT_SECRET is not set: give at least 32 bytes, or start with --dev".into(),
                    ))?),
                },
            })
        }
        pub fn masked(&self) -> String {
            format!("host = {:?}\n", self.http.host)
        }
    }
}

pub mod auth {
    use super::*;
    use crate::domain::message::UserId;
    use std::time::Duration;

    pub struct Authenticator;
    #[allow(dead_code)]
    pub struct Identity {
        pub user: UserId,
        pub roles: Vec<String>,
        pub expires_at_ms: u64,
        pub issued_at_ms: Option<u64>,
        pub token_id: Option<String>,
    }
    #[derive(Debug)]
    pub struct Refusal;
    impl fmt::Display for Refusal {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("stand-in")
        }
    }
    #[allow(dead_code)]
    #[derive(Debug, Clone, Copy)]
    pub enum Access {
        Admin,
        Publisher,
        None,
    }
    impl Authenticator {
        pub fn start(_auth: &super::config::Auth) -> anyhow::Result<Self> {
            Ok(Self)
        }
        pub async fn verify(&self, _jwt: &str, _now_ms: u64) -> Result<Identity, Refusal> {
            Err(Refusal)
        }
        pub fn access(&self, _identity: &Identity) -> Access {
            Access::None
        }
    }
    pub fn sign_hs256(
        secret: &str,
        user: &UserId,
        role: &str,
        ttl: Duration,
        now_ms: u64,
    ) -> anyhow::Result<String> {
        let claims = serde_json::json!({
            "sub": user.as_str(), "role": role,
            "iat": now_ms / 1000, "exp": now_ms / 1000 + ttl.as_secs(),
        });
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        Ok(jsonwebtoken::encode(
            &jsonwebtoken::Header::default(),
            &claims,
            &key,
        )?)
    }
}

pub mod app {
    pub async fn serve(_settings: super::config::Settings, _demo: bool) -> anyhow::Result<()> {
        Ok(())
    }
}
