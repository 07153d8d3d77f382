//! The families, as the documentation lists them.

use std::collections::BTreeSet;

use jsonwebtoken::Algorithm::RS256;
use reqwest::Method;

use super::scraped_when;
use crate::support::exposition::{Exposition, Family};
use crate::support::http::{Api, respond};
use crate::support::hub::Hub;
use crate::support::jwks::JwksServer;
use crate::support::token::jwk;
use crate::tls::Safe;

const DOCUMENT: &str = include_str!("../../../../docs/operations.md");

/// A family of the document's table: name, kind and labels.
pub(super) fn documented() -> Vec<(String, &'static str, Vec<&'static str>)> {
    let mut families = Vec::new();
    for row in DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| `statshub_") || line.starts_with("| `process_"))
    {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let in_ticks = |cell: &'static str| cell.split('`').skip(1).step_by(2);
        let labels: Vec<_> = in_ticks(cells[2]).take(1).collect();
        let names: Vec<_> = in_ticks(cells[0]).collect();
        let first = names[0];
        for name in names {
            // `_succeeded_total` stands for the first name with its last word exchanged.
            let words = name.trim_end_matches("_total").trim_start_matches('_');
            let stem = first
                .trim_end_matches("_total")
                .rsplit_once('_')
                .expect("words")
                .0;
            let name = match !name.starts_with('_') {
                true => name.to_owned(),
                false => format!("{stem}_{words}_total"),
            };
            families.push((name, cells[1], labels.clone()));
        }
    }
    families
}

#[tokio::test]
async fn every_family_of_the_documentation_is_there_as_it_says_and_no_other() {
    let config = "[[source]]\nmetric = \"s\"\nkind = \"hub\"\n\
        [[aggregate]]\nmetric = \"a\"\nfrom = \"s\"\nop = \"count\"\nwindow = \"1s\"";
    let hub = Hub::with().config(config).start().await;
    let scraped = scraped_when(&hub, "a first read", |it| {
        it.find("statshub_source_last_success_age_seconds", &[])
            .is_some()
            && it
                .find("statshub_http_request_duration_seconds_count", &[])
                .is_some()
    })
    .await;
    let documented = documented();
    assert!(documented.len() > 20, "{documented:?}");
    // These are of a hub that is one of several only, be its log and their database there or not.
    let issuer = JwksServer::start().await;
    issuer.serve(&[jwk("rsa_a", RS256, "a")]);
    let of_several = Hub::with()
        .without_env("JWT_SECRET")
        .env("REDIS_URL", "redis://127.0.0.1:9")
        .env("DATABASE_URL", "postgres://127.0.0.1:9/none")
        .config(&format!("[auth]\njwks_url = {:?}", issuer.url));
    let of_several = of_several.start().await;
    let of_several = scraped_when(&of_several, "its keys", |it| {
        it.find("statshub_keys_last_success_age_seconds", &[])
            .is_some()
    })
    .await;
    // And these of one whose keys are behind a URL.
    const SHARED: [&str; 3] = ["statshub_redis_", "statshub_scribe_", "statshub_keys_"];
    let is_shared = |name: &str| SHARED.iter().any(|it| name.starts_with(it));
    let shared = of_several.families.into_iter();
    let shared = shared.filter(|(name, _)| is_shared(name));
    let mut scraped = scraped;
    scraped.families.extend(shared);
    // These are of a hub that speaks TLS itself.
    let safe = Safe::start().await;
    let (tunnel, path) = (safe.tunnel().await, "/metrics");
    let of_tls = Api::at(tunnel.url(), None).request_at(Method::GET, path);
    let of_tls = Exposition::parse(&respond(of_tls).await.text().await.expect("a text"));
    let of_tls = of_tls.families.into_iter();
    scraped
        .families
        .extend(of_tls.filter(|(name, _)| name.starts_with("statshub_tls_")));
    let mut undocumented = scraped.families.keys().collect::<BTreeSet<_>>();
    for (name, kind, labels) in &documented {
        let family = name
            .trim_end_matches("_total")
            .trim_end_matches("_info")
            .to_owned();
        assert!(undocumented.remove(&family), "{name} is not there");
        let Family {
            kind: is, samples, ..
        } = &scraped.families[&family];
        assert_eq!(is, kind, "{name}");
        for label in labels {
            assert!(
                samples.iter().any(|it| it.labels.contains_key(*label)),
                "{name} {label}"
            );
        }
    }
    assert!(
        undocumented.is_empty(),
        "not in the documentation: {undocumented:?}"
    );
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(scraped.value("statshub_build_info", &version), 1.0);
    let uptime = scraped.value("statshub_uptime_seconds", &[]);
    let later = |it: &Exposition| it.value("statshub_uptime_seconds", &[]) > uptime;
    scraped_when(&hub, "time to pass", later).await;
}
