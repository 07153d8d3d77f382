#![cfg(test)]
//! That the servers are what the scenarios take them for.

use std::process::Command;

use super::Redis;
use super::nodes::Nodes;
use super::resp::Resp;
use super::sentinel::Sentinel;
use crate::faults::Weather;
use crate::support::eventually;

async fn length(redis: &Redis) -> i64 {
    redis.ask(&["XLEN", "log"]).await.number()
}

async fn append(redis: &Redis) {
    redis.ask(&["XADD", "log", "*", "n", "1"]).await;
}

#[tokio::test]
async fn what_was_written_survives_a_kill_and_nothing_an_empty_start() {
    let mut redis = Redis::with().appendonly().start().await;
    append(&redis).await;
    redis.kill();
    assert!(redis.try_ask(&["PING"]).await.is_err());
    redis.again().await;
    assert_eq!(length(&redis).await, 1);
    redis.again_empty().await;
    assert_eq!(length(&redis).await, 0);
}

#[tokio::test]
async fn one_that_is_stopped_goes_on_where_it_was() {
    let redis = Redis::start().await;
    append(&redis).await;
    redis.pause();
    let mut waiting = Resp::connect(redis.address()).await.unwrap();
    let asked = tokio::spawn(async move { waiting.ask(&["XLEN", "log"]).await });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!asked.is_finished());
    redis.go_on();
    assert_eq!(asked.await.unwrap().unwrap().number(), 1);
}

#[tokio::test]
async fn a_full_one_and_one_without_replicas_refuse_to_write() {
    let redis = Redis::with()
        .set("maxmemory-policy noeviction")
        .start()
        .await;
    for (setting, refusing, normal, word) in [
        ("maxmemory", "1", "0", "OOM"),
        ("min-replicas-to-write", "1", "0", "NOREPLICAS"),
    ] {
        redis.ask(&["CONFIG", "SET", setting, refusing]).await;
        let reply = redis
            .try_ask(&["XADD", "log", "*", "n", "1"])
            .await
            .unwrap();
        assert!(
            reply.error().is_some_and(|it| it.starts_with(word)),
            "{reply:?}"
        );
        redis.ask(&["CONFIG", "SET", setting, normal]).await;
        append(&redis).await;
    }
}

#[tokio::test]
async fn passwords_and_users_are_asked_for() {
    let redis = Redis::with()
        .password("open")
        .user("hub", "sesame", "~{statshub}* +@all");
    let redis = redis.start().await;
    let mut nobody = Resp::connect(redis.address()).await.unwrap();
    assert!(nobody.ask(&["PING"]).await.unwrap().error().is_some());
    let mut hub = Resp::connect(redis.address()).await.unwrap();
    assert_eq!(
        hub.ask(&["AUTH", "hub", "sesame"]).await.unwrap().text(),
        "OK"
    );
    assert_eq!(
        hub.ask(&["SET", "{statshub}:a", "1"]).await.unwrap().text(),
        "OK"
    );
    assert!(
        hub.ask(&["SET", "other", "1"])
            .await
            .unwrap()
            .error()
            .is_some()
    );
}

#[tokio::test]
async fn tls_is_spoken_by_who_trusts_its_authority() {
    let redis = Redis::with().tls().start().await;
    let port = redis.tls_address().port().to_string();
    let authority = redis.certificates.as_ref().unwrap().authority();
    let mut command = Command::new("redis-cli");
    command
        .args(["-p", &port, "--tls", "--cacert"])
        .arg(authority);
    let output = command.arg("PING").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "PONG\n");
}

#[tokio::test]
async fn a_replica_takes_over_and_lacks_what_it_was_not_sent() {
    let mut set = Sentinel::start().await;
    append(&set.nodes[0]).await;
    eventually("the replica to have it", async || {
        (length(&set.nodes[1]).await == 1).then_some(())
    })
    .await;
    set.inner.set(Weather::STALL);
    append(&set.nodes[0]).await;
    set.nodes[0].kill();
    set.led_by(1).await;
    assert_eq!(length(&set.nodes[1]).await, 1);
    set.inner.set(Weather::Pass);
    set.nodes[0].again().await;
    set.first_follows().await;
}

#[tokio::test]
async fn a_primary_that_is_cut_off_still_serves_who_reaches_it() {
    let set = Sentinel::start().await;
    set.inner.set(Weather::Refuse);
    set.inner.cut();
    set.led_by(1).await;
    append(&set.nodes[0]).await;
    append(&set.nodes[0]).await;
    append(&set.nodes[1]).await;
    set.inner.set(Weather::Pass);
    set.first_follows().await;
    eventually("the old primary to forget its own", async || {
        (length(&set.nodes[0]).await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cluster_sends_to_who_has_the_key() {
    let cluster = Nodes::start().await;
    let owner = cluster.owner("{statshub}:log").await;
    for (nth, node) in cluster.nodes.iter().enumerate() {
        let reply = node
            .try_ask(&["XADD", "{statshub}:log", "*", "n", "1"])
            .await
            .unwrap();
        let moved = reply.error().is_some_and(|it| it.starts_with("MOVED"));
        assert_eq!(moved, nth != owner, "{reply:?}");
    }
}
