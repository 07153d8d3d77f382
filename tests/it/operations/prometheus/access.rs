//! Who may scrape.

use reqwest::Method;
use serde_json::{Value, json};

use super::asked;
use crate::support::http::{send, status_of};
use crate::support::hub::Hub;
use crate::support::token;

const TOKEN: &str = "0123456789-prometheus";

/// Status of a scrape with these headers.
async fn status(hub: &Hub, headers: &[(&str, &str)]) -> u16 {
    let request = headers
        .iter()
        .fold(asked(hub), |it, (name, value)| it.header(*name, *value));
    status_of(request).await
}

/// Attack: reading the numbers from elsewhere.
#[tokio::test]
async fn without_a_token_it_answers_this_machine_only() {
    let hub = Hub::start().await;
    assert_eq!(status(&hub, &[]).await, 200);
    // What comes through a proxy comes from elsewhere, whoever the peer is.
    for header in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
        assert_eq!(
            status(&hub, &[(header, "127.0.0.1")]).await,
            403,
            "{header}"
        );
    }
    let admin = format!("Bearer {}", token::admin("ada"));
    let forwarded = [("x-forwarded-for", "192.0.2.1"), ("authorization", &*admin)];
    assert_eq!(
        status(&hub, &forwarded).await,
        403,
        "a user's token opens nothing here"
    );
}

/// Attack: reading the numbers from elsewhere.
#[tokio::test]
async fn with_a_token_it_answers_whoever_shows_it() {
    let config = format!("[prometheus]\ntoken = \"{TOKEN}\"");
    let hub = Hub::with().config(&config).start().await;
    let good = format!("Bearer {TOKEN}");
    let admin = format!("Bearer {}", token::admin("ada"));
    for (headers, expected) in [
        (&[("authorization", &*good)][..], 200),
        (
            &[("authorization", &*good), ("x-forwarded-for", "192.0.2.1")],
            200,
        ),
        (&[], 401),
        (&[("authorization", "Bearer 0123456789-prometheuS")], 401),
        (&[("authorization", &*admin)], 401),
        (&[("cookie", "access_token=0123456789-prometheus")], 401),
    ] {
        assert_eq!(status(&hub, headers).await, expected, "{headers:?}");
    }
    let in_query = hub
        .anonymous()
        .request_at(Method::GET, &format!("/metrics?token={TOKEN}"));
    assert_eq!(send(in_query).await.failure(), (401, "unauthenticated"));
    let refused = send(asked(&hub)).await;
    assert!(
        refused
            .header("www-authenticate")
            .is_some_and(|it| it.starts_with("Bearer"))
    );
}

#[tokio::test]
async fn switched_off_there_is_no_such_path() {
    let hub = Hub::with()
        .config("[prometheus]\nenabled = false")
        .start()
        .await;
    let answer = send(asked(&hub)).await;
    assert_eq!(
        (answer.failure(), answer.error()),
        ((404, "not_found"), "Not Found")
    );
    let of_values: Value = hub
        .api(&token::admin("ada"))
        .get("/metrics")
        .await
        .data()
        .clone();
    assert_eq!(of_values, json!({}), "which is another");
}
