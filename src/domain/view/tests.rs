use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn selector(value: Value) -> Result<Selector, String> {
    Selector::try_from(value).map_err(|error| error.to_string())
}

fn part(fields: &[&str], value: &str) -> String {
    let fields: Vec<String> = fields.iter().map(|it| it.to_string()).collect();
    let view = View::new(Some(&fields), None, None).unwrap();
    view.map_or(value.to_owned(), |view| view.part_of(value).unwrap())
}

#[test]
fn parts_of_a_value_keep_its_shape_and_its_words() {
    let value = r#"{"total":1.50,"byPlan":{"pro":{"n":1e3},"free":2},"list":[{"a":1},{"a":2,"b":3}],"a/b":1,"m~n":2,"":0}"#;
    for (fields, expected) in [
        (&["/total"][..], r#"{"total":1.50}"#),
        (
            &["/total", "/byPlan/pro"],
            r#"{"byPlan":{"pro":{"n":1e3}},"total":1.50}"#,
        ),
        (
            &["/byPlan/pro/n", "/byPlan/pro"],
            r#"{"byPlan":{"pro":{"n":1e3}}}"#,
        ),
        (&["/list"], r#"{"list":[{"a":1},{"a":2,"b":3}]}"#),
        (&["/list/1/b", "/list/7"], r#"{"list":{"1":{"b":3}}}"#),
        (&["/a~1b", "/m~0n", "/"], r#"{"":0,"a/b":1,"m~n":2}"#),
        (&["/nothing", "/total/deeper"], "{}"),
        (&["", "/total"], value),
    ] {
        assert_eq!(part(fields, value), expected, "{fields:?}");
    }
    assert_eq!(part(&["/a"], "42"), "{}");
    assert_eq!(part(&["/1"], "[1,2,3]"), r#"{"1":2}"#);
}

#[test]
fn whoever_asks_for_the_same_has_the_same_view() {
    let view = |value| selector(value).unwrap().view.unwrap();
    let one = view(json!({"metric": "a", "fields": ["/b", "/a", "/a/x"], "maxHz": 3}));
    let same = view(json!({"maxHz": 2, "fields": ["/a", "/b"], "metric": "c.*"}));
    assert_eq!(one, same);
    assert_eq!(one.as_str(), r#"{"fields":["/a","/b"],"maxHz":2.0}"#);
    assert_eq!(one.period(), Some(Duration::from_millis(500)));
    let condition = view(json!({"metric": "a", "where": "data.x > 1"}));
    assert_ne!(one, condition);
    assert!(!condition.sees_all() && !one.sees_all());
    assert!(view(json!({"metric": "a", "fields": ["/a"]})).sees_all());
    // Nothing is asked for.
    assert_eq!(
        selector(json!({"metric": "a"})).unwrap(),
        selector(json!("a")).unwrap()
    );
    assert_eq!(
        selector(json!({"metric": "a", "fields": [""]}))
            .unwrap()
            .view,
        None
    );
}

#[test]
fn a_selector_reads_back_what_it_writes() {
    for value in [
        json!("a.*"),
        json!({"metric": "a.*", "fields": ["/a~1b"], "where": "data.x > 1 && metric == 'a.b'", "maxHz": 0.5}),
    ] {
        let read = selector(value.clone()).unwrap();
        assert_eq!(json!(read), value);
        let view = read.view.as_ref().map(View::as_str);
        assert_eq!(Selector::kept(read.pattern.clone(), view), Some(read));
    }
}

#[test]
fn what_cannot_be_asked_for_says_why() {
    for (value, why) in [
        (json!(7), "a metric is named by a text, or by an object"),
        (json!({}), "a metric is named by a text, or by an object"),
        (
            json!({"metric": 7}),
            "a metric is named by a text, or by an object",
        ),
        (
            json!({"metric": "a", "where": 7}),
            "a metric is named by a text, or by an object",
        ),
        (json!({"metric": "a..b"}), "segments"),
        (
            json!({"metric": "a", "feilds": ["/a"]}),
            r#"there is no "feilds" in a subscription"#,
        ),
        (
            json!({"metric": "a", "fields": "/a"}),
            "fields: 1 to 32 JSON Pointers",
        ),
        (
            json!({"metric": "a", "fields": []}),
            "fields: 1 to 32 JSON Pointers",
        ),
        (
            json!({"metric": "a", "fields": vec!["/a"; 33]}),
            "fields: 1 to 32 JSON Pointers",
        ),
        (
            json!({"metric": "a", "fields": ["a"]}),
            "fields: 1 to 32 JSON Pointers",
        ),
        (
            json!({"metric": "a", "fields": ["/a~2"]}),
            "fields: 1 to 32 JSON Pointers",
        ),
        (
            json!({"metric": "a", "fields": ["/a", "/a/~"]}),
            "fields: 1 to 32 JSON Pointers",
        ),
        (
            json!({"metric": "a", "where": "data.x >"}),
            "where: line 1, column 9:",
        ),
        (
            json!({"metric": "a", "where": "dat.x"}),
            r#"where: line 1, column 1: there is no "dat" here"#,
        ),
        (
            json!({"metric": "a", "maxHz": 0}),
            "maxHz: a number of updates a second, 0.01 to 10",
        ),
        (
            json!({"metric": "a", "maxHz": 11}),
            "maxHz: a number of updates a second, 0.01 to 10",
        ),
        (
            json!({"metric": "a", "maxHz": "2"}),
            "maxHz: a number of updates a second, 0.01 to 10",
        ),
    ] {
        let error = selector(value.clone()).unwrap_err();
        assert!(error.contains(why), "{value}: {error}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(1.5)),
        Just(json!("x")),
        Just(json!(true))
    ];
    leaf.prop_recursive(3, 20, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(vec!["a", "b", "~", "/"]),
                inner,
                0..3
            )
            .prop_map(|map| map
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    /// Against the reference: what a pointer finds in the whole it finds in the part, and nothing else is there.
    #[test]
    fn a_part_has_what_its_pointers_point_at(
        value in values(),
        tokens in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["a", "b", "~0", "~1", "0", "1"]), 1..4), 1..4),
    ) {
        let pointers: Vec<String> = tokens.iter().map(|it| format!("/{}", it.join("/"))).collect();
        let fields: Vec<&str> = pointers.iter().map(String::as_str).collect();
        let part: Value = serde_json::from_str(&part(&fields, &value.to_string())).unwrap();
        let mut leaves = 0;
        for pointer in &pointers {
            prop_assert_eq!(part.pointer(pointer), value.pointer(pointer), "{}", pointer);
            leaves += usize::from(value.pointer(pointer).is_some());
        }
        prop_assert_eq!(part == json!({}), leaves == 0);
    }

    #[test]
    fn no_object_ends_the_hub(value in values()) {
        let _ = Selector::try_from(value);
    }
}
