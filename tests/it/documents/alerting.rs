//! Rules, silences and notifications: what a hub answers is as the document says.

use reqwest::Method;
use serde_json::json;

use super::answers::Held;
use crate::alerting::receiver::Receiver;
use crate::support::http::{Api, respond};
use crate::support::{A, eventually};

pub async fn told(held: &Held, api: &Api) {
    let rule =
        json!({"on": "users.*", "severity": "low", "when": "data > 400", "message": "is {data}"});
    let route = &format!("{A}/rules/{{name}}");
    let path = format!("{A}/rules/few");
    for body in [rule.clone(), json!({"on": "users.*"})] {
        let request = api.request_at(Method::PUT, &path).json(&body);
        held.answer(route, Method::PUT, request).await;
    }
    held.get(api, &format!("{A}/rules"), "").await;
    for path in [&path, &format!("{A}/rules/none")] {
        let request = api.request_at(Method::GET, path);
        held.answer(route, Method::GET, request).await;
    }
    let test = &format!("{A}/rules/test");
    for body in [
        json!({"rule": rule, "metric": "users.active", "data": 5}),
        json!({"name": "few", "metric": "users.active"}),
        json!({}),
    ] {
        held.post(api, test, test, body).await;
    }
    let silences = &format!("{A}/silences");
    let until = "2099-01-01T00:00:00Z";
    let from = "2098-12-01T00:00:00Z";
    let wanted = json!({"alert": "few", "from": from, "until": until, "why": "upgrade"});
    let silence = held.post(api, silences, silences, wanted).await;
    held.post(api, silences, silences, json!({"until": until, "why": "x"}))
        .await;
    held.get(api, silences, "").await;
    let gone = &format!("{A}/silences/{{id}}");
    for _ in 0..2 {
        let path = format!("{silences}/{}", silence["id"].as_str().expect("an id"));
        let request = api.request_at(Method::DELETE, &path);
        held.answer(gone, Method::DELETE, request).await;
    }
    for _ in 0..2 {
        let request = api.request_at(Method::DELETE, &path);
        held.answer(route, Method::DELETE, request).await;
    }
    notified(held, api).await;
}

/// Of two notifications that nobody takes.
async fn notified(held: &Held, api: &Api) {
    let notifications = &format!("{A}/notifications");
    let rule = json!({"on": "m", "severity": "critical", "when": "data > 1"});
    let request = api.request(Method::PUT, "/rules/over").json(&rule);
    assert_eq!(respond(request).await.status(), 200);
    for value in [5, 0] {
        api.publish("m", json!(value)).await;
        let dead = if value == 5 { 1 } else { 2 };
        eventually("it to be given up", async || {
            let listed = held.get(api, notifications, "").await;
            (listed["dead"].as_array()?.len() == dead).then_some(())
        })
        .await;
    }
    let listed = held.get(api, notifications, "").await;
    let id = |nth: usize| {
        listed["dead"][nth]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    let retry = &format!("{notifications}/{{id}}/retry");
    for id in [&id(0), "none"] {
        held.post(
            api,
            retry,
            &format!("{notifications}/{id}/retry"),
            json!({}),
        )
        .await;
    }
    let route = &format!("{notifications}/{{id}}");
    for id in [&id(1), "none"] {
        let request = api.request_at(Method::DELETE, &format!("{notifications}/{id}"));
        held.answer(route, Method::DELETE, request).await;
    }
}

/// A webhook that wants nothing from anybody.
pub async fn gone() -> String {
    let receiver = Receiver::start().await;
    receiver.answers(&["410 Gone"; 10]);
    receiver.hook("")
}
