//! `X-Forwarded-For`: what a client says of itself counts for nothing, what a trusted proxy adds does.

use reqwest::Method;

use crate::support::http::{Api, respond, status_of};
use crate::support::hub::Hub;

const FEW: &str = "[limits]\nper_ip_per_second = 1\nper_ip_burst = 3\n";
const TRUSTED: &str = "[http]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n";

/// Whether of many requests, each said to come from where `forwarded` says, some are too many.
async fn is_limited(api: &Api, forwarded: impl Fn(usize) -> String) -> bool {
    for nth in 0..20 {
        let request = api.request(Method::GET, "/metrics");
        match status_of(request.header("x-forwarded-for", forwarded(nth))).await {
            401 => {}
            429 => return true,
            status => panic!("{status}"),
        }
    }
    false
}

/// Attack: a forged address.
#[tokio::test]
async fn nobody_gets_around_a_limit_by_lying_about_his_address() {
    let hub = Hub::with().config(FEW).start().await;
    let api = hub.anonymous();
    assert!(is_limited(&api, |nth| format!("203.0.113.{nth}")).await);
}

/// Attack: a forged address.
#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_a_limit_of_its_own() {
    let config = format!("{FEW}{TRUSTED}");
    let hub = Hub::with().config(&config).start().await;
    let api = hub.anonymous();
    assert!(!is_limited(&api, |nth| format!("203.0.113.{nth}")).await);
    assert!(is_limited(&api, |_| "203.0.113.200".into()).await);
    // Everything to the left of the last hop that is not ours was written by strangers.
    assert!(is_limited(&api, |nth| format!("192.0.2.{nth}, 203.0.113.201")).await);
    assert!(
        is_limited(&api, |nth| format!(
            "192.0.2.{nth}, 203.0.113.202, 10.1.2.3"
        ))
        .await
    );
    assert!(
        !is_limited(&api, |nth| format!(
            "203.0.113.203, 192.0.2.{nth}, 10.1.2.3"
        ))
        .await
    );
    // What is no address tells nothing, and the proxy's own counts.
    assert!(is_limited(&api, |nth| format!("unknown-{nth}\", 1.2.3")).await);
}

/// Attack: a forged address.
#[tokio::test]
async fn what_is_shown_to_this_machine_only_is_not_shown_through_a_proxy_on_it() {
    for config in ["", TRUSTED] {
        let hub = Hub::with().config(config).start().await;
        let api = hub.anonymous();
        let status = async |forwarded: &[&str]| {
            let mut request = api.request_at(Method::GET, "/metrics");
            for address in forwarded {
                request = request.header("x-forwarded-for", *address);
            }
            respond(request).await.status().as_u16()
        };
        assert_eq!(status(&[]).await, 200);
        for forwarded in [
            "203.0.113.9",
            "127.0.0.1",
            "127.0.0.1, 203.0.113.9",
            "::1",
            "",
            "unknown",
        ] {
            assert_eq!(status(&[forwarded]).await, 403, "{forwarded:?}");
        }
        assert_eq!(status(&["127.0.0.1", "127.0.0.1"]).await, 403);
    }
}
