//! From the settings of a source to what reads it.

use std::sync::Arc;

use anyhow::Context as _;

use super::{
    Source, Surroundings, Way, fetch, host, http, hub, notify, outbox, prometheus, redis, sql,
};
use crate::config;

/// # Errors
/// One that can never work.
pub(super) fn all(
    settings: &[config::Source],
    surroundings: &Surroundings,
) -> anyhow::Result<Vec<Way>> {
    let pools = sql::Pools::open(settings)?;
    settings
        .iter()
        .map(|setting| {
            one(setting, &pools, surroundings).with_context(|| format!("source {}", setting.metric))
        })
        .collect()
}

fn one(
    setting: &config::Source,
    pools: &sql::Pools,
    surroundings: &Surroundings,
) -> anyhow::Result<Way> {
    let source: Arc<dyn Source> = match &setting.kind {
        config::SourceKind::Host => Arc::new(host::Host::default()),
        config::SourceKind::Hub => Arc::new(hub::Hub(surroundings.hub_stats.clone())),
        config::SourceKind::Sql {
            url,
            query,
            rows_max,
        } => Arc::new(pools.source(url, query, *rows_max, setting.timeout)?),
        config::SourceKind::Http {
            url,
            headers,
            body_bytes_max,
        } => Arc::new(http::Http::new(url, headers, *body_bytes_max)?),
        config::SourceKind::Prometheus {
            url,
            selector,
            aggregate,
            series_max,
            headers,
            body_bytes_max,
        } => Arc::new(prometheus::Prometheus {
            fetch: fetch::Fetch::new(url, prometheus::ACCEPT, headers, *body_bytes_max)?,
            wanted: prometheus::Wanted {
                selector: selector.clone(),
                aggregate: *aggregate,
                series_max: *series_max,
            },
        }),
        config::SourceKind::Redis {
            url,
            ca_file,
            keys,
            fields_max,
            body_bytes_max,
        } => {
            let bounds = redis::Bounds {
                fields_max: *fields_max,
                bytes_max: *body_bytes_max,
            };
            let source = redis::Redis::new(url, ca_file.as_deref(), keys.clone(), bounds)?;
            Arc::new(source)
        }
        config::SourceKind::PostgresNotify { url, channel } => {
            return notify::Channel::new(url, channel).map(Way::Notified);
        }
        config::SourceKind::PostgresOutbox {
            url,
            table,
            channel,
            rows_max,
        } => {
            let table = outbox::Table::new(url, table, channel, *rows_max, surroundings)?;
            return Ok(Way::Outbox(table));
        }
    };
    Ok(Way::Polled(source))
}
