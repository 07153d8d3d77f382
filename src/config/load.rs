//! From everything that was written to checked settings.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Value;

use super::aggregates::{self, WrittenAggregate};
use super::alerting::{WrittenAlert, WrittenWebhook};
use super::entries::WrittenMetric;
use super::environment::DATABASE_URL;
use super::error::ConfigError;
use super::kinds::Kind;
use super::outboxes::WrittenOutbox;
use super::sources::WrittenSource;
use super::written::{self, Reader};
use super::{
    AuthKeys, Covered, Durability, Settings, Source, auth_keys, is_loopback, keys, kinds, secrets,
};

/// What the command line says, over everything else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--host`.
    pub host: Option<String>,
    /// `--port`.
    pub port: Option<u16>,
    /// `--dev`: a secret is made where there is no key, and only loopback is listened on.
    pub dev: bool,
    /// The secret for development where there is no key; `None`: a new random one. A reload gives
    /// the one in force again, or every token made so far would be refused.
    pub dev_secret: Option<String>,
}

impl Settings {
    /// The settings from defaults, `file`, `environment` and `overrides`, in rising order. Where no
    /// file is named, `./config.toml` is read if it is there.
    ///
    /// # Errors
    /// The first thing wrong, in one line without secrets.
    pub fn load(
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let (name, text) = written::read_file(file, Path::new(""))?;
        Self::parse(&name, &text, environment, overrides)
    }

    /// As [`Settings::load`], with the text of the file; `name` is what errors call it.
    ///
    /// # Errors
    /// The first thing wrong, in one line without secrets.
    pub fn parse(
        name: &str,
        text: &str,
        environment: &BTreeMap<String, String>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let table = written::parse(name, text)?;
        let mut reader = Reader::new(&table, environment, overrides);
        let auth_keys = match auth_keys::read(&mut reader)? {
            Some(keys) => keys,
            None if overrides.dev => dev_secret(overrides),
            None => return Err(ConfigError::NoKey),
        };
        let mut settings = Self::with_keys(auth_keys);
        settings.dev = overrides.dev;
        settings.covered = Covered::find(&reader);
        keys::visit(&mut settings, &mut reader)?;
        let database_url = database_url(&reader)?;
        settings.share_store(database_url.as_deref());
        settings.metrics = reader.list::<WrittenMetric>(None)?;
        settings.sources = reader.list::<WrittenSource>(database_url.as_deref())?;
        let outboxes = reader.list::<WrittenOutbox>(database_url.as_deref())?;
        settings.add_outboxes(outboxes)?;
        settings.aggregates = reader.list::<WrittenAggregate>(None)?;
        settings.alerts = reader.list::<WrittenAlert>(None)?;
        settings.webhooks = reader.list::<WrittenWebhook>(None)?;
        settings.check_together(&reader)?;
        Ok(settings)
    }

    /// Several hubs keep what they keep together where a PostgreSQL database is named. For one alone it is
    /// where its sources read, and nobody asked for tables in it.
    fn share_store(&mut self, database_url: Option<&str>) {
        let is_one_of_several = self.redis.url.is_some();
        let is_kept = self.store.durability != Durability::Memory && self.store.url.is_none();
        if let Some(url) = database_url.filter(|_| is_one_of_several && is_kept) {
            self.store.url = secrets::postgres_url().read(&Value::from(url));
        }
    }

    /// They are sources too, and known by their names as those are by their metrics.
    fn add_outboxes(&mut self, outboxes: Vec<Source>) -> Result<(), ConfigError> {
        for (index, outbox) in outboxes.into_iter().enumerate() {
            let has_it = |source: &Source| source.metric == outbox.metric;
            if let Some(source) = self.sources.iter().position(has_it) {
                let key = format!("outbox.{}.name", index + 1);
                let allowed = format!(
                    "a name that no source has, and source.{} has it",
                    source + 1
                );
                let name = Value::from(outbox.metric.as_str());
                return Err(ConfigError::value(&key, &name, allowed));
            }
            self.sources.push(outbox);
        }
        Ok(())
    }

    /// What no setting shows alone.
    fn check_together(&self, reader: &Reader<'_>) -> Result<(), ConfigError> {
        let (from, to) = self.realtime.reconnect_spread;
        if from > to {
            let allowed = format!(
                "at least realtime.reconnect_spread_min_ms, which is {}",
                from.as_millis()
            );
            let key = "realtime.reconnect_spread_max_ms";
            return Err(ConfigError::value(key, &to.as_millis(), allowed));
        }
        if self.http.message_bytes_max > self.http.body_bytes_max {
            let allowed = format!(
                "at most http.body_bytes_max, which is {}",
                self.http.body_bytes_max
            );
            let key = "http.message_bytes_max";
            return Err(ConfigError::value(
                key,
                &self.http.message_bytes_max,
                allowed,
            ));
        }
        self.tls.check()?;
        aggregates::check_together(&self.aggregates, &self.sources)?;
        let is_secret = matches!(
            self.auth.keys,
            AuthKeys::Secret(_) | AuthKeys::SecretFile(_)
        );
        if self.auth.previous_secret_file.is_some() && !is_secret {
            let key = reader.origin("auth.previous_secret_file");
            let reason = "it only makes sense beside a secret";
            return Err(ConfigError::misplaced(key, reason));
        }
        if self.audit.required && !self.audit.enabled {
            let allowed = "true where audit.required is true";
            return Err(ConfigError::value("audit.enabled", &false, allowed));
        }
        if self.store.url.is_some() && self.store.durability == Durability::Memory {
            let allowed = "process or power where there is a store.url";
            let memory = Value::from("memory");
            return Err(ConfigError::value("store.durability", &memory, allowed));
        }
        if self.dev && !is_loopback(&self.http.host) {
            let host = Value::from(self.http.host.as_str());
            let allowed = "with --dev a loopback address: 127.0.0.1, ::1 or localhost";
            return Err(ConfigError::value(
                &reader.origin("http.host"),
                &host,
                allowed,
            ));
        }
        let health = self.http.health_listen;
        if let Some(health) = health.filter(|it| self.dev && !it.ip().is_loopback()) {
            let allowed = "with --dev a loopback address, such as 127.0.0.1:3002";
            let health = Value::from(health.to_string());
            return Err(ConfigError::value("http.health_listen", &health, allowed));
        }
        Ok(())
    }
}

/// 256 random bits, as long as HS256 can use, unless the one in force is given.
fn dev_secret(overrides: &Overrides) -> AuthKeys {
    let random = || {
        format!(
            "{:032x}{:032x}",
            rand::random::<u128>(),
            rand::random::<u128>()
        )
    };
    AuthKeys::Secret(overrides.dev_secret.clone().unwrap_or_else(random))
}

fn database_url(reader: &Reader<'_>) -> Result<Option<String>, ConfigError> {
    let read = |text| kinds::read(DATABASE_URL, &secrets::database_url(), &Value::from(text));
    reader.environment().get(DATABASE_URL).map(read).transpose()
}
