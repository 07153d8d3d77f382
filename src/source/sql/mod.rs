//! One query as a source, against PostgreSQL, MySQL or SQLite.
//!
//! What the three files beside this one share: a query runs as one prepared statement, in a
//! transaction that can only read, with a time-out that the database keeps too, and gives at most
//! `rows_max` rows. [`rows`] makes them JSON.

mod mysql;
mod postgres;
mod reading;
mod rows;
mod sqlite;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::future::BoxFuture;
use serde_json::Value;
use sqlx::pool::PoolOptions;
use sqlx::{Database, MySqlPool, PgPool, SqlitePool};

use super::{Source, SourceError};
use crate::config;
use crate::domain::pattern::MetricName;
use crate::trace::{Span, spans};
pub(super) use postgres::options as postgres_options;
use reading::Reading;

/// Connections to one database, over all its sources.
const CONNECTIONS_MAX: usize = 8;

/// One statement, and what it may cost.
struct Query {
    text: Arc<str>,
    rows_max: usize,
    timeout: Duration,
}

impl Query {
    /// For the database to keep. Never 0, which would be none.
    fn timeout_millis(&self) -> u128 {
        self.timeout.as_millis().max(1)
    }
}

/// Reads one query.
pub(super) struct Sql {
    pool: Pool,
    query: Query,
}

impl Source for Sql {
    fn span(&self, metric: &MetricName) -> Span {
        spans::query(
            metric,
            match &self.pool {
                Pool::Postgres(_) => "postgresql",
                Pool::MySql(_) => "mysql",
                Pool::Sqlite(_) => "sqlite",
            },
        )
    }

    fn read<'a>(&'a self, _: &'a mut Span) -> BoxFuture<'a, Result<Value, SourceError>> {
        Box::pin(Reading::new(match &self.pool {
            Pool::Postgres(pool) => Box::pin(postgres::read(pool, &self.query)),
            Pool::MySql(pool) => Box::pin(mysql::read(pool, &self.query)),
            Pool::Sqlite(pool) => Box::pin(sqlite::read(pool, &self.query)),
        }))
    }
}

#[derive(Clone)]
enum Pool {
    Postgres(PgPool),
    MySql(MySqlPool),
    Sqlite(SqlitePool),
}

/// One pool for each database that the settings name. Nothing is connected before the first read.
pub(super) struct Pools(HashMap<String, Pool>);

impl Pools {
    /// # Errors
    /// A URL that is none, or of a database that is not known here. The URL itself, which holds a
    /// password, is not in the text.
    pub fn open(settings: &[config::Source]) -> anyhow::Result<Self> {
        let mut sharers: HashMap<&str, Vec<&config::Source>> = HashMap::new();
        for setting in settings {
            if let config::SourceKind::Sql { url, .. } = &setting.kind {
                sharers.entry(url).or_default().push(setting);
            }
        }
        let open = |(url, sharers): (&str, Vec<&config::Source>)| {
            let pool = Pool::open(url, &sharers)
                .with_context(|| format!("source {}", sharers[0].metric))?;
            Ok((url.to_owned(), pool))
        };
        sharers
            .into_iter()
            .map(open)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// A source that reads from the pool of `url`.
    ///
    /// # Errors
    /// No pool was opened for `url`.
    pub fn source(
        &self,
        url: &str,
        query: &str,
        rows_max: usize,
        timeout: Duration,
    ) -> anyhow::Result<Sql> {
        let pool = self.0.get(url).context("its database was not opened")?;
        let query = Query {
            text: query.into(),
            rows_max,
            timeout,
        };
        Ok(Sql {
            pool: pool.clone(),
            query,
        })
    }
}

impl Pool {
    fn open(url: &str, sharers: &[&config::Source]) -> anyhow::Result<Self> {
        Ok(match url.split(':').next() {
            Some("postgres" | "postgresql") => {
                Self::Postgres(options(sharers).connect_lazy_with(postgres::options(url)?))
            }
            Some("mysql" | "mariadb") => {
                Self::MySql(options(sharers).connect_lazy_with(mysql::options(url)?))
            }
            Some("sqlite") => {
                let options = options(sharers).test_before_acquire(false);
                Self::Sqlite(options.connect_lazy_with(sqlite::options(url)?))
            }
            _ => bail!("the url starts with postgres:, mysql: or sqlite:"),
        })
    }
}

/// As many connections as sources that share them, so that none waits for another, up to a limit.
fn options<DB: Database>(sharers: &[&config::Source]) -> PoolOptions<DB> {
    let connections = sharers.len().clamp(1, CONNECTIONS_MAX);
    let shortest = sharers.iter().map(|sharer| sharer.timeout).min();
    PoolOptions::new()
        .max_connections(u32::try_from(connections).unwrap_or(1))
        // A pool that gives up first can say that it was the connection, not the query.
        .acquire_timeout(shortest.unwrap_or_default().mul_f64(0.8))
}

impl SourceError {
    /// The pool tries a refused connection again and again and at the end only tells that time is up.
    pub(super) fn database(error: sqlx::Error) -> Self {
        Self::Database(match error {
            sqlx::Error::PoolTimedOut => "no connection: the database refuses or does not answer, \
                or all connections are in use"
                .to_owned(),
            sqlx::Error::Database(error) => error.message().to_owned(),
            error => error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::Priority;

    fn setting(url: &str) -> config::Source {
        config::Source {
            metric: MetricName::parse("users").unwrap(),
            priority: Priority::Normal,
            kind: config::SourceKind::Sql {
                url: url.to_owned(),
                query: "SELECT 1".to_owned(),
                rows_max: 10,
            },
            interval: None,
            timeout: Duration::from_secs(5),
        }
    }

    #[actix::test]
    async fn an_unusable_url_is_refused_without_being_told() {
        for url in [
            "oracle://u:secret@h/db",
            "postgres://u:secret@h:port/db",
            "",
            "mysql://u:secret@[/",
        ] {
            let error = Pools::open(&[setting(url)]).err().expect(url);
            let text = format!("{error:#}");
            assert!(text.starts_with("source users: "), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[actix::test]
    async fn sources_of_one_database_share_a_pool() {
        let settings = ["sqlite:a.db", "sqlite:b.db", "sqlite:a.db"].map(setting);
        let pools = Pools::open(&settings).unwrap();
        assert_eq!(pools.0.len(), 2);
        let Pool::Sqlite(pool) = &pools.0["sqlite:a.db"] else {
            panic!("another database");
        };
        assert_eq!(pool.options().get_max_connections(), 2);
    }
}
