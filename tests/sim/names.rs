//! The few names that the simulated world has, and matching as a child would write it.

use statshub::domain::message::UserId;
use statshub::domain::pattern::{MetricName, Pattern};
use statshub::domain::view::Selector;

pub const METRICS: [&str; 8] = ["a", "b", "a.x", "a.y", "a.x.z", "b.x", "c", "c.d"];
/// The metrics first, so that an index below `METRICS.len()` is an exact name.
pub const PATTERNS: [&str; 14] = [
    "a", "b", "a.x", "a.y", "a.x.z", "b.x", "c", "c.d", "*", "**", "a.*", "a.**", "*.x", "c.**",
];

pub fn metric(index: usize) -> MetricName {
    MetricName::parse(METRICS[index]).expect("a name")
}

pub fn pattern(index: usize) -> Pattern {
    Pattern::parse(PATTERNS[index]).expect("a pattern")
}

pub fn selectors(indexes: &[usize]) -> Vec<Selector> {
    indexes.iter().map(|index| pattern(*index).into()).collect()
}

pub fn user(index: usize) -> UserId {
    UserId::parse(&format!("user-{index}")).expect("a user")
}

pub fn matches(pattern: &str, name: &str) -> bool {
    fn segments(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern, name) {
            (["**"], _) => true,
            ([], []) => true,
            ([p, pattern @ ..], [n, name @ ..]) => (*p == "*" || p == n) && segments(pattern, name),
            _ => false,
        }
    }
    segments(
        &pattern.split('.').collect::<Vec<_>>(),
        &name.split('.').collect::<Vec<_>>(),
    )
}
