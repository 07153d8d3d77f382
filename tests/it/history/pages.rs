use std::time::Duration;

use serde_json::{Value, json};

use super::{all, history, ids_of, millis, publish};
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::message::{assert_is_time, fields};
use crate::support::token;

#[tokio::test]
async fn pages_are_complete_and_without_repeats_while_more_is_published() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for order in ["desc", "asc"] {
        let metric = format!("paged.{order}");
        let mut ids = Vec::new();
        for batch in 0..3 {
            let message = |n: usize| {
                let priority = ["low", "normal", "high", "critical"][n % 4];
                json!({"metric": metric, "data": batch * 400 + n, "priority": priority})
            };
            ids.extend(publish(&api, &(0..400).map(message).collect::<Vec<_>>()).await);
            api.publish("paged.other", json!(0)).await;
        }
        let mut seen = Vec::new();
        let mut cursor = String::new();
        let mut later = Vec::new();
        loop {
            let query = format!("metric={metric}&limit=97&order={order}{cursor}");
            let page = history(&api, &query).await;
            let messages = page["messages"].as_array().unwrap();
            seen.extend(ids_of(messages).into_iter().map(str::to_owned));
            if later.len() < 5 {
                later.push(api.publish(&metric, json!("later")).await);
            }
            let Some(next) = page["nextCursor"].as_str() else {
                break;
            };
            assert_eq!(messages.len(), 97);
            cursor = format!("&cursor={next}");
        }
        match order {
            // A page that follows is about what is older still.
            "desc" => ids.reverse(),
            _ => ids.extend(later),
        }
        assert_eq!(seen, ids, "{order}");
    }
}

#[tokio::test]
async fn a_message_is_shown_as_it_was_published() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let body = r#"{"metric":"m","data":{"z":1.50,"a":12345678901234567890123},"priority":"low"}"#;
    let answer = api.post_text("/publish", body).await;
    let id = answer.data()["messageId"].clone();
    let body = json!({"metric": "m", "data": null, "userId": "ada"});
    assert_eq!(api.post("/publish", &body).await.status, 202);
    let request = api.request(reqwest::Method::GET, "/history?metric=m");
    let text = crate::support::http::respond(request)
        .await
        .text()
        .await
        .unwrap();
    assert!(
        text.contains(r#"{"z":1.50,"a":12345678901234567890123}"#),
        "{text}"
    );
    let page = history(&api, "metric=m").await;
    assert_eq!(page["nextCursor"], json!(null));
    let [own, to_all] = &page["messages"].as_array().unwrap()[..] else {
        panic!("two messages: {page}");
    };
    let plain = ["messageId", "metric", "priority", "timestamp", "value"];
    assert_eq!(fields(to_all), plain);
    assert_eq!(to_all["messageId"], id);
    assert_eq!(to_all["priority"], "low");
    assert_is_time(&to_all["timestamp"]);
    assert_eq!(own["userId"], "ada");
    assert_eq!(own["value"], json!(null));
}

#[tokio::test]
async fn patterns_pick_metrics_and_nothing_named_is_everything() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let names = ["a", "a.b", "a.c", "a.b.c", "b.b"];
    let messages: Vec<Value> = names
        .iter()
        .map(|name| json!({"metric": name, "data": 1}))
        .collect();
    publish(&api, &messages).await;
    let alert = json!({"severity": "low", "message": "no metric"});
    assert_eq!(api.post("/alerts", &alert).await.status, 202);
    for (query, expected) in [
        ("", &names[..]),
        ("metric=**", &names),
        ("metric=a", &["a"]),
        ("metric=a.*", &["a.b", "a.c"]),
        ("metric=a.**", &["a", "a.b", "a.c", "a.b.c"]),
        ("metric=a,*.b", &["a", "a.b", "b.b"]),
        ("metric=a.b,a.b,a.*", &["a.b", "a.c"]),
        ("metric=none", &[]),
        ("metric=none.*,none", &[]),
    ] {
        let found = all(&api, &format!("{query}&order=asc&limit=2")).await;
        let found: Vec<_> = found
            .iter()
            .map(|message| message["metric"].as_str().unwrap())
            .collect();
        assert_eq!(found, expected, "{query}");
    }
}

/// Attack: reading another user's stream or messages.
#[tokio::test]
async fn what_is_for_another_user_is_not_seen() {
    let hub = Hub::start().await;
    let ada = hub.api(&token::admin("ada"));
    let message = |data: &str, user: Option<&str>| {
        let mut message = json!({"metric": "m", "data": data});
        if let Some(user) = user {
            message["userId"] = json!(user);
        }
        message
    };
    let messages = [
        message("all", None),
        message("ada's", Some("ada")),
        message("bob's", Some("bob")),
    ];
    publish(&ada, &messages).await;
    for (user, expected) in [
        ("ada", &["all", "ada's"][..]),
        ("bob", &["all", "bob's"]),
        ("carol", &["all"]),
    ] {
        let api = hub.api(&token::admin(user));
        for query in ["metric=m", "metric=*", ""] {
            let found = all(&api, &format!("{query}&order=asc")).await;
            let found: Vec<_> = found.iter().map(|it| it["value"].clone()).collect();
            assert_eq!(found, expected, "{user} {query}");
        }
        let query = "metric=m&from=2020-01-01T00:00:00Z&step=5000d&agg=count";
        let counted = history(&api, query).await;
        let counts = counted["buckets"].as_array().unwrap();
        let count: f64 = counts.iter().filter_map(|it| it["value"].as_f64()).sum();
        assert_eq!(count, expected.len() as f64, "{user}");
    }
}

#[tokio::test]
async fn a_time_is_from_its_begin_to_before_its_end() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(api.publish("m", json!(n)).await);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let written = |ms: u64| {
        let time = jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap());
        time.unwrap().to_string()
    };
    for (from, to) in [(0, 19), (4, 11), (7, 8)] {
        let (from, to) = (millis(&ids[from]), millis(&ids[to]));
        let within = |id: &&String| (from..to).contains(&millis(id));
        let expected: Vec<_> = ids.iter().filter(within).map(String::as_str).collect();
        for (from, to) in [
            (from.to_string(), to.to_string()),
            (written(from), written(to)),
        ] {
            let query = format!("metric=m&order=asc&limit=3&from={from}&to={to}");
            assert_eq!(ids_of(&all(&api, &query).await), expected, "{query}");
        }
    }
    let last = millis(&ids[19]);
    let found = all(&api, &format!("from={last}")).await;
    assert!(
        !found.is_empty()
            && found
                .iter()
                .all(|it| millis(ids_of(std::slice::from_ref(it))[0]) >= last)
    );
    assert_eq!(
        all(&api, &format!("from={}", last + 1_000_000)).await,
        [""; 0]
    );
    let order: Vec<_> = all(&api, "limit=7").await;
    let order: Vec<_> = ids_of(&order).into_iter().map(Id::parse).collect();
    assert!(order.is_sorted_by(|a, b| a > b), "the newest first");
}

#[tokio::test]
async fn the_history_outlives_the_process() {
    let mut hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let message = |n| json!({"metric": "m", "data": n});
    let ids = publish(&api, &(0..300).map(message).collect::<Vec<_>>()).await;
    hub.crash().await;
    let hub = hub.again().await;
    let api = hub.api(&token::admin("ada"));
    let found = all(&api, "metric=m&order=asc&limit=128").await;
    assert_eq!(ids_of(&found), ids);
}

#[tokio::test]
async fn a_page_of_large_messages_is_cut_short_and_goes_on() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let large = "x".repeat(60_000);
    for _ in 0..8 {
        let message = json!({"metric": "large", "data": large});
        publish(&api, &vec![message; 15]).await;
    }
    let first = history(&api, "metric=large&limit=1000").await;
    let shown = first["messages"].as_array().unwrap().len();
    assert!((1..120).contains(&shown), "{shown}");
    assert!(first["nextCursor"].is_string());
    assert_eq!(all(&api, "metric=large&limit=1000").await.len(), 120);
}
