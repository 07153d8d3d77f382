//! A Redis that wants to know who comes, and over TLS.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::redis::Redis;
use crate::support::http::{Api, send};
use crate::support::hub::{Hub, Start};
use crate::support::message::text;
use crate::support::{eventually, token};

const DOCS: &str = include_str!("../../docs/cluster.md");
const PASSWORD: &str = "sesame-0123456789";

/// Everything often, so that all of it happens.
const BUSY: &str = "
[realtime]
cleanup_interval_ms = 100
heartbeat_interval_ms = 100
reconnect_spread_min_ms = 0
reconnect_spread_max_ms = 0
[store]
durability = \"process\"
[[source]]
metric = \"host\"
kind = \"host\"
interval_ms = 100
";

/// What the page on clusters gives the hub's user, behind its name and password.
fn rules() -> String {
    let mut lines = DOCS.lines().map(str::trim);
    let first = lines.find_map(|line| line.strip_prefix("ACL SETUSER statshub on >password "));
    let mut rules = first.expect("a command").to_owned();
    for line in lines.take_while(|line| !line.is_empty()) {
        rules += " ";
        rules += line;
    }
    rules.replace('\\', "")
}

/// Commands by their names, without what not every version counts apart.
fn allowed() -> BTreeSet<String> {
    let command = |rule: &str| rule.strip_prefix('+').map(str::to_owned);
    rules().split_whitespace().filter_map(command).collect()
}

fn hub(url: &str, redis: &str) -> Start {
    let config = format!("[redis]\nlease_ms = 500\n{redis}{BUSY}");
    Hub::with().env("REDIS_URL", url).config(&config)
}

/// Waits until `hub` is as well as `status` says, and gives what it says about Redis.
async fn health(hub: &Hub, status: &str) -> Value {
    let api = hub.api(&token::admin("observer"));
    eventually(status, async || {
        let health = api.get("/api/health").await.data().clone();
        (health["status"] == status).then(|| health["checks"]["redis"].clone())
    })
    .await
}

async fn publish(api: &Api, key: &str, data: i32) -> u16 {
    let body = json!({"metric": "m", "data": data});
    let request = api.request(Method::POST, "/publish").json(&body);
    send(request.header("idempotency-key", key)).await.status
}

/// All that hubs do with Redis.
async fn does_everything(one: &Hub, other: &Hub) {
    let ada = token::admin("ada");
    let (here, there) = (one.api(&ada), other.api(&ada));
    for api in [&here, &there] {
        assert_eq!(publish(api, "key", 1).await, 202);
    }
    // A session that goes to the other hub while it is open at the first.
    let mut first = one.sse("/stream?metrics=m", &ada).await;
    let notice = first.opened().await;
    let path = format!(
        "/reconnect?token={}",
        text(&notice["data"]["reconnectToken"])
    );
    let id = here.publish("m", json!(2)).await;
    let mut second = other.sse_after(&path, &ada, &id).await;
    assert_eq!(second.opened().await["data"]["resumed"], true);
    first.next_message("connection_replaced").await;
    // Questions, which reach sessions wherever they are.
    let metrics = json!({"metrics": ["n", "host"]});
    assert_eq!(
        here.post("/subscribe", &metrics).await.data()["connections"],
        1
    );
    second.next_message("subscribed").await;
    second.next_message("metrics_update").await;
    assert_eq!(
        here.post("/test-connection", &json!({})).await.data()["connections"],
        1
    );
    let nodes = here.get("/connection-stats").await.data()["nodes"].clone();
    assert_eq!(nodes.as_array().map(Vec::len), Some(2), "{nodes}");
    // Tickets, which admit once and then to what they opened.
    let ticket = here.post("/ticket", &json!({})).await.data()["ticket"].clone();
    let path = format!("/stream?ticket={}", text(&ticket));
    let mut opened = other.sse_with(&path, &[]).await;
    opened.opened().await;
    let id = here.publish("m", json!(3)).await;
    let mut again = eventually("the session of a ticket to be known", async || {
        let stream = one.sse_with(&path, &[("Last-Event-ID", &*id)]).await;
        (stream.head.status == 200).then_some(stream)
    })
    .await;
    assert_eq!(again.opened().await["data"]["resumed"], true);
    opened.next_message("connection_replaced").await;
    // Alerts, which are changed by one hub at a time.
    let alert = json!({"severity": "low", "message": "for the test"});
    let alert = here.post("/alerts", &alert).await.data()["messageId"].clone();
    let path = format!("/alerts/{}/acknowledge", text(&alert));
    eventually("an alert to be known", async || {
        (there.post(&path, &json!({})).await.status == 200).then_some(())
    })
    .await;
    let ended = there.post("/disconnect", &json!({"userId": "ada"})).await;
    assert!(ended.data()["connections"].as_u64() >= Some(1), "{ended:?}");
}

#[tokio::test]
async fn with_the_rights_of_the_documentation_everything_works() {
    let redis = Redis::with().user("statshub", PASSWORD, &rules());
    let redis = redis.start().await;
    let replica = Redis::with().replica_of(redis.address()).start().await;
    eventually("the replica to follow", async || {
        (replica.info("master_link_status").await? == "up").then_some(())
    })
    .await;
    let url = format!("redis://statshub:{PASSWORD}@{}", redis.address());
    let settings = "acknowledge = \"replicated\"\n";
    let mut one = hub(&url, settings).start().await;
    let other = hub(&url, settings).start().await;
    does_everything(&one, &other).await;
    // What is done where the log is not what it was.
    redis.ask(&["DEL", "{statshub}:head"]).await;
    eventually("a new epoch", async || {
        (redis.ask(&["EXISTS", "{statshub}:head"]).await.number() == 1).then_some(())
    })
    .await;
    let api = one.api(&token::admin("ada"));
    eventually("publishing to work again", async || {
        (publish(&api, "again", 2).await == 202).then_some(())
    })
    .await;
    health(&one, "healthy").await;
    one.signal(Signal::TERM);
    assert_eq!(one.ended().await.code, Some(0));

    let refused = redis.ask(&["ACL", "LOG"]).await;
    assert!(refused.list().is_empty(), "{refused:?}");
    let counted = redis.ask(&["INFO", "commandstats"]).await.text();
    let is_used = |command: &String| {
        let whole = command.split('|').next().unwrap_or_default();
        [command.as_str(), whole]
            .iter()
            .any(|name| counted.contains(&format!("cmdstat_{name}:")))
    };
    // For a cluster, and for what is not called by its name there.
    let unused: Vec<_> = allowed().into_iter().filter(|it| !is_used(it)).collect();
    assert_eq!(
        unused,
        ["cluster|keyslot", "cluster|slots", "select"],
        "allowed and not used"
    );
}

#[tokio::test]
async fn an_authority_is_trusted_that_is_named() {
    let redis = Redis::with().tls().start().await;
    let authority = redis
        .certificates
        .as_ref()
        .expect("certificates")
        .authority();
    let settings = format!("ca_file = {:?}\n", authority.display().to_string());
    let url = format!("rediss://{}", redis.tls_address());
    let (one, other) = tokio::join!(hub(&url, &settings).start(), hub(&url, &settings).start());
    let mut stream = one.sse("/stream?metrics=m", &token::admin("ada")).await;
    stream.opened().await;
    assert_eq!(
        publish(&other.api(&token::admin("ada")), "key", 1).await,
        202
    );
    assert_eq!(stream.next_message("metrics_update").await["data"]["m"], 1);
    health(&one, "healthy").await;
}

#[tokio::test]
async fn an_authority_that_is_not_known_is_not_trusted() {
    let redis = Redis::with().tls().start().await;
    let hub = hub(&format!("rediss://{}", redis.tls_address()), "")
        .start()
        .await;
    let said = health(&hub, "degraded").await;
    let reason = text(&said["lastError"]).to_lowercase();
    assert!(reason.contains("certificate"), "{said}");
}

/// Failure: Redis is ill.
#[tokio::test]
async fn a_wrong_password_is_told_without_the_password_and_made_right_while_running() {
    let redis = Redis::with().password("right-one").start().await;
    let url = format!("redis://:{PASSWORD}@{}", redis.address());
    let hub = hub(&url, "").start().await;
    let said = health(&hub, "degraded").await;
    assert!(
        text(&said["lastError"]).contains("authentication failed"),
        "{said}"
    );
    let api = hub.api(&token::admin("ada"));
    let body = json!({"metric": "m", "data": 1});
    let refused = api.post("/publish", &body).await;
    assert_eq!(refused.failure(), (503, "unavailable"));
    assert!(refused.retry_after() > 0);
    // Who only listens is served.
    let mut stream = hub.sse("/stream?metrics=m", &token::admin("ada")).await;
    stream.opened().await;

    redis.ask(&["CONFIG", "SET", "requirepass", PASSWORD]).await;
    health(&hub, "healthy").await;
    assert_eq!(publish(&api, "key", 1).await, 202);
    let message = stream.next_message("metrics_update").await;
    assert_eq!(message["data"]["m"], 1);
    let ended = hub.stop().await;
    let wrote = format!("{said}{refused:?}{}{}", ended.stdout, ended.stderr);
    assert!(wrote.contains("authentication failed"), "{wrote}");
    assert!(!wrote.contains(PASSWORD), "{wrote}");
}

/// Nothing is gained by asking at once again, and a server that counts refusals would be flooded.
#[tokio::test]
async fn a_right_that_lacks_is_named_and_not_asked_for_all_the_time() {
    let rules = rules().replace(" +zadd", "");
    let redis = Redis::with()
        .user("statshub", PASSWORD, &rules)
        .start()
        .await;
    let url = format!("redis://statshub:{PASSWORD}@{}", redis.address());
    let hub = hub(&url, "").start().await;
    let said = health(&hub, "degraded").await;
    assert!(
        text(&said["lastError"]).contains("can't run this command"),
        "{said}"
    );
    let count = async || {
        let count = redis.info("total_connections_received").await;
        count
            .and_then(|it| it.parse::<u64>().ok())
            .expect("a count")
    };
    let before = count().await;
    sleep(Duration::from_secs(2)).await;
    let more = count().await - before;
    assert!(more < 20, "{more} connections in two seconds");
    redis.ask(&["ACL", "SETUSER", "statshub", "+zadd"]).await;
    health(&hub, "healthy").await;
}
