//! What the settings are: for `check-config`, for a reload, and for the documents.

use std::convert::Infallible;
use std::sync::LazyLock;

use toml::{Table, Value};

use super::aggregates::WrittenAggregate;
use super::alerting::{WrittenAlert, WrittenWebhook};
use super::auth_keys::WrittenKeys;
use super::entries::{Entry, WrittenMetric};
use super::keys;
use super::kinds::{Kind, Visitor};
use super::outboxes::{self, WrittenOutbox};
use super::sources::WrittenSource;
use super::{AuthKeys, Settings, Source, SourceKind};

/// What a running hub takes over on a reload: a key, or all of a section. Everything else is built
/// into listeners, worker threads and rings of a size, and needs a restart.
pub(super) const WHILE_RUNNING: [&str; 24] = [
    "http.allowed_origins",
    "realtime.update_interval_ms",
    "realtime.heartbeat_interval_ms",
    "realtime.cleanup_interval_ms",
    "realtime.buffer_flush_interval_ms",
    "sessions.connections_per_user_max",
    "sessions.connections_max",
    "sessions.timeout_ms",
    "sessions.away_max",
    "store.retention.age_ms",
    "store.retention.messages_per_metric_max",
    "store.retention.file_bytes_max",
    "auth",
    "limits",
    "audit.retention_ms",
    "prometheus.token",
    "console",
    "log",
    "metric",
    "source",
    "outbox",
    "aggregate",
    "alert",
    "webhook",
];

/// A key of the file, for documents and their tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Section and key, such as `http.port`; for a list of tables without its place.
    pub name: String,
    /// As it would be written; `None`: nothing holds where nothing is written.
    pub default: Option<String>,
    /// In words.
    pub allowed: String,
    /// Whether a reload changes it.
    pub while_running: bool,
}

/// Every key of the file; the sections in the order of `config.toml`.
pub fn known_keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(all_keys);
    &KEYS
}

fn all_keys() -> Vec<Key> {
    let mut all = Collector::default();
    let mut settings = Settings::with_keys(AuthKeys::Secret(String::new()));
    let Ok(()) = keys::visit(&mut settings, &mut all);
    let Ok(()) = WrittenKeys::defaults().visit(&mut all);
    all.place = "metric.";
    let Ok(()) = WrittenMetric::default().visit(&mut all);
    all.place = "source.";
    let Ok(()) = WrittenSource::defaults().visit(&mut all);
    all.place = "outbox.";
    let Ok(()) = WrittenOutbox::default().visit(&mut all);
    all.place = "aggregate.";
    let Ok(()) = WrittenAggregate::defaults().visit(&mut all);
    all.place = "alert.";
    let Ok(()) = WrittenAlert::default().visit(&mut all);
    all.place = "webhook.";
    let Ok(()) = WrittenWebhook::default().visit(&mut all);
    let key = |met: Met| Key {
        while_running: is_while_running(&met.key),
        name: met.key,
        default: met.value.map(|value| value.to_string()),
        allowed: met.allowed,
    };
    all.met.into_iter().map(key).collect()
}

fn is_while_running(key: &str) -> bool {
    let section = key.split('.').next();
    let taken_over = |known: &str| known == key || Some(known) == section;
    WHILE_RUNNING.iter().any(|known| taken_over(known))
}

/// What a reload found changed, by key; lists of tables count as one key each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Takes effect while running.
    pub applied: Vec<String>,
    /// Stays as it was until a restart.
    pub needs_restart: Vec<String>,
}

impl Settings {
    /// The settings in force as a file, secrets masked.
    pub fn masked(&self) -> String {
        toml::to_string(&self.table(true)).unwrap_or_default()
    }

    /// The settings in force as a file, secrets and all.
    #[cfg(any(test, fuzzing))]
    pub(super) fn printed(&self) -> String {
        toml::to_string(&self.table(false)).unwrap_or_default()
    }

    /// Where `new` differs, key by key.
    pub fn changes(&self, new: &Self) -> Changes {
        let (old, new) = (flat(self.table(false)), flat(new.table(false)));
        let other = |key: &String| old.get(key) != new.get(key);
        let removed = old.keys().filter(|key| !new.contains_key(*key));
        let changed = new.keys().chain(removed).filter(|key| other(key)).cloned();
        let (applied, needs_restart) = changed.partition(|key| is_while_running(key));
        Changes {
            applied,
            needs_restart,
        }
    }

    fn table(&self, masked: bool) -> Table {
        let mut table = Table::new();
        let mut top = Collector::default();
        // Visitors may change what they visit; this one does not, so a copy serves.
        let Ok(()) = keys::visit(&mut self.clone(), &mut top);
        let Ok(()) = WrittenKeys::from(&self.auth.keys).visit(&mut top);
        for (key, value) in top.values(masked) {
            insert(&mut table, &key, value);
        }
        let metrics = self.metrics.iter().map(WrittenMetric::from);
        let is_outbox = |source: &&Source| matches!(source.kind, SourceKind::PostgresOutbox { .. });
        let sources = self.sources.iter().filter(|source| !is_outbox(source));
        let sources = sources.map(WrittenSource::from);
        let outboxes = self.sources.iter().filter_map(outboxes::written);
        let alerts = self.alerts.iter().map(WrittenAlert::from);
        let webhooks = self.webhooks.iter().map(WrittenWebhook::from);
        insert_list(
            &mut table,
            metrics.map(|metric| entry(metric, masked)).collect(),
            WrittenMetric::SECTION,
        );
        insert_list(
            &mut table,
            sources.map(|source| entry(source, masked)).collect(),
            WrittenSource::SECTION,
        );
        insert_list(
            &mut table,
            outboxes.map(|outbox| entry(outbox, masked)).collect(),
            WrittenOutbox::SECTION,
        );
        let aggregates = self.aggregates.iter().map(WrittenAggregate::from);
        insert_list(
            &mut table,
            aggregates.map(|one| entry(one, masked)).collect(),
            WrittenAggregate::SECTION,
        );
        insert_list(
            &mut table,
            alerts.map(|alert| entry(alert, masked)).collect(),
            WrittenAlert::SECTION,
        );
        insert_list(
            &mut table,
            webhooks.map(|webhook| entry(webhook, masked)).collect(),
            WrittenWebhook::SECTION,
        );
        table
    }
}

fn entry(mut entry: impl Entry, masked: bool) -> Value {
    let mut all = Collector::default();
    let Ok(()) = entry.visit(&mut all);
    Value::Table(all.values(masked).collect())
}

/// Into the table that the parts of `key` before its last dot name.
fn insert(table: &mut Table, key: &str, value: Value) {
    let Some((section, key)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return;
    };
    let section = table.entry(section).or_insert_with(|| Table::new().into());
    if let Value::Table(section) = section {
        insert(section, key, value);
    }
}

fn insert_list(table: &mut Table, list: Vec<Value>, section: &str) {
    if !list.is_empty() {
        table.insert(section.to_owned(), Value::Array(list));
    }
}

/// `section.key` to value.
fn flat(table: Table) -> Table {
    let mut flat = Table::new();
    for (section, value) in table {
        match value {
            Value::Table(keys) => flat.extend(
                self::flat(keys)
                    .into_iter()
                    .map(|(key, value)| (format!("{section}.{key}"), value)),
            ),
            value => flat.extend([(section, value)]),
        }
    }
    flat
}

/// Collects the settings it visits.
#[derive(Default)]
struct Collector {
    place: &'static str,
    met: Vec<Met>,
}

/// One setting, met.
struct Met {
    key: String,
    value: Option<Value>,
    shown: Option<Value>,
    allowed: String,
}

impl Collector {
    fn values(self, masked: bool) -> impl Iterator<Item = (String, Value)> {
        let value = move |met: Met| Some((met.key, if masked { met.shown } else { met.value }?));
        self.met.into_iter().filter_map(value)
    }
}

impl Visitor for Collector {
    type Error = Infallible;

    fn visit<K: Kind>(
        &mut self,
        key: &str,
        kind: K,
        meant: &mut K::Meant,
    ) -> Result<(), Infallible> {
        let value = kind.write(meant);
        self.met.push(Met {
            key: format!("{}{key}", self.place),
            shown: value.as_ref().map(|value| kind.shown(value)),
            value,
            allowed: kind.allowed(),
        });
        Ok(())
    }
}
