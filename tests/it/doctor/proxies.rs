//! The proxies of `examples/`, as they are shipped.

use super::{a_hub, examine};
use crate::balancing::{Kind, Site};
use crate::support::token;

#[tokio::test]
async fn behind_each_proxy_of_the_examples_all_is_well() {
    let tests = Kind::installed().map(async |kind| {
        let hubs = [a_hub().start().await];
        let site = Site::of(kind, &hubs).await;
        let ada = token::admin("ada");
        let url = format!("http://{}", site.address);
        let examined = examine(&url, Some(&ada), &["--idle", "3"]).await;
        examined.is_well();
        assert_eq!(
            examined.with("skipped"),
            ["cors"],
            "{kind:?} {:#}",
            examined.report
        );
    });
    futures::future::join_all(tests).await;
}

#[tokio::test]
async fn a_proxy_without_a_hub_is_none() {
    let tests = Kind::installed().map(async |kind| {
        let site = Site::of(kind, &[]).await;
        let url = format!("http://{}", site.address);
        let examined = examine(&url, Some(&token::admin("ada")), &[]).await;
        assert_eq!(examined.code, Some(2), "{kind:?} {:#}", examined.report);
        assert_eq!(examined.faults(), ["reachable"], "{kind:?}");
    });
    futures::future::join_all(tests).await;
}
