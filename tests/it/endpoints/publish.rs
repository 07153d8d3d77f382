//! `publish` and `alerts`, and what comes of them on a stream and in `metrics`.

use serde_json::{Value, json};

use super::{assert_is_time, fields, opened, opened_with_notice};
use crate::support::either::Transport::{Sse, WebSocket};
use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::token;

async fn both(hub: &Hub) -> [Client; 2] {
    [
        opened(hub, Sse, "", "ada").await,
        opened(hub, WebSocket, "", "ada").await,
    ]
}

#[tokio::test]
async fn a_message_is_taken_and_comes_with_the_id_it_was_given() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut clients = both(&hub).await;
    let check = async |data: Value, priority: Option<&str>, clients: &mut [Client; 2]| {
        let mut body = json!({"metric": "credits.total", "data": data});
        if let Some(priority) = priority {
            body["priority"] = json!(priority);
        }
        let answer = api.post("/publish", &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(fields(answer.data()), ["durability", "messageId"]);
        assert_eq!(answer.data()["durability"], "process");
        for client in clients {
            let message = client.next().await;
            assert_eq!(
                fields(&message),
                ["data", "messageId", "priority", "timestamp", "type"]
            );
            assert_eq!(message["type"], "metrics_update");
            assert_eq!(message["data"], json!({"credits.total": data}));
            assert_eq!(message["messageId"], answer.data()["messageId"]);
            assert_eq!(message["priority"], priority.unwrap_or("normal"));
            assert_is_time(&message["timestamp"]);
        }
    };
    for data in [
        json!(5),
        json!(null),
        json!(false),
        json!("text"),
        json!([1, [2]]),
        json!({"b": 1, "a": {"c": 1.50}}),
        json!("\n\r\u{2028}\0data: x\n\nid: 1-1"),
        json!("<script>alert(1)</script> ä 😀"),
    ] {
        check(data, None, &mut clients).await;
    }
    for priority in ["critical", "high", "normal", "low"] {
        check(json!(1), Some(priority), &mut clients).await;
    }
}

#[tokio::test]
async fn numbers_arrive_as_they_were_written() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut client = hub.sse("/stream", &token::admin("ada")).await;
    client.opened().await;
    let body = r#"{"metric":"m","data":{"z":1.50,"a":12345678901234567890123,"e":1e2}}"#;
    assert_eq!(api.post_text("/publish", body).await.status, 202);
    let event = client.next_event().await.expect("a message");
    let data = event.data.expect("a message");
    assert!(
        data.contains(r#"{"z":1.50,"a":12345678901234567890123,"e":1e2}"#),
        "{data}"
    );
}

#[tokio::test]
async fn a_batch_is_taken_whole_and_in_order() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut clients = both(&hub).await;
    let messages: Vec<Value> = (0..20)
        .map(|n| json!({"metric": format!("m{n}"), "data": n}))
        .collect();
    let answer = api.post("/publish", &json!({"messages": messages})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(fields(answer.data()), ["durability", "messageIds"]);
    assert_eq!(answer.data()["durability"], "process");
    let ids = answer.data()["messageIds"].as_array().unwrap();
    assert_eq!(ids.len(), 20);
    assert!(
        ids.windows(2)
            .all(|pair| Id::of(&pair[0]) < Id::of(&pair[1])),
        "{ids:?}"
    );
    for client in &mut clients {
        for (number, id) in ids.iter().enumerate() {
            let message = client.next().await;
            assert_eq!(message["data"], json!({format!("m{number}"): number}));
            assert_eq!(message["messageId"], *id);
        }
    }
}

#[tokio::test]
async fn a_batch_with_one_bad_message_is_refused_whole() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut clients = both(&hub).await;
    for bad in [
        json!({"metric": "a..b", "data": 1}),
        json!({"metric": "b"}),
        json!({"metric": "b", "data": 1, "priority": "urgent"}),
        json!({"metric": "b", "data": 1, "userId": ""}),
        json!("text"),
    ] {
        let messages = json!({"messages": [{"metric": "a", "data": 1}, bad]});
        let answer = api.post("/publish", &messages).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{bad}");
    }
    assert_eq!(api.get("/metrics").await.data(), &json!({}));
    for client in &mut clients {
        assert_eq!(client.metrics_until_now(&api).await, [""; 0]);
    }
}

/// Attack: metrics without number (cardinality).
#[tokio::test]
async fn a_batch_over_the_limit_of_metrics_is_refused_whole() {
    let hub = Hub::with()
        .config("[history]\nmetrics_max = 2")
        .start()
        .await;
    let api = hub.api(&token::admin("ada"));
    let message = |name: &str| json!({"metric": name, "data": 1});
    let batch = json!({"messages": [message("a"), message("b"), message("c")]});
    let answer = api.post("/publish", &batch).await;
    assert_eq!(answer.failure(), (429, "rate_limited"));
    assert_eq!(api.get("/metrics").await.data(), &json!({}));
}

/// Publishes three updates of a metric to a session that is away, and gives the notice and the
/// values that it gets when it comes back.
async fn three_while_away(hub: &Hub, transport: Transport, more: Value) -> (Value, Vec<Value>) {
    let api = hub.api(&token::admin("ada"));
    let (client, notice) = opened_with_notice(hub, transport, "?metrics=gauge,end", "ada").await;
    client.reset();
    // Until it is away the hub sends to it, and what was sent is no backlog.
    api.sessions_when("?user=ada&state=live", 0).await;
    for value in 1..=3 {
        let mut body = json!({"metric": "gauge", "data": value});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        assert_eq!(api.post("/publish", &body).await.status, 202);
    }
    api.publish("end", json!(0)).await;
    let reconnect_token = notice["reconnectToken"].as_str().unwrap();
    let mut again = hub
        .resume(transport, reconnect_token, &token::admin("ada"))
        .await;
    let notice = again.opened().await["data"].clone();
    let mut values = Vec::new();
    loop {
        let message = again.next().await;
        if message["data"].get("end").is_some() {
            return (notice, values);
        }
        values.push(message["data"]["gauge"].clone());
    }
}

#[tokio::test]
async fn of_a_gauge_a_backlog_keeps_the_latest_only() {
    let hub = Hub::start().await;
    for transport in Transport::BOTH {
        let (notice, values) = three_while_away(&hub, transport, json!({})).await;
        assert_eq!(values, [1, 2, 3]);
        assert_eq!(notice["droppedMessagesCount"], 0);
        let gauge = json!({"retain": "latest"});
        let (notice, values) = three_while_away(&hub, transport, gauge).await;
        assert_eq!(values, [3]);
        assert_eq!(notice["droppedMessagesCount"], 0);
        assert_eq!(notice["conflatedMessagesCount"], 2);
        let (_, values) = three_while_away(&hub, transport, json!({"retain": "all"})).await;
        assert_eq!(values, [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_metric_is_a_gauge_or_of_a_priority_by_configuration() {
    let config = "[[metric]]\nname = \"gauge\"\nretain = \"latest\"\npriority = \"low\"";
    let hub = Hub::with().config(config).start().await;
    let (_, values) = three_while_away(&hub, Sse, json!({})).await;
    assert_eq!(values, [3]);
    let mut client = opened(&hub, Sse, "", "ada").await;
    hub.api(&token::admin("ada"))
        .publish("gauge", json!(4))
        .await;
    assert_eq!(client.next().await["priority"], "low");
}

#[tokio::test]
async fn an_alert_goes_to_every_connection_with_what_the_publisher_added() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut clients = [
        opened(&hub, Sse, "", "ada").await,
        opened(&hub, WebSocket, "?metrics=none", "ada").await,
        opened(&hub, Sse, "?metrics=none", "bob").await,
    ];
    let mut last = None;
    for severity in ["critical", "high", "medium", "low"] {
        let body = json!({
            "severity": severity, "message": "disk\nfull", "host": "db1", "free": {"bytes": 5},
        });
        let answer = api.post("/alerts", &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        for client in &mut clients {
            let alert = client.next().await;
            assert_eq!(alert["type"], "system_alert");
            assert_eq!(alert["priority"], "critical");
            assert_eq!(alert["data"], body);
            last = last.max(Id::read(&alert["messageId"]));
        }
    }
    // It has its place among all that is published.
    assert!(Id::read(&json!(api.publish("a", json!(1)).await)) > last);
}

#[tokio::test]
async fn the_latest_value_of_every_metric_is_there_for_clients_that_poll() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    assert_eq!(api.get("/metrics").await.data(), &json!({}));
    api.publish("a", json!("old")).await;
    let a = api.publish("a", json!({"new": true})).await;
    let b = api.publish("b.c", json!(null)).await;
    api.post(
        "/alerts",
        &json!({"severity": "low", "message": "no metric"}),
    )
    .await;
    let answer = hub.api(&token::admin("bob")).get("/metrics").await;
    let metrics = answer.data();
    assert_eq!(fields(metrics), ["a", "b.c"]);
    for (name, value, message_id) in [("a", json!({"new": true}), a), ("b.c", json!(null), b)] {
        assert_eq!(fields(&metrics[name]), ["messageId", "timestamp", "value"]);
        assert_eq!(metrics[name]["value"], value);
        assert_eq!(metrics[name]["messageId"], *message_id);
        assert_is_time(&metrics[name]["timestamp"]);
    }
}
