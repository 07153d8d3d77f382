//! `/metrics`: what the documentation lists is there, is well formed and moves; who may see it; and that
//! the dashboard and the alerts know it.

mod access;
mod dashboards;
mod families;
mod numbers;
mod requests;
mod scraped;
mod standing;

use reqwest::{Method, RequestBuilder};

use crate::support::eventually;
use crate::support::exposition::Exposition;
use crate::support::http::respond;
use crate::support::hub::Hub;

fn asked(hub: &Hub) -> RequestBuilder {
    hub.anonymous().request_at(Method::GET, "/metrics")
}

async fn scrape(hub: &Hub) -> Exposition {
    let response = respond(asked(hub)).await;
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"]
        .to_str()
        .expect("a text")
        .to_owned();
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    Exposition::parse(&response.text().await.expect("a text"))
}

/// A scrape as soon as `check` holds of it.
async fn scraped_when(hub: &Hub, what: &str, check: impl Fn(&Exposition) -> bool) -> Exposition {
    eventually(what, async || {
        Some(scrape(hub).await).filter(|it| check(it))
    })
    .await
}
