//! What texts may do to names, patterns and subscriptions.

use super::message::MessageId;
use super::pattern::{MetricName, PATTERNS_MAX, Pattern, SEGMENTS_MAX};
use super::subscription::Subscription;
use super::view::Selector;

/// Texts apart by 0xff: patterns with commas between them, then names. They are judged, matched and
/// subscribed to as a reference does that knows nothing of what a pattern may not be.
pub fn patterns(data: &[u8]) {
    let mut texts = data
        .split(|byte| *byte == 0xff)
        .filter_map(|text| str::from_utf8(text).ok());
    let wanted = texts.next().unwrap_or_default();
    let patterns: Vec<Pattern> = wanted.split(',').filter_map(pattern).collect();
    let names: Vec<MetricName> = texts.filter_map(name).collect();
    for name in &names {
        for pattern in &patterns {
            let expected = reference(&segments(pattern.as_str()), &segments(name.as_str()));
            assert_eq!(pattern.matches(name), expected, "{pattern} on {name}");
        }
    }
    subscribe(&patterns, &names);
}

fn segments(text: &str) -> Vec<&str> {
    text.split('.').collect()
}

/// By trying everything: `**` anywhere for any number of segments.
fn reference(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=name.len()).any(|taken| reference(rest, &name[taken..])),
        (["*", rest @ ..], [_, left @ ..]) => reference(rest, left),
        ([wanted, rest @ ..], [segment, left @ ..]) => wanted == segment && reference(rest, left),
        _ => false,
    }
}

fn is_lawful(text: &str, is_segment: impl Fn(&str) -> bool) -> bool {
    let segments = segments(text);
    (1..=128).contains(&text.len())
        && segments.len() <= SEGMENTS_MAX
        && segments.into_iter().all(is_segment)
}

fn is_plain(segment: &str) -> bool {
    let is_plain = |c: char| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-');
    !segment.is_empty() && segment.chars().all(is_plain)
}

fn pattern(text: &str) -> Option<Pattern> {
    let parsed = Pattern::parse(text);
    let before_its_end = text.strip_suffix("**").unwrap_or(text);
    let is_segment = |segment: &str| matches!(segment, "*" | "**") || is_plain(segment);
    let lawful = is_lawful(text, is_segment) && !segments(before_its_end).contains(&"**");
    assert_eq!(parsed.is_ok(), lawful, "{text:?}");
    let pattern = parsed.ok()?;
    assert_eq!(pattern.as_str(), text);
    assert_eq!(pattern.as_exact(), MetricName::parse(text).ok());
    Some(pattern)
}

fn name(text: &str) -> Option<MetricName> {
    let parsed = MetricName::parse(text);
    assert_eq!(parsed.is_ok(), is_lawful(text, is_plain), "{text:?}");
    let name = parsed.ok()?;
    assert_eq!(name.as_str(), text);
    Some(name)
}

fn subscribe(patterns: &[Pattern], names: &[MetricName]) {
    let since = MessageId::from_bits(7);
    let mut distinct: Vec<_> = patterns.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let selectors: Vec<Selector> = patterns.iter().cloned().map(Selector::from).collect();
    let Ok(mut subscription) = Subscription::new(&selectors, since) else {
        assert!(distinct.len() > PATTERNS_MAX);
        return;
    };
    assert!(distinct.len() <= PATTERNS_MAX);
    for name in names {
        let named = patterns.is_empty() || patterns.iter().any(|it| it.matches(name));
        assert_eq!(subscription.admits(name), named.then_some(since));
    }
    let (parts, unnamed) = subscription.parts();
    let again = Subscription::from_parts(parts.to_vec(), unnamed);
    assert_eq!(again, subscription);
    subscription.unsubscribe(&selectors);
    let admits = |name: &MetricName| subscription.admits(name).is_some();
    assert_eq!(
        names.iter().any(admits),
        patterns.is_empty() && !names.is_empty()
    );
}
