//! What a role may do, and that nobody speaks for another user.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::http::{Api, respond, send, status_of};
use crate::support::hub::Hub;
use crate::support::token;

/// One good request to each endpoint.
fn requests(api: &Api, reconnect_token: &str) -> Vec<RequestBuilder> {
    let get = |path: &str| api.request(Method::GET, path);
    let post = |path: &str, body| api.request(Method::POST, path).json(&body);
    vec![
        get("/stream"),
        get(&format!("/reconnect?token={reconnect_token}")),
        api.upgrade(""),
        get("/websocket-info"),
        get("/connection-stats"),
        get("/websocket-stats"),
        get("/metrics"),
        get("/connections"),
        post("/subscribe", json!({"metrics": ["m"]})),
        post("/unsubscribe", json!({"metrics": ["m"]})),
        post("/test-connection", json!({})),
        post("/ticket", json!({})),
        post("/refresh", json!({"reconnectToken": reconnect_token})),
        post("/disconnect", json!({"userId": "nobody"})),
    ]
}

#[tokio::test]
async fn an_admin_may_use_everything() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "100")
        .start()
        .await;
    let ada = token::admin("ada");
    let mut stream = hub.sse("/stream", &ada).await;
    stream.opened().await;
    for request in requests(&hub.api(&ada), stream.reconnect_token()) {
        let shown = format!("{request:?}");
        let status = respond(request).await.status();
        assert!(status.is_success() || status == 101, "{status} {shown}");
    }
    hub.api(&ada).publish("m", json!(1)).await;
}

/// Attack: a good token used beyond its role.
#[tokio::test]
async fn a_service_may_publish_and_neither_stream_nor_read_nor_rule() {
    let hub = Hub::start().await;
    let service = token::service("job");
    let mut stream = hub.sse("/stream", &token::admin("job")).await;
    stream.opened().await;
    // The session is the service's own user's: it is the role that is missing.
    for request in requests(&hub.api(&service), stream.reconnect_token()) {
        let shown = format!("{request:?}");
        assert_eq!(send(request).await.failure(), (403, "forbidden"), "{shown}");
    }

    let api = hub.api(&service);
    let id = api.publish("m", json!(1)).await;
    let update = stream.next_message("metrics_update").await;
    assert_eq!(update["messageId"], *id);
    let batch = json!({"messages": [{"metric": "m", "data": 2}]});
    assert_eq!(api.post("/publish", &batch).await.status, 202);
    let targeted = json!({"metric": "m", "data": 3, "userId": "ada"});
    assert_eq!(api.post("/publish", &targeted).await.status, 202);
}

#[tokio::test]
async fn a_user_with_both_roles_is_an_admin() {
    let hub = Hub::start().await;
    let claims = json!({
        "sub": "ada", "roles": ["service", "platform_admin"], "exp": token::now() + 60,
    });
    let api = hub.api(&token::sign(&claims));
    assert_eq!(api.get("/metrics").await.status, 200);
    api.publish("m", json!(1)).await;
}

/// Attack: reading another user's stream or messages.
#[tokio::test]
async fn the_user_of_a_websocket_is_the_tokens_own() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    assert_eq!(status_of(api.upgrade("?userId=ada")).await, 101);
    assert_eq!(status_of(api.upgrade("")).await, 101);
    for other in ["bob", "ADA", "ada%20", "*"] {
        let answer = send(api.upgrade(&format!("?userId={other}"))).await;
        assert_eq!(answer.failure(), (403, "forbidden"), "{other}");
    }
    let guest = token::token("gus", "guest", Duration::from_secs(60));
    let answer = send(hub.api(&guest).upgrade("?userId=gus")).await;
    assert_eq!(answer.failure(), (403, "forbidden"));
}

#[tokio::test]
async fn a_numbered_user_may_name_itself() {
    let hub = Hub::start().await;
    let claims = json!({"sub": 42, "role": "platform_admin", "exp": token::now() + 60});
    let api = hub.api(&token::sign(&claims));
    assert_eq!(status_of(api.upgrade("?userId=42")).await, 101);
    assert_eq!(status_of(api.upgrade("?userId=43")).await, 403);
}
