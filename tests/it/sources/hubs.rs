//! Outboxes and channels of real hubs, which crash.

use std::sync::atomic::{AtomicBool, Ordering};

use super::outbox::table;
use super::*;
use crate::store::follower::Follower;
use crate::support::hub::{Hub, Start};
use crate::support::redis::Redis;
use crate::support::rng::Rng;
use crate::support::{eventually, in_time, number, token};

fn config(url: &str) -> String {
    format!(
        "[sessions]\nbacklog_messages_max = 100000\n[limits]\nper_ip_per_second = 1000000\nper_ip_burst = 1000000\n\
         [audit]\nenabled = false\n\
         [[outbox]]\nname = \"outbox\"\nurl = \"{url}\"\ninterval_ms = 1000\nrows_max = 20\n\
         [[source]]\nmetric = \"n.orders\"\nkind = \"postgres_notify\"\nurl = \"{url}\"\nchannel = \"orders\"\ninterval_ms = 500\n"
    )
}

/// With a deletion that takes its time, so that crashes come between it and the publishing.
async fn database() -> (postgres::Postgres, PgConnection) {
    let postgres = postgres::Postgres::start();
    let mut admin = PgConnection::connect(&postgres.url()).await.unwrap();
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$; \
        CREATE TRIGGER slow AFTER DELETE ON statshub_outbox FOR EACH STATEMENT EXECUTE FUNCTION slow()";
    let all = table() + slow;
    admin.execute(sqlx::AssertSqlSafe(all)).await.unwrap();
    (postgres, admin)
}

/// Inserts rows one after the other, a few in a transaction, until told to stop; gives how many.
async fn application(url: String, stop: Arc<AtomicBool>) -> usize {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut inserted = 0;
    while !stop.load(Ordering::Relaxed) {
        let rows = 1 + inserted % 5;
        let mut change = connection.begin().await.unwrap();
        for _ in 0..rows {
            let row =
                "INSERT INTO statshub_outbox (metric, data) VALUES ('m.' || $1 % 3, to_jsonb($1))";
            sqlx::query(row)
                .bind(inserted as i32)
                .execute(&mut *change)
                .await
                .unwrap();
            inserted += 1;
        }
        change.commit().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let end = "INSERT INTO statshub_outbox (metric, data) VALUES ('m.end', '\"the end\"')";
    connection.execute(end).await.unwrap();
    inserted
}

fn values(follower: &Follower) -> Vec<Value> {
    follower
        .seen
        .iter()
        .map(|(_, value)| value.clone())
        .collect()
}

fn expected(inserted: usize) -> Vec<Value> {
    (0..inserted)
        .map(|n| json!(n))
        .chain([json!("the end")])
        .collect()
}

/// Failure: the process is killed. `IT_OUTBOX_CRASHES=50` makes it so many.
#[tokio::test]
async fn each_row_of_an_outbox_comes_once_and_in_order_over_crashes() {
    let (postgres, mut admin) = database().await;
    let mut hub = Hub::with().config(&config(&postgres.url())).start().await;
    let mut followers: Vec<_> = (0..4).map(Follower::new).collect();
    for follower in &mut followers {
        follower.begins(hub.address).await;
    }
    let (address, end) = (hub.address, json!("the end"));
    let following: Vec<_> = followers
        .into_iter()
        .map(|follower| {
            let end = end.clone();
            tokio::spawn(async move { follower.follows_to(address, &end).await })
        })
        .collect();
    let stop = Arc::<AtomicBool>::default();
    let application = tokio::spawn(application(postgres.url(), stop.clone()));
    let mut rng = Rng::new(1);
    for _ in 0..number("IT_OUTBOX_CRASHES").unwrap_or(12) {
        tokio::time::sleep(Duration::from_millis(rng.between(100, 500) as u64)).await;
        hub.crash().await;
        hub = hub.again().await;
    }
    stop.store(true, Ordering::Relaxed);
    let expected = expected(application.await.expect("an application"));
    assert!(expected.len() > 100, "{} rows", expected.len());
    for follower in following {
        let follower = follower.await.expect("a follower");
        assert_eq!(
            follower.told,
            Vec::<Value>::new(),
            "nothing was lost or unknown"
        );
        assert!(values(&follower) == expected, "each once and in order");
    }
    let emptied = async {
        let left = "SELECT count(*) FROM statshub_outbox";
        while sqlx::query_scalar::<_, i64>(left)
            .fetch_one(&mut admin)
            .await
            .unwrap()
            > 0
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    in_time("the table to be empty", emptied).await;
}

async fn source_of(hub: &Hub, metric: &str) -> Option<Value> {
    let answer = hub.api(&token::admin("watcher")).get("/api/health").await;
    let sources = answer.data()["checks"]["sources"].as_array().cloned()?;
    sources
        .into_iter()
        .find(|source| source["metric"] == metric)
}

async fn reads(hub: &Hub, metric: &str) -> bool {
    let source = source_of(hub, metric).await;
    source.is_some_and(|source| source["connected"] == true)
}

/// Failure: one of several hubs is killed.
#[tokio::test]
async fn of_two_hubs_one_reads_and_the_other_takes_over() {
    let (postgres, mut admin) = database().await;
    let redis = Redis::start().await;
    let config = format!("{}[redis]\nlease_ms = 1000\n", config(&postgres.url()));
    let url = format!("redis://{}", redis.address());
    let start = || -> Start { Hub::with().config(&config).env("REDIS_URL", &url) };
    let mut one = start().start().await;
    eventually("the first hub to read", async || {
        reads(&one, "outbox").await.then_some(())
    })
    .await;
    let two = start().start().await;
    eventually("the second hub to know", async || {
        let source = source_of(&two, "n.orders").await?;
        (source["elsewhere"] == true && source["connected"] == false).then_some(())
    })
    .await;
    let mut follower = Follower::new(1);
    follower.begins(two.address).await;
    let address = two.address;
    let following =
        tokio::spawn(async move { follower.follows_to(address, &json!("the end")).await });
    let stop = Arc::<AtomicBool>::default();
    let application = tokio::spawn(application(postgres.url(), stop.clone()));
    tokio::time::sleep(Duration::from_millis(700)).await;
    one.crash().await;
    eventually("the other to read", async || {
        (reads(&two, "outbox").await && reads(&two, "n.orders").await).then_some(())
    })
    .await;
    let (mut client, _) = two
        .opened(
            crate::support::either::Transport::Sse,
            "?metrics=n.orders",
            &token::admin("ada"),
        )
        .await;
    admin.execute("NOTIFY orders, '{\"id\": 5}'").await.unwrap();
    let update = client.next_message("metrics_update").await;
    assert_eq!(update["data"], json!({"n.orders": {"id": 5}}));
    let one = one.again().await;
    eventually("the first hub to know", async || {
        let source = source_of(&one, "outbox").await?;
        (source["elsewhere"] == true).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let expected = expected(application.await.expect("an application"));
    let follower = following.await.expect("a follower");
    assert!(values(&follower) == expected, "each once and in order");
}
