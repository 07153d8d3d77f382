//! No descriptor left (`EMFILE`): a crowd that connects and says nothing must not end what there is.

use std::net::{IpAddr, SocketAddr};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{authorization, check_healthy};
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::witness::Witness;
use crate::support::{A, eventually};

/// More than the hub may take in, fewer than the system keeps waiting for it.
const CROWD: usize = 60;
/// The HTTP layer tries again every half second, and says so each time.
const LINES_MAX: usize = 100;

fn allow(hub: &Hub, descriptors: usize) {
    let current = Some(descriptors as u64);
    let limit = Rlimit {
        current,
        maximum: current,
    };
    let process = Pid::from_raw(hub.process_id() as i32);
    prlimit(process, Resource::Nofile, limit).expect("a limit of our own child");
}

/// Attack: open connections until the process has no descriptor left.
#[tokio::test]
async fn without_descriptors_the_hub_keeps_whom_it_has_and_later_takes_the_others() {
    let hub = Hub::with().config("[http]\nworkers = 1\n").start().await;
    let mut witness = Witness::of(&hub).await;
    witness.is_undisturbed().await;
    allow(&hub, hub.descriptors() + 6);
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(RawClient::connect_as(STRANGER, hub.address).await);
    }
    hub.logged("Too many open files").await;
    hub.is_at_rest().await;
    for _ in 0..10 {
        witness.is_undisturbed().await;
    }
    crowd.into_iter().for_each(RawClient::reset);
    check_healthy(&hub).await;
    witness.is_undisturbed().await;
    let ended = hub.stop().await;
    let lines = ended.stderr.matches("Too many open files").count();
    assert!(lines < LINES_MAX, "{lines} lines of it");
}

const HEALTH: &str = "GET /api/health HTTP/1.1\r\nHost: hub\r\n\r\n";
/// Whose connections keep the others out, if they can.
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
/// What a shell without any settings allows on some systems.
const FEW: usize = 256;
/// More than there can be.
const STRANGERS: usize = 200;

/// The status of one request on a connection of its own; `None`: it was hung up on.
async fn status(address: SocketAddr, request: &str) -> Option<(u16, RawClient)> {
    let mut client = RawClient::connect(address).await;
    client.send(request).await;
    Some((client.head().await?.status, client))
}

/// The address of the second listener.
async fn health_address(hub: &Hub) -> SocketAddr {
    let line = hub.logged("health and metrics on ").await;
    let (_, address) = line.rsplit_once(' ').expect("an address");
    address.parse().expect("an address")
}

/// Attack: connections that ask once and then keep all the descriptors there are for doing nothing.
#[tokio::test]
async fn while_strangers_keep_what_they_can_health_answers_and_streams_are_opened() {
    let config = "[http]\nhealth_listen = \"127.0.0.1:0\"\n";
    let start = Hub::with().config(config).descriptors_max(FEW);
    let hub = start.start().await;
    let warning = hub.logged("the process may open 256 files").await;
    assert!(warning.contains("http.sockets_max is 25000"), "{warning}");
    let health = health_address(&hub).await;
    let mut witness = Witness::of(&hub).await;

    let mut strangers = Vec::new();
    let mut served = 0;
    for nth in 0..STRANGERS {
        let mut stranger = RawClient::connect_as(STRANGER, hub.address).await;
        stranger.send(HEALTH).await;
        served += usize::from(stranger.answer().await.is_some());
        strangers.push(stranger);
        if nth % 10 == 0 {
            let (status, _) = status(health, HEALTH).await.expect("an answer");
            assert_eq!(status, 200, "with {nth} strangers");
        }
    }
    assert!(served > 20, "{served} strangers got in");
    let stream = format!(
        "GET {A}/stream HTTP/1.1\r\nHost: hub\r\n{}\r\n",
        authorization()
    );
    let mut kept = Vec::new();
    for request in [HEALTH, &stream, HEALTH, &stream] {
        let served = eventually("room for who means well", async || {
            status(hub.address, request).await
        });
        let (status, client) = served.await;
        assert_eq!(status, 200, "{request}");
        kept.push(client);
    }
    let log = hub.stderr();
    assert!(!log.contains("Too many open files"), "{log}");
    drop(strangers);
    witness.is_undisturbed().await;
    hub.stop().await;
}

/// Attack: connections that keep all the sockets there are, while somebody asks whether the hub is well.
#[tokio::test]
async fn the_second_listener_tells_of_health_and_metrics_and_of_nothing_else() {
    let config = "[http]\nhealth_listen = \"127.0.0.1:0\"\n";
    let hub = Hub::with().config(config).start().await;
    let address = health_address(&hub).await;
    let asked = async |path: &str| {
        let token = authorization();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{token}\r\n");
        status(address, &request).await.expect("an answer").0
    };
    for path in [
        "/health",
        "/health/live",
        "/health/ready",
        "/api/health",
        "/metrics",
    ] {
        assert_eq!(asked(path).await, 200, "{path}");
    }
    for path in [
        "/",
        "/api/openapi.json",
        &format!("{A}/stream"),
        &format!("{A}/metrics"),
    ] {
        assert_eq!(asked(path).await, 404, "{path}");
    }
    let settings = format!("[http]\nhealth_listen = \"{address}\"\n");
    let ask = || Hub::with().arg("health").config(&settings).env("PORT", "1");
    let said = ask().says().await;
    assert_eq!(said.result(), "healthy");
    hub.stop().await;
    let said = ask().says().await;
    assert_eq!(said.code, Some(1), "{}", said.stderr);
}
