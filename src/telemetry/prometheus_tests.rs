use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::message::Priority;
use crate::telemetry::aggregates::AggregateSnapshot;
use crate::telemetry::counters::Counters;
use crate::telemetry::latency::Latency;
use crate::telemetry::requests::Requests;
use crate::telemetry::standing::KeysFetched;

/// What a scraper makes of the text: kinds by name, and samples by name with labels.
#[derive(Default)]
struct Scraped {
    kinds: BTreeMap<String, String>,
    helped: BTreeSet<String>,
    samples: BTreeMap<String, f64>,
}

const ENDINGS: [&str; 5] = ["_total", "_info", "_bucket", "_sum", "_count"];

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
    let requests = Requests::of([("/a/{id}".to_owned(), true), ("/stream".to_owned(), false)]);
    requests.record(0, 200, Duration::from_millis(250));
    requests.record(1, 200, Duration::from_secs(3600));
    Snapshot {
        uptime: Duration::from_millis(1500),
        process: Some(Process {
            open_fds: Some(12),
            max_fds: Some(1024),
            resident_bytes: 4096,
            cpu_seconds: 1.25,
            started_at: 1_700_000_000,
        }),
        standing: Standing {
            is_degraded: true,
            connections_max: 100,
            keys: 2,
            keys_fetched: Some(KeysFetched {
                failures: 3,
                last_success_age: Some(Duration::from_secs(600)),
                age_max: Duration::from_secs(86_400),
            }),
            has_reloaded: true,
            reloaded_at: Duration::from_millis(1_700_000_000_500),
        },
        requests: requests.answered(),
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
            lag: Duration::from_millis(125),
            audit_newest: Some(42),
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
        aggregates: AggregatesSnapshot {
            events: 70,
            refused: 7,
            each: vec![AggregateSnapshot {
                metric: MetricName::parse("sales").unwrap(),
                counted: 60,
                late: 6,
                ahead: 0,
                without_value: 4,
                ungrouped: 3,
                results: 12,
                failures: 1,
                lag: Duration::from_millis(250),
            }],
            ..AggregatesSnapshot::default()
        },
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
        ("process_open_fds", 12.0),
        ("statshub_events_total{outcome=\"refused\"}", 7.0),
        (
            "statshub_aggregate_observations_total{aggregate=\"sales\",outcome=\"late\"}",
            6.0,
        ),
        (
            "statshub_aggregate_result_lag_seconds{aggregate=\"sales\"}",
            0.25,
        ),
        ("process_max_fds", 1024.0),
        ("process_resident_memory_bytes", 4096.0),
        ("process_cpu_seconds_total", 1.25),
        ("process_start_time_seconds", 1_700_000_000.0),
        ("statshub_degraded", 1.0),
        ("statshub_connections_max", 100.0),
        ("statshub_keys", 2.0),
        ("statshub_keys_fetch_failures_total", 3.0),
        ("statshub_keys_last_success_age_seconds", 600.0),
        ("statshub_keys_age_max_seconds", 86_400.0),
        ("statshub_reload_last_successful", 1.0),
        (
            "statshub_reload_last_success_timestamp_seconds",
            1_700_000_000.5,
        ),
        (
            "statshub_http_requests_total{route=\"/a/{id}\",status=\"200\"}",
            1.0,
        ),
        (
            "statshub_http_requests_total{route=\"/a/{id}\",status=\"500\"}",
            0.0,
        ),
        (
            "statshub_http_requests_total{route=\"/stream\",status=\"200\"}",
            1.0,
        ),
        (
            "statshub_http_request_duration_seconds_bucket{le=\"0.1\",route=\"/a/{id}\"}",
            0.0,
        ),
        (
            "statshub_http_request_duration_seconds_bucket{le=\"0.25\",route=\"/a/{id}\"}",
            1.0,
        ),
        (
            "statshub_http_request_duration_seconds_count{route=\"/a/{id}\"}",
            1.0,
        ),
        (
            "statshub_http_request_duration_seconds_sum{route=\"/a/{id}\"}",
            0.25,
        ),
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
        ("statshub_store_lag_seconds", 0.125),
        ("statshub_store_audit_newest_record", 42.0),
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
    let mut samples = scraped.samples.keys();
    let is_timed = |it: &String| it.contains("_duration_") && it.contains("/stream");
    assert!(
        !samples.any(is_timed),
        "how long a stream goes on is no duration of a request"
    );
}

#[test]
fn names_follow_the_conventions() {
    let scraped = scrape(&render(full()).unwrap());
    assert!(
        scraped.kinds.keys().eq(&scraped.helped),
        "each has its help and its type"
    );
    for (name, kind) in &scraped.kinds {
        let is_ours = name.starts_with("statshub_");
        assert!(is_ours || name.starts_with("process_"), "{name}");
        assert!(!name.ends_with("_total"), "{name}: the encoder adds that");
        let of_family = |series: &&String| {
            let rest = check_series(series).strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || ENDINGS.contains(&rest))
        };
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
