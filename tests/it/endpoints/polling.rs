//! `GET metrics`, for clients that poll.

use serde_json::json;

use crate::support::hub::Hub;
use crate::support::message::fields;
use crate::support::token;

#[tokio::test]
async fn a_client_that_polls_gets_the_metrics_that_it_names_or_all() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for name in ["a", "b.x", "b.y"] {
        api.publish(name, json!(1)).await;
    }
    let check = async |query: &str, expected: &[&str]| {
        let answer = api.get(&format!("/metrics{query}")).await;
        assert_eq!(fields(answer.data()), expected, "{query:?}");
    };
    check("", &["a", "b.x", "b.y"]).await;
    check("?metrics=", &["a", "b.x", "b.y"]).await;
    check("?metrics=b.*", &["b.x", "b.y"]).await;
    check("?metrics=a,b.y", &["a", "b.y"]).await;
    check("?metrics=c", &[]).await;
    let answer = api.get("/metrics?metrics=a..b").await;
    assert_eq!(answer.failure(), (400, "invalid_request"));
}
