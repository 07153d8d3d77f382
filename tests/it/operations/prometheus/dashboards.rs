//! Grafana's dashboard and the alert rules speak of numbers that there are.

use std::collections::BTreeSet;

use serde_json::Value;

use super::families::documented;

pub(super) const DASHBOARD: &str = include_str!("../../../../docs/operations/grafana.json");
const ALERTS: &str = include_str!("../../../../docs/operations/alerts.yml");

/// Every name of ours in the text, as the documentation has it: the samples of a histogram have
/// endings of their own.
fn named(text: &str) -> BTreeSet<&str> {
    let starts = ["statshub_", "process_"];
    let starts = starts.into_iter().flat_map(|it| text.match_indices(it));
    let starts = starts.map(|(at, _)| &text[at..]);
    let names = starts.map(|rest| {
        let is_over = |it: char| !it.is_ascii_alphanumeric() && it != '_';
        &rest[..rest.find(is_over).unwrap_or(rest.len())]
    });
    names.map(|name| name.trim_end_matches("_bucket")).collect()
}

#[test]
fn what_the_dashboard_and_the_alerts_name_is_in_the_documentation() {
    let documented = documented();
    for (file, text) in [("grafana.json", DASHBOARD), ("alerts.yml", ALERTS)] {
        let named = named(text);
        assert!(named.len() > 10, "{file}: {named:?}");
        for name in named {
            let is_known = documented.iter().any(|(it, ..)| it.as_str() == name);
            assert!(is_known, "{file}: {name}");
        }
    }
}

/// The other way round: a number that nobody looks at is forgotten.
#[test]
fn the_dashboard_shows_every_family() {
    let named = named(DASHBOARD);
    for (family, ..) in documented() {
        assert!(named.contains(family.as_str()), "{family}");
    }
}

#[test]
fn the_dashboard_is_json_and_asks_the_chosen_data_source_only() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    for panel in dashboard["panels"].as_array().expect("panels") {
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
}
