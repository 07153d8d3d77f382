//! The files by themselves.

use super::site::{Kind, check, shipped};
use crate::support::hub::Hub;

#[test]
fn each_proxy_takes_its_file() {
    for kind in Kind::installed() {
        let (is_good, said) = check(kind);
        assert!(is_good, "{kind:?}: {said}");
        // HAProxy and nginx warn of what they would do otherwise than one might think.
        let warns = said.lines().find(|line| {
            let line = line.to_lowercase();
            line.contains("[warn") || line.contains("\"level\":\"warn")
        });
        assert_eq!(warns, None, "{kind:?}");
    }
}

#[tokio::test]
async fn a_hub_takes_the_settings_of_the_examples() {
    for name in ["compose/config.toml", "kubernetes/config.toml"] {
        let check = Hub::with().file("config.toml", &shipped(name));
        let said = check.arg("check-config").says().await;
        assert!(
            said.result().contains("trusted_proxies"),
            "{name}: {said:?}"
        );
    }
}
