use super::*;
use proptest::prelude::*;

fn name(text: &str) -> MetricName {
    MetricName::parse(text).unwrap()
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts
        .iter()
        .map(|text| Pattern::parse(text).unwrap())
        .collect()
}

#[test]
fn names_are_plain_segments() {
    for good in [
        "a",
        "users.active",
        "A-b_0.c",
        &"x".repeat(128),
        &vec!["s"; 16].join("."),
    ] {
        assert!(MetricName::parse(good).is_ok(), "{good}");
    }
    for (bad, why) in [
        ("", NameError::Length),
        (&*"x".repeat(129), NameError::Length),
        (&*vec!["s"; 17].join("."), NameError::Segments),
        (".", NameError::Character),
        ("a..b", NameError::Character),
        (".a", NameError::Character),
        ("a.", NameError::Character),
        ("a b", NameError::Character),
        ("a\nb", NameError::Character),
        ("é", NameError::Character),
        ("a.*", NameError::Character),
    ] {
        assert_eq!(MetricName::parse(bad), Err(why), "{bad:?}");
    }
}

#[test]
fn wildcards_stand_for_whole_segments() {
    for good in ["*", "**", "a.*", "*.b", "a.*.c", "a.**", "*.**"] {
        assert!(Pattern::parse(good).is_ok(), "{good}");
    }
    for bad in ["a*", "*a.b", "**.a", "a.**.b", "***", "a.***"] {
        assert_eq!(Pattern::parse(bad), Err(NameError::Wildcard), "{bad}");
    }
}

#[test]
fn patterns_match_segment_by_segment() {
    let check = |pattern: &str, text: &str, expected| {
        assert_eq!(
            Pattern::parse(pattern).unwrap().matches(&name(text)),
            expected,
            "{pattern} {text}"
        );
    };
    for (pattern, yes, no) in [
        ("a.b", &["a.b"][..], &["a", "a.b.c", "a.c", "b.a"][..]),
        ("*", &["a", "zz"], &["a.b"]),
        ("a.*", &["a.b", "a.c"], &["a", "a.b.c", "b.b"]),
        ("a.*.c", &["a.b.c"], &["a.c", "a.b.b", "a.b.c.d"]),
        ("**", &["a", "a.b.c.d"], &[]),
        ("a.**", &["a", "a.b", "a.b.c"], &["b", "ab.c"]),
        ("*.**", &["a", "a.b"], &[]),
    ] {
        yes.iter().for_each(|text| check(pattern, text, true));
        no.iter().for_each(|text| check(pattern, text, false));
    }
}

#[test]
fn the_first_subscribe_narrows_and_later_ones_add() {
    let at = |n| MessageId::new(n, 0).unwrap();
    let mut subscription = Subscription::new(&[], at(5)).unwrap();
    assert!(subscription.is_everything());
    assert_eq!(subscription.admits(&name("x")), Some(at(5)));
    subscription.subscribe(&patterns(&["a.*"]), at(7)).unwrap();
    assert_eq!(subscription.admits(&name("x")), None);
    assert_eq!(
        subscription.admits(&name("a.b")),
        Some(at(5)),
        "it was admitted all along"
    );
    subscription
        .subscribe(&patterns(&["x", "a.b"]), at(9))
        .unwrap();
    assert_eq!(subscription.admits(&name("x")), Some(at(9)));
    assert_eq!(subscription.admits(&name("a.b")), Some(at(5)));
}

#[test]
fn removing_the_last_leaves_nothing() {
    let mut subscription = Subscription::new(&patterns(&["a"]), MessageId::ZERO).unwrap();
    subscription.unsubscribe(&patterns(&["a"]));
    assert_eq!(subscription.patterns(), []);
    assert_eq!(subscription.admits(&name("a")), None);
    let mut everything = Subscription::new(&[], MessageId::ZERO).unwrap();
    everything.unsubscribe(&patterns(&["a"]));
    assert!(everything.is_everything());
    everything.unsubscribe(&patterns(&["**"]));
    assert_eq!(everything.admits(&name("a")), None);
}

#[test]
fn the_hundred_and_first_pattern_is_refused_whole() {
    let many: Vec<_> = (0..101)
        .map(|i| Pattern::parse(&format!("m{i}")).unwrap())
        .collect();
    assert_eq!(
        Subscription::new(&many, MessageId::ZERO),
        Err(NameError::Patterns)
    );
    let mut subscription = Subscription::new(&many[..99], MessageId::ZERO).unwrap();
    let before = subscription.clone();
    assert!(
        subscription
            .subscribe(&many[99..], MessageId::ZERO)
            .is_err()
    );
    assert_eq!(subscription, before, "nothing half-applied");
    let twice: Vec<_> = many[..60].iter().chain(&many[..60]).cloned().collect();
    assert!(
        Subscription::new(&twice, MessageId::ZERO).is_ok(),
        "duplicates count once"
    );
}

proptest! {
    #[test]
    fn a_pattern_of_plain_segments_matches_itself_only(a in "[a-c]{1,2}(\\.[a-c]{1,2}){0,3}", b in "[a-c]{1,2}(\\.[a-c]{1,2}){0,3}") {
        prop_assert_eq!(Pattern::parse(&a).unwrap().matches(&name(&b)), a == b);
    }

    /// Attack: wildcard denial of service.
    #[test]
    fn matching_agrees_with_a_regular_expression_in_spirit(
        pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*"]), 1..5),
        tail in any::<bool>(),
        text in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..6),
    ) {
        let one = |(wanted, got): (&&str, &&str)| *wanted == "*" || wanted == got;
        let lengths = if tail { text.len() >= pattern.len() } else { text.len() == pattern.len() };
        let expected = lengths && pattern.iter().zip(&text).all(one);
        let mut written = pattern.join(".");
        if tail { written.push_str(".**") }
        prop_assert_eq!(Pattern::parse(&written).unwrap().matches(&name(&text.join("."))), expected);
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "\\PC{0,200}") {
        let _ = (MetricName::parse(&text), Pattern::parse(&text));
    }
}
