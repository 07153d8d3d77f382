//! A hub in a network of its own, whose way to Redis is taken away: no connection breaks, nothing is refused, packets
//! just do not come any more.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use rustix::process::geteuid;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::scenario::LEASE;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::redis::Redis;
use crate::support::sse::{SseClient, bearer};
use crate::support::{eventually, token};

/// The way to Redis, and the way of clients and of this test.
const TO_REDIS: &str = "10.213.1";
const TO_CLIENTS: &str = "10.213.2";

/// A network with two ways to it. Gone when dropped, and its ways with it.
struct Network {
    name: String,
}

impl Network {
    /// `None` where this machine or this user has no networks of their own.
    async fn make() -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        let name = format!("statshub-{}", std::process::id());
        if !ip(&["netns", "add", &name]).await {
            return None;
        }
        let network = Self { name };
        for (way, subnet) in [("r", TO_REDIS), ("c", TO_CLIENTS)] {
            let (here, there) = (network.end(way, "a"), network.end(way, "b"));
            let pair = ["link", "add", &here, "type", "veth", "peer", "name", &there];
            let (near, far) = (format!("{subnet}.1/30"), format!("{subnet}.2/30"));
            let inside = ["-n", &network.name];
            let steps = [
                pair.to_vec(),
                vec!["link", "set", &there, "netns", &network.name],
                vec!["addr", "add", &near, "dev", &here],
                vec!["link", "set", &here, "up"],
                [&inside[..], &["addr", "add", &far, "dev", &there]].concat(),
                [&inside[..], &["link", "set", &there, "up"]].concat(),
                [&inside[..], &["link", "set", "lo", "up"]].concat(),
            ];
            for step in steps {
                if !ip(&step).await {
                    return None;
                }
            }
        }
        Some(network)
    }

    /// Interfaces have short names.
    fn end(&self, way: &str, end: &str) -> String {
        format!("sh{way}{end}{}", std::process::id() % 1_000_000)
    }

    async fn set(&self, state: &str) {
        assert!(ip(&["link", "set", &self.end("r", "a"), state]).await);
    }

    fn hub(&self, folder: &TempDir, port: u16, redis: &Redis) -> Child {
        let config = format!(
            "[redis]\nlease_ms = {LEASE}\ntimeout_ms = 500\n[store]\ndurability = \"memory\"\n"
        );
        fs::write(folder.path().join("config.toml"), config).expect("a file");
        Command::new("ip")
            .args(["netns", "exec", &self.name, env!("CARGO_BIN_EXE_statshub")])
            .current_dir(folder.path())
            .env("JWT_SECRET", token::SECRET)
            .env("HOST", format!("{TO_CLIENTS}.2"))
            .env("PORT", port.to_string())
            .env(
                "REDIS_URL",
                format!("redis://{TO_REDIS}.1:{}", redis.port()),
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a hub")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The pairs of interfaces go with it.
        let _ = std::process::Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

async fn ip(words: &[&str]) -> bool {
    let done = Command::new("ip")
        .args(words)
        .stderr(Stdio::null())
        .status()
        .await;
    done.is_ok_and(|status| status.success())
}

async fn health(api: &Api) -> Option<String> {
    let request = api.request(reqwest::Method::GET, "/api/health");
    let answer = request.send().await.ok()?;
    let body: serde_json::Value = answer.json().await.ok()?;
    body["data"]["status"].as_str().map(str::to_owned)
}

async fn is(api: &Api, wanted: &str) {
    eventually("the hub's health", async || {
        health(api).await.filter(|status| status == wanted)
    })
    .await;
}

#[tokio::test]
async fn a_hub_that_is_cut_off_keeps_its_clients_and_catches_up() {
    let Some(network) = Network::make().await else {
        println!("no networks of our own here: this test is left out");
        return;
    };
    let redis = Redis::with()
        .set(format!("bind 127.0.0.1 {TO_REDIS}.1"))
        .set("protected-mode no")
        .start()
        .await;
    let url = format!("redis://{}", redis.address());
    let with_it = Hub::with().env("REDIS_URL", &url).start().await;
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let port = port.expect("a port").port();
    let folder = tempfile::tempdir().expect("a directory");
    let _cut_off = network.hub(&folder, port, &redis);
    let ada = token::admin("ada");
    let (api, far) = (
        with_it.api(&ada),
        Api::at(format!("http://{TO_CLIENTS}.2:{port}"), Some(ada.clone())),
    );
    is(&far, "healthy").await;

    let address = format!("{TO_CLIENTS}.2:{port}")
        .parse()
        .expect("an address");
    let connection = RawClient::connect(address).await;
    let path = "/stream?metrics=m";
    let mut client = SseClient::open(connection, path, &[("Authorization", &bearer(&ada))]).await;
    client.opened().await;
    api.publish("m", json!(0)).await;
    assert_eq!(client.next_message("metrics_update").await["data"]["m"], 0);

    network.set("down").await;
    is(&far, "degraded").await;
    let mut ids = Vec::new();
    for n in 1..20 {
        ids.push(api.publish("m", json!(n)).await);
    }
    let refused = far
        .post("/publish", &json!({"metric": "m", "data": "no"}))
        .await;
    assert_eq!(refused.failure(), (503, "unavailable"));
    network.set("up").await;
    // The same stream, each message once and in order, and no snapshot: nothing was lost.
    for id in ids {
        let next = client.next().await;
        assert_eq!(
            (next["type"].as_str(), &next["messageId"]),
            (Some("metrics_update"), &json!(id))
        );
    }
    is(&far, "healthy").await;
}
