use super::*;
use crate::domain::testing::patterns;
use proptest::prelude::*;

fn name(text: &str) -> MetricName {
    MetricName::parse(text).unwrap()
}

fn at(n: u64) -> MessageId {
    MessageId::new(n, 0).unwrap()
}

#[test]
fn the_first_subscribe_narrows_and_later_ones_add() {
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
    assert_eq!(subscription.selectors(), []);
    assert_eq!(subscription.admits(&name("a")), None);
    let mut everything = Subscription::new(&[], MessageId::ZERO).unwrap();
    everything.unsubscribe(&patterns(&["a"]));
    assert!(everything.is_everything());
    everything.unsubscribe(&patterns(&["**"]));
    assert_eq!(everything.admits(&name("a")), None);
}

#[test]
fn the_hundred_and_first_pattern_is_refused_whole() {
    let many: Vec<Selector> = (0..101)
        .map(|i| Pattern::parse(&format!("m{i}")).unwrap().into())
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

#[test]
fn a_metric_comes_in_the_form_that_the_narrowest_pattern_asks_for() {
    let narrow = r#"{"metric":"a.b","maxHz":1}"#;
    let wide = r#"{"metric":"a.*","fields":["/x"]}"#;
    for order in [
        [narrow, wide, "**"],
        ["**", wide, narrow],
        [wide, "**", narrow],
    ] {
        let subscription = Subscription::new(&patterns(&order), at(5)).unwrap();
        assert!(subscription.is_mixed());
        let forms = |text: &str| {
            let views = subscription.views().into_iter().map(Some).chain([None]);
            let admitted =
                views.filter(|view| subscription.admits_as(*view, &name(text)).is_some());
            admitted
                .map(|view| view.map(|view| view.as_str().to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(forms("a.b"), [Some(r#"{"maxHz":1.0}"#.to_owned())]);
        assert_eq!(forms("a.c"), [Some(r#"{"fields":["/x"]}"#.to_owned())]);
        assert_eq!(forms("c"), [None]);
    }
}

#[test]
fn a_pattern_is_asked_for_in_one_way_and_the_last_counts() {
    let mut subscription = Subscription::new(&patterns(&["a", "b"]), at(5)).unwrap();
    assert!(!subscription.is_mixed());
    let view = patterns(&[r#"{"metric":"a","fields":["/x"]}"#]);
    subscription.subscribe(&view, at(7)).unwrap();
    assert_eq!(subscription.admits(&name("a")), None);
    let of_a =
        |subscription: &Subscription| subscription.admits_as(view[0].view.as_ref(), &name("a"));
    assert_eq!(of_a(&subscription), Some(at(7)));
    subscription.subscribe(&view, at(9)).unwrap();
    assert_eq!(of_a(&subscription), Some(at(7)), "it asks for the same");
    assert_eq!(subscription.admits(&name("b")), Some(at(5)));
    subscription.unsubscribe(&patterns(&["a"]));
    assert_eq!(subscription.selectors(), patterns(&["b"]));
}

#[test]
fn a_subscription_has_so_many_views_and_no_more() {
    let views: Vec<String> = (0..=VIEWS_PER_SUBSCRIPTION_MAX)
        .map(|n| format!(r#"{{"metric":"m{n}","fields":["/{n}"]}}"#))
        .collect();
    let views: Vec<&str> = views.iter().map(String::as_str).collect();
    assert_eq!(
        Subscription::new(&patterns(&views), at(0)),
        Err(NameError::Views)
    );
    let mut subscription = Subscription::new(&patterns(&views[1..]), at(0)).unwrap();
    let before = subscription.clone();
    assert!(
        subscription
            .subscribe(&patterns(&views[..1]), at(0))
            .is_err()
    );
    assert_eq!(subscription, before, "nothing half-applied");
    let same = r#"{"metric":"again","fields":["/1"]}"#;
    subscription.subscribe(&patterns(&[same]), at(0)).unwrap();
}

proptest! {
    #[test]
    fn a_metric_comes_in_one_form_at_most(texts in prop::collection::vec(prop::sample::select(vec![
        "a", "a.*", "**", "a.b", r#"{"metric":"a.*","maxHz":1}"#, r#"{"metric":"**","maxHz":2}"#,
        r#"{"metric":"a","fields":["/x"]}"#, r#"{"metric":"a.**","fields":["/x"]}"#,
    ]), 0..6)) {
        let subscription = Subscription::new(&patterns(&texts), at(1)).unwrap();
        for text in ["a", "a.b", "a.b.c", "b"] {
            let views = subscription.views().into_iter().map(Some).chain([None]);
            let forms = views.filter(|view| subscription.admits_as(*view, &name(text)).is_some()).count();
            let selectors = subscription.selectors();
            let named = selectors.iter().any(|it| it.pattern.matches(&name(text)));
            prop_assert_eq!(forms, usize::from(named));
        }
    }
}
