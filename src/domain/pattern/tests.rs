use super::*;
use proptest::prelude::*;

fn name(text: &str) -> MetricName {
    MetricName::parse(text).unwrap()
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
