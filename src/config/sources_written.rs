//! What a `[[source]]` would be written as.

use super::{KindName, RedisKeys, Source, SourceKind, WrittenSource};

impl From<&Source> for WrittenSource {
    fn from(source: &Source) -> Self {
        let written = Self {
            metric: Some(source.metric.clone()),
            interval: source.interval,
            timeout: source.timeout,
            priority: source.priority,
            ..Self::default()
        };
        written.of_kind(source.kind.clone())
    }
}

impl WrittenSource {
    fn of_kind(self, kind: SourceKind) -> Self {
        match kind {
            SourceKind::Host => Self {
                kind: Some(KindName::Host),
                ..self
            },
            SourceKind::Hub => Self {
                kind: Some(KindName::Hub),
                ..self
            },
            SourceKind::Sql {
                url,
                query,
                rows_max,
            } => Self {
                kind: Some(KindName::Sql),
                url: Some(url),
                query: Some(query),
                rows_max: Some(rows_max),
                ..self
            },
            SourceKind::Http {
                url,
                headers,
                body_bytes_max,
            } => Self {
                kind: Some(KindName::Http),
                url: Some(url),
                headers: Some(headers),
                body_bytes_max: Some(body_bytes_max),
                ..self
            },
            SourceKind::Prometheus {
                url,
                selector,
                aggregate,
                series_max,
                headers,
                body_bytes_max,
            } => Self {
                kind: Some(KindName::Prometheus),
                url: Some(url),
                selector: Some(selector),
                aggregate,
                series_max: Some(series_max),
                headers: Some(headers),
                body_bytes_max: Some(body_bytes_max),
                ..self
            },
            SourceKind::Redis {
                url,
                ca_file,
                keys,
                fields_max,
                body_bytes_max,
            } => {
                let (key, keys) = match keys {
                    RedisKeys::One(key) => (Some(key), None),
                    RedisKeys::Several(keys) => (None, Some(keys)),
                };
                Self {
                    kind: Some(KindName::Redis),
                    url: Some(url.print(false)),
                    ca_file,
                    key,
                    keys,
                    fields_max: Some(fields_max),
                    body_bytes_max: Some(body_bytes_max),
                    ..self
                }
            }
            SourceKind::PostgresNotify { url, channel } => Self {
                kind: Some(KindName::PostgresNotify),
                url: Some(url),
                channel: Some(channel),
                ..self
            },
            // Written as an `[[outbox]]`.
            SourceKind::PostgresOutbox { .. } => self,
        }
    }
}
