//! Subscriptions that ask for more than names: parts of values, some values only, not too often, and what changes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::message::text;
use crate::support::{eventually, token};

/// A query for these metrics, as JSON.
fn query(metrics: &Value) -> String {
    let pairs = [("metrics", metrics.to_string())];
    let encoded = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    format!("?{encoded}")
}

fn value(n: u32) -> Value {
    json!({"total": n, "byPlan": {"pro": n * 2, "free": 0}, "text": "left out".repeat(20)})
}

/// The data of updates up to the metric `end`.
async fn updates(client: &mut Client) -> Vec<Value> {
    let mut updates = Vec::new();
    loop {
        let message = client.next_message("metrics_update").await;
        if message["data"].get("end").is_some() {
            return updates;
        }
        updates.push(message["data"].clone());
    }
}

#[tokio::test]
async fn a_client_gets_the_parts_that_it_asks_for_in_snapshots_live_and_when_it_comes_back() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    api.publish("credits.a", value(1)).await;
    let part = |n: u32| json!({"byPlan": {"pro": n * 2}, "total": n});
    let object = json!({"metric": "credits.*", "fields": ["/total", "/byPlan/pro"]});
    for transport in Transport::BOTH {
        let query = query(&json!(["end", object]));
        let mut client = hub.open(transport, &query, &ada).await;
        let notice = client.next().await["data"].clone();
        let canonical = json!({"metric": "credits.*", "fields": ["/byPlan/pro", "/total"]});
        assert_eq!(notice["metrics"], json!(["end", canonical]));
        let snapshot = client.next_message("initial_metrics").await;
        let newest = &snapshot["data"]["credits.a"];
        assert_eq!(*newest, part(newest["total"].as_u64().unwrap() as u32));
        api.publish("credits.b", value(2)).await;
        api.publish("other", json!(0)).await;
        api.publish("end", json!(0)).await;
        assert_eq!(updates(&mut client).await, [json!({"credits.b": part(2)})]);
        hub.lose(client, &notice).await;
        api.publish("credits.a", value(3)).await;
        api.publish("end", json!(0)).await;
        let mut client = hub
            .resume(transport, text(&notice["reconnectToken"]), &ada)
            .await;
        let resumed = client.opened().await["data"].clone();
        assert_eq!(resumed["droppedMessagesCount"], 0);
        assert_eq!(resumed["metrics"], notice["metrics"]);
        assert_eq!(updates(&mut client).await, [json!({"credits.a": part(3)})]);
    }
}

#[tokio::test]
async fn a_condition_picks_what_is_sent_and_what_is_counted() {
    let hub = Hub::with().env("MAX_BUFFER_SIZE", "3").start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let low = json!({"metric": "balance", "where": "data.balance < 10 && data.plan == 'pro'"});
    let (client, notice) = hub
        .opened(Transport::Sse, &query(&json!([low])), &ada)
        .await;
    hub.lose(client, &notice).await;
    for n in 0..40 {
        let plan = if n % 2 == 0 { "pro" } else { "free" };
        api.publish("balance", json!({"balance": n % 20, "plan": plan}))
            .await;
    }
    // Of balances 0 to 19, twice, those below 10 of every other: ten, of which the newest three are kept.
    let path = query(&json!([low]));
    let mut client = hub
        .resume(Transport::Sse, text(&notice["reconnectToken"]), &ada)
        .await;
    let resumed = client.opened().await["data"].clone();
    assert_eq!(resumed["replayedMessagesCount"], 3);
    assert_eq!(resumed["droppedMessagesCount"], 7);
    assert_eq!(resumed["droppedMetrics"], json!(["balance"]));
    for balance in [4, 6, 8] {
        let update = client.next_message("metrics_update").await;
        assert_eq!(update["data"]["balance"]["balance"], balance);
    }
    // The newest value that it lets through is the snapshot's.
    let mut other = hub
        .open(Transport::WebSocket, &path, &token::admin("bob"))
        .await;
    let snapshot = other.next_message("initial_metrics").await;
    assert_eq!(
        snapshot["data"],
        json!({"balance": {"balance": 8, "plan": "pro"}})
    );
}

/// At most so often, and the newest wins: also when it was the last for long, and after others went before it.
#[tokio::test]
async fn who_wants_few_updates_gets_few_and_the_last_one() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in Transport::BOTH {
        let selectors = json!([{"metric": "load", "maxHz": 2}, "end"]);
        let (mut client, _) = hub.opened(transport, &query(&selectors), &ada).await;
        let mut newest = Vec::new();
        for n in 1..=50 {
            newest.push(api.publish("load", json!(n)).await);
            api.publish("end", json!(n)).await;
        }
        let (mut seen, mut ids) = (Vec::new(), Vec::new());
        while seen.last() != Some(&json!(50)) {
            let update = client.next_message("metrics_update").await;
            ids.push(Id::of(&update["messageId"]));
            seen.extend(update["data"].get("load").cloned());
        }
        assert!(seen.len() < 50, "{seen:?}");
        assert!(seen.is_sorted_by_key(|n| n.as_u64()), "{seen:?}");
        assert!(
            ids.is_sorted_by(|one, next| one < next),
            "ids increase: {ids:?}"
        );
        let loads = newest.iter().map(|id| Id::parse(id).unwrap());
        assert!(
            !loads.into_iter().any(|id| id == *ids.last().unwrap()),
            "said again"
        );
    }
}

/// A user's own values have views of their own, and what is said again is nobody else's.
#[tokio::test]
async fn a_users_own_values_are_seen_by_that_user_only() {
    let hub = Hub::start().await;
    let (ada, bob) = (token::admin("ada"), token::admin("bob"));
    let api = hub.api(&ada);
    let selectors = query(&json!([{"metric": "own", "fields": ["/x"], "maxHz": 10}, "end"]));
    let (mut of_ada, _) = hub.opened(Transport::Sse, &selectors, &ada).await;
    let (mut of_bob, _) = hub.opened(Transport::Sse, &selectors, &bob).await;
    for n in 1..=5 {
        let message = json!({"metric": "own", "data": {"x": n, "y": 0}, "userId": "ada"});
        assert_eq!(api.post("/publish", &message).await.status, 202);
    }
    let mut seen = Value::Null;
    while seen != json!({"own": {"x": 5}}) {
        seen = of_ada.next_message("metrics_update").await["data"].clone();
    }
    api.publish("end", json!(0)).await;
    assert_eq!(updates(&mut of_bob).await, [] as [Value; 0]);
}

#[tokio::test]
async fn what_was_seen_by_a_view_goes_on_after_a_crash() {
    let hub = Hub::with()
        .config("[store]\ndurability = \"process\"\n")
        .start()
        .await;
    let mut hub = hub;
    let ada = token::admin("ada");
    let selectors = json!([{"metric": "m", "where": "data.n > 2", "fields": ["/n"]}, "end"]);
    let (client, notice) = hub.opened(Transport::Sse, &query(&selectors), &ada).await;
    hub.lose(client, &notice).await;
    for n in 1..=4 {
        hub.api(&ada).publish("m", json!({"n": n, "x": 0})).await;
    }
    hub.crash().await;
    let hub = hub.again().await;
    let api = hub.api(&ada);
    api.publish("m", json!({"n": 5})).await;
    api.publish("m", json!({"n": 0})).await;
    api.publish("end", json!(0)).await;
    let mut client = hub
        .resume(Transport::Sse, text(&notice["reconnectToken"]), &ada)
        .await;
    let resumed = client.opened().await["data"].clone();
    assert_eq!(resumed["droppedMessagesCount"], 0, "{resumed}");
    let seen = updates(&mut client).await;
    assert_eq!(seen, [3, 4, 5].map(|n| json!({"m": {"n": n}})));
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_told_with_its_place() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let wrong = json!({"metric": "m", "where": "data.x > 1 &&\n  dat.y"});
    let answer = api
        .post("/subscribe", &json!({"metrics": ["a", wrong]}))
        .await;
    assert_eq!(answer.failure(), (400, "invalid_request"));
    let expected = r#"Invalid body at metrics[1]: where: line 2, column 3: there is no "dat" here, only data, metric"#;
    assert_eq!(answer.error(), expected);
    let details = json!({"path": "metrics[1]", "line": 2, "column": 3});
    assert_eq!(answer.body["details"], details);
    for (metrics, why) in [
        (query(&json!([wrong])), "line 2, column 3"),
        ("?metrics=[".to_owned(), "this is no JSON"),
        (query(&json!([{"metric": "m", "maxHz": 100}])), "0.01 to 10"),
    ] {
        let answer = api.get(&format!("/stream{metrics}")).await;
        assert_eq!(answer.failure(), (400, "invalid_request"));
        assert!(answer.error().contains(why), "{}", answer.error());
    }
    let mut client = hub.websocket("", &ada).await;
    client.opened().await;
    client
        .send(&json!({"type": "subscribe", "data": {"metrics": [wrong]}}))
        .await;
    let error = client.next_message("error").await;
    assert_eq!(error["data"]["code"], "invalid_request");
    assert!(
        text(&error["data"]["message"])
            .starts_with("Invalid subscription: where: line 2, column 3"),
        "{error}"
    );
    let answer = api.get("/stream?delta=json-patch").await;
    assert_eq!(
        answer.error(),
        "delta: merge-patch is the only one there is"
    );
}

/// RFC 7396, section 2.
fn patched(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut target = target.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        match value {
            Value::Null => _ = target.remove(key),
            value => {
                let before = target.get(key).cloned().unwrap_or_default();
                target.insert(key.clone(), patched(before, value));
            }
        }
    }
    target.into()
}

#[tokio::test]
async fn who_wants_what_changes_has_the_same_values_for_fewer_bytes() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let large = |n: u32| {
        let rows: BTreeMap<String, u32> = (0..50)
            .map(|row| (format!("row-{row}"), if row == n % 50 { n } else { row }))
            .collect();
        json!({"total": n, "rows": rows})
    };
    api.publish("plans", large(0)).await;
    for transport in Transport::BOTH {
        for selector in [
            json!("plans"),
            json!({"metric": "plans", "where": "data.total < 1000"}),
        ] {
            let metrics = query(&json!([selector, "end"]));
            let (mut whole, _) = hub.opened(transport, &metrics, &ada).await;
            let query = format!("{metrics}&delta=merge-patch");
            let (mut client, notice) = hub.opened(transport, &query, &ada).await;
            let mut known: Option<(Value, Value)> = None;
            let (mut bytes, mut bytes_whole, mut patches) = (0, 0, 0);
            for n in 1..=20 {
                api.publish("plans", large(n)).await;
                if n == 10 {
                    // What was sent of its own user is no base for what comes for all.
                    let own = json!({"metric": "plans", "data": {"own": true}, "userId": "ada"});
                    api.post("/publish", &own).await;
                    api.publish("plans", large(n)).await;
                }
            }
            api.publish("end", json!(0)).await;
            loop {
                let message = client.next().await;
                let data = &message["data"];
                if data.get("end").is_some() {
                    break;
                }
                bytes += data.to_string().len();
                let value = match text(&message["type"]) {
                    "metrics_update" => data["plans"].clone(),
                    "metrics_patch" => {
                        patches += 1;
                        let (base, value) = known.take().expect("something to put it on");
                        assert_eq!(message["baseMessageId"], base);
                        patched(value, &data["plans"])
                    }
                    _ => continue,
                };
                known = Some((message["messageId"].clone(), value.clone()));
                let same = whole.next_message("metrics_update").await;
                bytes_whole += same["data"].to_string().len();
                assert_eq!(same["messageId"], message["messageId"]);
                assert_eq!(same["data"]["plans"], value);
            }
            assert!(patches >= 15, "{patches} patches");
            assert!(bytes * 2 < bytes_whole, "{bytes} of {bytes_whole} bytes");
            // What it missed it gets whole.
            hub.lose(client, &notice).await;
            api.publish("plans", large(30)).await;
            let token = text(&notice["reconnectToken"]);
            let mut client = hub
                .resume_with(transport, token, "&delta=merge-patch", &ada)
                .await;
            let missed = client.next_message("metrics_update").await;
            assert_eq!(missed["data"]["plans"], large(30));
            api.publish("plans", large(31)).await;
            let first = client.next_message("metrics_update").await;
            assert_eq!(
                first["data"]["plans"],
                large(31),
                "the first live one is whole"
            );
            api.publish("plans", large(32)).await;
            let patch = client.next_message("metrics_patch").await;
            assert_eq!(patched(large(31), &patch["data"]["plans"]), large(32));
        }
    }
}

#[tokio::test]
async fn a_value_that_is_overdue_is_said_to_be_stale_wherever_it_is_shown() {
    let config = "[[metric]]\nname = \"cpu.*\"\nttl_ms = 300\n";
    let hub = Hub::with().config(config).start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let mut clients = Vec::new();
    for transport in Transport::BOTH {
        for selector in [
            json!("cpu.*"),
            json!({"metric": "cpu.one", "fields": ["/x"]}),
        ] {
            clients.push(
                hub.opened(transport, &query(&json!([selector])), &ada)
                    .await
                    .0,
            );
        }
    }
    let (mut other, _) = hub
        .opened(Transport::Sse, "?metrics=disk", &token::admin("bob"))
        .await;
    let id = api.publish("cpu.one", json!({"x": 1})).await;
    api.publish("disk", json!(1)).await;
    for client in &mut clients {
        let stale = client.next_message("metric_stale").await;
        assert_eq!(stale["priority"], "high");
        let data = &stale["data"];
        assert_eq!(
            (&data["metric"], &data["messageId"], &data["ttlMs"]),
            (&json!("cpu.one"), &json!(id), &json!(300))
        );
    }
    let metrics = api.get("/metrics").await;
    assert_eq!(metrics.data()["cpu.one"]["stale"], true);
    assert_eq!(metrics.data()["disk"].get("stale"), None);
    let (client, notice) = hub.opened(Transport::Sse, "", &token::admin("cid")).await;
    assert_eq!(notice.get("staleMetrics"), None);
    hub.lose(client, &notice).await;
    let mut client = hub
        .resume(
            Transport::Sse,
            text(&notice["reconnectToken"]),
            &token::admin("cid"),
        )
        .await;
    assert_eq!(
        client.opened().await["data"]["staleMetrics"],
        json!(["cpu.one"])
    );
    let mut client = hub.open(Transport::Sse, "", &token::admin("dan")).await;
    let snapshot = client.next_message("initial_metrics").await;
    assert_eq!(snapshot["stale"], json!(["cpu.one"]));
    // Until there is a new one.
    api.publish("cpu.one", json!({"x": 2})).await;
    eventually("a value that is fresh", async || {
        let metrics = api.get("/metrics").await;
        (metrics.data()["cpu.one"].get("stale").is_none()).then_some(())
    })
    .await;
    api.publish("disk", json!(2)).await;
    assert_eq!(other.next().await["type"], "metrics_update");
    assert_eq!(other.next().await["type"], "metrics_update");
}
