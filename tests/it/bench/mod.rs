//! `statshub bench` against a running hub: what it counts is what was sent.

mod elsewhere;

use elsewhere::Speech;
use serde_json::Value;

use crate::support::hub::Hub;
use crate::support::token;

/// The result of a small measurement of `hub`, which has to be one.
async fn bench(hub: &Hub, flags: &str) -> Value {
    let url = hub.url("");
    measured(&format!("--url {url} {flags}")).await
}

async fn measured(flags: &str) -> Value {
    let mut command = Hub::with().arg("bench").arg("--json");
    for word in flags.split_whitespace() {
        command = command.arg(word);
    }
    let ended = command.run().await;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{flags}: {said}");
    assert!(said.contains("connected "), "{flags}: {said}");
    serde_json::from_slice(&ended.stdout).expect("one JSON object")
}

/// Each message has reached each connection, once and in order.
#[track_caller]
fn check_complete(result: &Value, connections: u64) {
    let count = |name: &str| {
        result[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {result}"))
    };
    assert_eq!(count("connections"), connections);
    assert!(count("published") > 0, "{result}");
    assert_eq!(
        count("delivered"),
        connections * count("published"),
        "{result}"
    );
    for fault in ["missing", "duplicates", "outOfOrder", "lost", "refused"] {
        assert_eq!(count(fault), 0, "{fault}: {result}");
    }
}

#[tokio::test]
async fn every_message_reaches_every_connection() {
    let hub = Hub::start().await;
    for (transport, pace) in [
        ("sse", "--in-flight 1"),
        ("sse", "--in-flight 8"),
        ("sse", "--rate 40"),
        ("ws", "--in-flight 8"),
        ("ws", "--rate 40"),
    ] {
        let flags = format!(
            "--connections 30 --transport {transport} {pace} --duration 500ms --warm-up 100ms --size 300"
        );
        let result = bench(&hub, &flags).await;
        check_complete(&result, 30);
        assert_eq!(result["transport"], transport);
        let latency = |name: &str| result["latencyMs"][name].as_f64().expect("a latency");
        assert!(
            latency("p50") > 0.0 && latency("p50") <= latency("p999"),
            "{result}"
        );
        assert!(latency("p999") <= latency("max"), "{result}");
        assert!(result["clientCpuShare"].as_f64().expect("a share") > 0.0);
    }
    hub.stop().await;
}

/// A message of one of 50 metrics is for the two connections whose pattern takes its group, and for one
/// or two that have it by name.
#[tokio::test]
async fn of_many_metrics_each_message_reaches_those_that_have_it() {
    let hub = Hub::start().await;
    for (transport, pace) in [
        ("sse", "--in-flight 8"),
        ("ws", "--in-flight 1"),
        ("ws", "--rate 200 --stall 10"),
    ] {
        let flags = format!("--connections 20 --metrics 50 --transport {transport} {pace}");
        let result = bench(&hub, &format!("{flags} --duration 500ms --warm-up 100ms")).await;
        for fault in ["missing", "duplicates", "outOfOrder", "lost", "refused"] {
            assert_eq!(result[fault], 0, "{fault}: {result}");
        }
        assert_eq!(result["metrics"], 50);
        let count = |name: &str| result[name].as_u64().expect("a count");
        let (published, delivered) = (count("published"), count("delivered"));
        assert!(published > 50, "{result}");
        let stalls = count("stalled") > 0;
        assert!(delivered > 2 * published || stalls, "{result}");
        assert!(delivered < 4 * published, "{result}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn several_can_measure_one_hub_at_once() {
    let hub = Hub::start().await;
    let flags = |metric| format!("--connections 12 --rate 50 --duration 500ms --metric {metric}");
    let (one, other) = (flags("bench.one"), flags("bench.other"));
    let (one, other) = tokio::join!(bench(&hub, &one), bench(&hub, &other));
    check_complete(&one, 12);
    check_complete(&other, 12);
    hub.stop().await;
}

#[tokio::test]
async fn what_was_missed_while_away_comes_once_and_in_order() {
    let hub = Hub::start().await;
    for transport in ["sse", "ws"] {
        let flags = format!("--mode reconnect --connections 30 --transport {transport}");
        let result = bench(&hub, &flags).await;
        check_complete(&result, 30);
        assert_eq!(result["published"], 10);
        assert!(result["reconnectSeconds"].as_f64().expect("a time") > 0.0);
    }
    hub.stop().await;
}

#[tokio::test]
async fn connections_can_be_opened_and_left_alone() {
    let hub = Hub::start().await;
    let result = bench(&hub, "--mode connect --connections 12 --duration 100ms").await;
    assert_eq!(
        (&result["connections"], &result["published"]),
        (&12.into(), &0.into())
    );
    assert!(result["connectsPerSecond"].as_f64().expect("a rate") > 0.0);
    assert_eq!(result["latencyMs"], Value::Null);
    hub.stop().await;
}

#[tokio::test]
async fn who_does_not_read_is_not_waited_for() {
    let hub = Hub::start().await;
    let flags = "--connections 20 --stall 25 --rate 20 --duration 500ms --transport ws";
    let result = bench(&hub, flags).await;
    let count = |name: &str| result[name].as_u64().expect("a count");
    assert_eq!((count("stalled"), count("missing")), (5, 0), "{result}");
    assert_eq!(count("delivered"), 15 * count("published"), "{result}");
    hub.stop().await;
}

#[tokio::test]
async fn other_servers_are_measured_too() {
    for (speech, dialect) in [
        (Speech::Sse, "sse"),
        (Speech::WebSocket, "ws"),
        (Speech::SocketIo, "socketio"),
        (Speech::Pusher, "pusher"),
    ] {
        let address = elsewhere::start(speech).await;
        let there = format!("--stream-url http://{address}/s --publish-url http://{address}/p");
        for pace in ["--in-flight 1", "--in-flight 4", "--rate 100"] {
            let flags =
                format!("--dialect {dialect} {there} {pace} --duration 300ms --warm-up 100ms");
            let result = measured(&format!("{flags} --connections 10")).await;
            check_complete(&result, 10);
            assert_eq!(result["dialect"], dialect);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_measured_says_what_to_do() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "2")
        .start()
        .await;
    let url = hub.url("");
    let check = async |flags: &[&str], code: i32, hint: &str| {
        let mut command = Hub::with().arg("bench");
        for word in flags {
            command = command.arg(word);
        }
        let ended = command.run().await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(hint), "{hint:?} is not in {said:?}");
        assert!(!said.contains("eyJ"), "a token is shown: {said}");
        assert!(ended.stdout.is_empty());
    };
    check(
        &["--url", &url, "--connections", "9"],
        1,
        "sessions.connections_per_user_max",
    )
    .await;
    let guest = token::token("gus", "guest", std::time::Duration::from_secs(60));
    check(&["--url", &url, "--token", &guest], 1, "403").await;
    check(&["--url", "http://127.0.0.1:1"], 1, "nothing listens").await;
    check(&["--url", "https://127.0.0.1"], 1, "no TLS").await;
    check(&["--dialect", "ws"], 2, "--stream-url").await;
    check(&["--rate", "1", "--in-flight", "1"], 2, "--in-flight").await;
    check(&["--connections", "0"], 2, "1 to 1000000").await;
    check(
        &[
            "--dialect",
            "sse",
            "--transport",
            "ws",
            "--stream-url",
            &url,
        ],
        1,
        "--transport",
    )
    .await;
    check(
        &["--dialect", "sse", "--stream-url", &url],
        1,
        "--publish-url",
    )
    .await;
    let many = ["--metrics", "9"];
    let elsewhere = ["--dialect", "sse", "--stream-url", &url];
    check(&[many, ["--mode", "connect"]].concat(), 1, "fan-out only").await;
    check(&[&many[..], &elsewhere].concat(), 1, "statshub only").await;
    check(
        &[&many[..], &elsewhere[2..]].concat(),
        1,
        "--stream-url out",
    )
    .await;
    let long = "m".repeat(128);
    check(&[many, ["--metric", &long]].concat(), 1, "128 characters").await;
    hub.stop().await;
}
