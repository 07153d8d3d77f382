use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::super::alerts;
use super::super::file::{self, Store};
use super::*;
use crate::config::{AuthKeys, Settings};
use crate::domain::time::Now;

const METRICS: i64 = 40;
const MESSAGES: i64 = 20_000;

/// A log in which message n is of metric n modulo 40, `m<that>.x`; of metric 7 half are ada's and half
/// bob's.
fn log() -> (tempfile::TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::with_keys(AuthKeys::Secret(String::new())).store;
    settings.file = dir.path().join("log.db");
    let now = Now {
        wall_ms: 1,
        mono: std::time::Duration::ZERO,
    };
    let store = Store::open(&settings, now).unwrap();
    let connection = &store.connection;
    let fill = format!(
        "BEGIN;
         WITH RECURSIVE n(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM n WHERE n < {METRICS} - 1)
         INSERT INTO ring (id, kind, metric, user, priority)
         SELECT n + 1, n = 7, 'm' || n || '.x', iif(n = 7, 'ada', ''), 1 FROM n;
         INSERT INTO ring (id, kind, metric, user, priority)
         VALUES (100, 1, 'm7.x', 'bob', 1), (101, 2, '', '', 3), (102, 3, 'sse', 'ada', 0);
         WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < {MESSAGES})
         INSERT INTO message (id, ring, retain, wall_ms, data)
         SELECT n, iif(n % 80 = 47, 100, n % {METRICS} + 1), 0, 0, n FROM n;
         COMMIT"
    );
    connection.execute_batch(&fill).unwrap();
    let reader = file::reader(&settings.file).unwrap();
    (dir, reader)
}

fn found(connection: &Connection, patterns: &[&str], user: &str) -> Vec<Arc<Ring>> {
    let patterns: Vec<_> = patterns
        .iter()
        .map(|text| Pattern::parse(text).unwrap())
        .collect();
    rings(connection, &patterns, &UserId::parse(user).unwrap()).unwrap()
}

fn all(
    connection: &Connection,
    rings: Vec<Arc<Ring>>,
    bounds: (u64, u64),
    order: Order,
) -> Vec<u64> {
    let bounds = Bounds {
        from: MessageId::from_bits(bounds.0),
        to: MessageId::from_bits(bounds.1),
    };
    let mut walk = Walk::new(rings, bounds, order);
    let mut ids = Vec::new();
    while !walk.is_at_end() {
        let rows = walk.page(connection, 97).unwrap();
        assert!(rows.len() <= 97);
        for row in rows {
            assert_eq!(row.data, row.id.to_bits().to_string());
            ids.push(row.id.to_bits());
        }
    }
    ids
}

#[test]
fn a_walk_meets_every_message_once_and_in_order() {
    let (_dir, connection) = log();
    let everything = found(&connection, &["**"], "ada");
    let seen = all(
        &connection,
        everything,
        (0, u64::MAX >> 1),
        Order::OldestFirst,
    );
    let expected: Vec<u64> = (1..=MESSAGES as u64).filter(|n| n % 80 != 47).collect();
    assert_eq!(seen, expected);

    let some = found(&connection, &["m1.x", "m3.*", "m7.x"], "bob");
    let mut seen = all(&connection, some, (100, 5000), Order::NewestFirst);
    seen.reverse();
    let is_wanted = |n: &u64| matches!(n % 40, 1 | 3) || n % 80 == 47;
    let expected: Vec<u64> = (100..5000).filter(is_wanted).collect();
    assert_eq!(seen, expected);
}

#[test]
fn rings_are_those_of_the_patterns_that_the_user_may_see() {
    let (_dir, connection) = log();
    let count = |patterns: &[&str], user| found(&connection, patterns, user).len();
    assert_eq!(count(&["**"], "ada"), 40);
    assert_eq!(count(&["**"], "carol"), 39);
    assert_eq!(count(&["m7.x"], "carol"), 0);
    assert_eq!(count(&["m7.x"], "bob"), 1);
    assert_eq!(count(&["m1.x", "m1.x", "m1.*"], "bob"), 1);
    assert_eq!(count(&["m1.x", "m1.x"], "bob"), 1);
    assert_eq!(count(&["sse", "none"], "ada"), 0, "a test is no metric");
}

#[test]
fn a_walk_over_nothing_is_at_its_end_at_once() {
    let (_dir, connection) = log();
    let rings = found(&connection, &["none"], "ada");
    let seen = all(&connection, rings, (0, u64::MAX), Order::NewestFirst);
    assert!(seen.is_empty());
}

/// Whatever is asked of the large tables is found by an index, however much else they hold.
#[test]
fn no_query_reads_a_whole_table() {
    let (_dir, connection) = log();
    let statements = [IDS_UP, IDS_DOWN, VALUE, RINGS_OF_ONE];
    for text in statements.into_iter().chain(alerts::PAGES) {
        let explain = format!("EXPLAIN QUERY PLAN {text}");
        let mut statement = connection.prepare(&explain).unwrap();
        let values = vec![Value::Integer(1); statement.parameter_count()];
        let plan = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
        let plan: Vec<String> = plan.unwrap().collect::<Result<_, _>>().unwrap();
        assert!(!plan.is_empty());
        for step in &plan {
            assert!(step.starts_with("SEARCH"), "{text}: {plan:?}");
        }
    }
    let plan = |text: &str| {
        let text = format!("EXPLAIN QUERY PLAN {text}");
        connection
            .query_row(&text, params_from_iter([1, 1, 1, 1]), |row| {
                row.get::<_, String>(3)
            })
            .unwrap()
    };
    assert!(plan(IDS_UP).contains("message_ring"), "{}", plan(IDS_UP));
    assert!(
        plan(IDS_DOWN).contains("message_ring"),
        "{}",
        plan(IDS_DOWN)
    );
}
