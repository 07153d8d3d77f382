//! Against a real server.

mod doubt;
mod history;
mod hubs;
mod scribe;
#[allow(dead_code)]
#[path = "../../../../tests/it/support/postgres.rs"]
mod server;
mod trail;

use std::time::Duration;

use server::Postgres;
use sqlx::postgres::PgConnection;

use super::connect::Place;
use super::*;
use crate::config::{self, AuthKeys, Settings};
use crate::store::tests::{BEGIN_MS, Heard, batch, message, metric, now};
use crate::store::{
    Batch, Fingerprint, Key, Keyed, Listener, Outcome, Recovered, Settled, Wanted, Writer,
};

/// A server, and settings for a store in it.
struct Fixture {
    postgres: Postgres,
    settings: config::Store,
}

impl Fixture {
    fn new() -> Self {
        let postgres = Postgres::start();
        let keys = AuthKeys::Secret(String::new());
        let mut settings = config::Store {
            url: Some(postgres.url()),
            ..Settings::with_keys(keys).store
        };
        // The messages of these tests are years old, and so are their keys.
        settings.retention.age = Duration::from_secs(100 * 365 * 24 * 3600);
        settings.key_ttl = settings.retention.age;
        Self { postgres, settings }
    }

    fn url(&self) -> String {
        self.postgres.url()
    }

    fn open(&self) -> Database {
        Database::open(&self.settings, &self.url(), now(BEGIN_MS)).unwrap()
    }

    fn recovered(&self, messages_per_ring: usize, ids: usize) -> Recovered {
        let wanted = Wanted {
            messages_per_ring,
            ids,
        };
        self.open().recover(wanted).unwrap()
    }

    fn reader(&self) -> crate::store::Reader {
        crate::store::Reader::new(&self.settings).unwrap()
    }

    async fn sql(&self) -> PgConnection {
        Place::of(&self.url()).unwrap().connect().await.unwrap()
    }

    async fn execute(&self, text: &'static str) {
        let mut connection = self.sql().await;
        sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
    }

    async fn number(&self, text: &'static str) -> i64 {
        let mut connection = self.sql().await;
        let number = sqlx::query_scalar(text).fetch_one(&mut connection).await;
        number.unwrap()
    }

    /// What is in the database after these were written by a hub that stopped in order.
    async fn written(&self, batches: Vec<Batch>) -> Heard {
        let heard = Heard::default();
        let writer = self.open().start(heard.clone()).unwrap();
        batches
            .into_iter()
            .for_each(|batch| writer.append(batch).unwrap());
        writer.close().await;
        heard
    }
}

fn keyed(key: &str, of: &str) -> Keyed {
    Keyed {
        key: Key::of("ada", key, 0),
        of: Fingerprint::of(&[of.as_bytes()]),
    }
}

/// Looks again until it is so.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

struct Nobody;

impl Listener for Nobody {
    fn settled(&self, _: Vec<Settled>) {}
    fn sessions_wanted(&self) {}
}
