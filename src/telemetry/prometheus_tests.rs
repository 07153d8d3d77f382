use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::message::Priority;
use crate::telemetry::counters::Counters;
use crate::telemetry::latency::Latency;

/// What a scraper makes of the text: kinds by name, and samples by name with labels.
#[derive(Default)]
struct Scraped {
    kinds: BTreeMap<String, String>,
    helped: BTreeSet<String>,
    samples: BTreeMap<String, f64>,
}

/// Reads the exposition strictly: anything out of place is a panic.
fn scrape(text: &str) -> Scraped {
    let mut scraped = Scraped::default();
    let body = text.strip_suffix("# EOF\n").expect("ends with EOF");
    let mut family = String::new();
    for line in body.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                assert!(help.ends_with('.'), "{line}");
                assert!(scraped.helped.insert(name.to_owned()), "twice: {line}");
                family = name.to_owned();
            }
            ["#", "TYPE", name, kind] => {
                assert_eq!(name, family);
                scraped.kinds.insert(name.to_owned(), kind.to_owned());
            }
            ["#", "UNIT", name, unit] => assert!(name.ends_with(&format!("_{unit}")), "{line}"),
            _ => {
                let (series, value) = line.rsplit_once(' ').expect(line);
                let name = check_series(series);
                assert!(name.starts_with(&family), "{line} is not of {family}");
                let value = value.parse().expect(line);
                assert!(
                    scraped.samples.insert(series.to_owned(), value).is_none(),
                    "{line}"
                );
            }
        }
    }
    scraped
}

fn check_series(series: &str) -> &str {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    assert!(
        name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
        "{series}"
    );
    for label in labels
        .strip_suffix('}')
        .expect(series)
        .split_terminator(',')
    {
        let (key, value) = label.split_once('=').expect(series);
        assert!(key.bytes().all(|b| b.is_ascii_lowercase()), "{series}");
        assert!(
            value.len() >= 2 && value.starts_with('"') && value.ends_with('"'),
            "{series}"
        );
    }
    name
}

fn full() -> Snapshot {
    let counters = Counters::default();
    counters.count(Counter::RateLimitedUser);
    counters.count(Counter::Forbidden);
    let latency = Latency::new();
    for millis in [0, 3, 40_000] {
        latency.record(Duration::from_millis(millis));
    }
    let mut dropped = PerPriority::default();
    dropped[Priority::Low] = 7;
    let source = |name: &str, last_success_age| SourceSnapshot {
        metric: MetricName::parse(name).unwrap(),
        polls: 9,
        failures: 2,
        last_duration: Duration::from_millis(250),
        last_success_age,
    };
    Snapshot {
        uptime: Duration::from_millis(1500),
        connections_sse: 3,
        connections_websocket: 4,
        dropped,
        history_bytes: 4096,
        delivery_lag: Duration::from_millis(250),
        delivery_latency: Summary::of([&latency]),
        totals: counters.totals(),
        audit: AuditState {
            written: 5,
            lost: 1,
            ..AuditState::default()
        },
        store: Some(StoreSnapshot {
            commits: 6,
            batches: 8,
            waiting_bytes: 512,
            ..StoreSnapshot::default()
        }),
        redis: Some(RedisSnapshot {
            is_up: true,
            lag: Duration::from_millis(250),
            batches: 12,
            behind: 7,
            ..RedisSnapshot::default()
        }),
        scribe: Some(ScribeSnapshot {
            is_writing: true,
            entries: 40,
            ..ScribeSnapshot::default()
        }),
        sources: vec![
            source("credits.total", Some(Duration::from_secs(30))),
            source("never-yet", None),
        ],
        spans: trace::Totals {
            exported: 11,
            dropped: 2,
        },
        ..Snapshot::default()
    }
}

#[test]
fn the_text_parses_and_says_what_the_snapshot_holds() {
    let scraped = scrape(&render(full()).unwrap());
    let version = format!(
        "statshub_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    for (series, expected) in [
        (version.as_str(), 1.0),
        ("statshub_uptime_seconds", 1.5),
        ("statshub_connections{transport=\"sse\"}", 3.0),
        ("statshub_connections{transport=\"websocket\"}", 4.0),
        ("statshub_sessions_away", 0.0),
        ("statshub_messages_published_total{priority=\"high\"}", 0.0),
        (
            "statshub_messages_delivered_total{transport=\"sse\",priority=\"low\"}",
            0.0,
        ),
        ("statshub_messages_dropped_total{priority=\"low\"}", 7.0),
        (
            "statshub_messages_dropped_total{priority=\"critical\"}",
            0.0,
        ),
        ("statshub_backlog_messages", 0.0),
        ("statshub_history_bytes", 4096.0),
        ("statshub_hub_mailbox_messages", 0.0),
        ("statshub_delivery_lag_seconds", 0.25),
        (
            "statshub_delivery_latency_seconds_bucket{le=\"0.0005\"}",
            1.0,
        ),
        (
            "statshub_delivery_latency_seconds_bucket{le=\"0.005\"}",
            2.0,
        ),
        ("statshub_delivery_latency_seconds_bucket{le=\"10.0\"}", 2.0),
        ("statshub_delivery_latency_seconds_bucket{le=\"+Inf\"}", 3.0),
        ("statshub_delivery_latency_seconds_count", 3.0),
        ("statshub_rate_limited_total{kind=\"user\"}", 1.0),
        (
            "statshub_rate_limited_total{kind=\"connection_limit\"}",
            0.0,
        ),
        ("statshub_forbidden_total", 1.0),
        ("statshub_unauthenticated_total", 0.0),
        ("statshub_audit_events_written_total", 5.0),
        ("statshub_audit_events_lost_total", 1.0),
        ("statshub_redis_up", 1.0),
        ("statshub_redis_lag_seconds", 0.25),
        ("statshub_redis_behind_messages", 7.0),
        ("statshub_redis_batches_total", 12.0),
        ("statshub_scribe_writing", 1.0),
        ("statshub_scribe_entries_total", 40.0),
        ("statshub_redis_epochs_total", 0.0),
        ("statshub_store_commits_total", 6.0),
        ("statshub_store_batches_total", 8.0),
        ("statshub_store_failures_total", 0.0),
        ("statshub_store_waiting_bytes", 512.0),
        ("statshub_store_audit_events_written_total", 0.0),
        ("statshub_source_polls_total{source=\"credits.total\"}", 9.0),
        ("statshub_source_failures_total{source=\"never-yet\"}", 2.0),
        (
            "statshub_source_poll_duration_seconds{source=\"credits.total\"}",
            0.25,
        ),
        (
            "statshub_source_last_success_age_seconds{source=\"credits.total\"}",
            30.0,
        ),
        ("statshub_trace_spans_total{outcome=\"dropped\"}", 2.0),
    ] {
        assert_eq!(scraped.samples.get(series), Some(&expected), "{series}");
    }
    let never = "statshub_source_last_success_age_seconds{source=\"never-yet\"}";
    assert!(!scraped.samples.contains_key(never));
}

#[test]
fn names_follow_the_conventions() {
    let scraped = scrape(&render(full()).unwrap());
    assert!(
        scraped.kinds.keys().eq(&scraped.helped),
        "each has its help and its type"
    );
    for (name, kind) in &scraped.kinds {
        assert!(name.starts_with("statshub_"), "{name}");
        assert!(!name.ends_with("_total"), "{name}: the encoder adds that");
        let of_family = |series: &&String| series.starts_with(name.as_str());
        let mut series = scraped.samples.keys().filter(of_family);
        match kind.as_str() {
            "counter" => assert!(series.any(|s| s.contains("_total"))),
            "gauge" => assert!(series.all(|s| !s.contains("_total"))),
            "histogram" | "info" => {}
            other => panic!("{name} is a {other}"),
        }
        for other_unit in ["_ms", "_millis", "_minutes", "_kb"] {
            assert!(!name.contains(other_unit), "{name} is not in a base unit");
        }
    }
}

#[test]
fn an_empty_snapshot_parses_too() {
    let scraped = scrape(&render(Snapshot::default()).unwrap());
    assert_eq!(
        scraped.samples["statshub_delivery_latency_seconds_count"],
        0.0
    );
}
