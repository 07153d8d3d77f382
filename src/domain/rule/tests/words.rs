//! Rules as they are written: what is refused, and where.

use proptest::prelude::*;

use super::*;
use crate::domain::rule::template::Template;

fn fault(change: impl FnOnce(&mut Spec)) -> RuleFault {
    let mut spec = Spec {
        when: Some("data > 1".into()),
        ..spec("r", "m")
    };
    change(&mut spec);
    Rule::parse(spec).unwrap_err()
}

#[test]
fn what_is_wrong_is_told_with_its_key_and_its_place() {
    let check = |fault: RuleFault, key: &str, place: Option<(usize, usize)>, says: &str| {
        assert_eq!((fault.key, fault.place), (key, place), "{fault}");
        assert!(fault.to_string().contains(says), "{fault}");
    };
    check(fault(|it| it.name = "a b".into()), "name", None, "1 to 64");
    check(fault(|it| it.on = "a..b".into()), "on", None, "segments");
    check(fault(|it| it.when = None), "when", None, "at least one");
    let broken = fault(|it| it.when = Some("data.x >\n  dta".into()));
    check(broken, "when", Some((2, 3)), "line 2, column 3");
    let broken = fault(|it| it.resolve = Some("data <".into()));
    check(broken, "resolve", Some((1, 7)), "column 7");
    let alone = fault(|it| {
        (it.when, it.absent_for) = (None, Some("1m".into()));
        it.resolve = Some("data < 1".into());
    });
    check(alone, "resolve", None, "beside when");
    for text in ["5", "x", "31d", "-1s", ""] {
        let long = fault(|it| it.hold = Some(text.into()));
        check(long, "for", None, "from 0s to 30days");
        check(
            fault(|it| it.keep_firing_for = Some(text.into())),
            "keep_firing_for",
            None,
            "unit",
        );
    }
    check(
        fault(|it| it.absent_for = Some("10ms".into())),
        "absent_for",
        None,
        "from 1s",
    );
    check(
        fault(|it| it.repeat_every = Some("0s".into())),
        "repeat_every",
        None,
        "from 1s",
    );
    let anomaly = AnomalySpec {
        field: "/n".into(),
        deviation: 4.0,
        season: "1d".into(),
        seasons: 7,
        scale_min: 0.0,
    };
    for (wrong, says) in [
        (
            AnomalySpec {
                field: "n".into(),
                ..anomaly.clone()
            },
            "JSON Pointer",
        ),
        (
            AnomalySpec {
                deviation: 0.0,
                ..anomaly.clone()
            },
            "deviation",
        ),
        (
            AnomalySpec {
                deviation: f64::NAN,
                ..anomaly.clone()
            },
            "deviation",
        ),
        (
            AnomalySpec {
                season: "1s".into(),
                ..anomaly.clone()
            },
            "season: ",
        ),
        (
            AnomalySpec {
                seasons: 2,
                ..anomaly.clone()
            },
            "seasons",
        ),
        (
            AnomalySpec {
                scale_min: -1.0,
                ..anomaly
            },
            "scale_min",
        ),
    ] {
        check(fault(|it| it.anomaly = Some(wrong)), "anomaly", None, says);
    }
}

#[test]
fn a_text_has_values_in_it() {
    let says = |text: &str| {
        let template = Template::parse(text, &["data", "metric"]).map_err(|it| it.to_string())?;
        let data = r#"{"rate":0.07,"n":9,"plan":"pro","on":true,"list":[1]}"#;
        Ok::<_, String>(template.render(&Subject::new("m", data)).0)
    };
    for (text, expected) in [
        ("plain", "plain"),
        ("Rate is {data.rate}", "Rate is 0.07"),
        ("{data.n}/{data.plan}", "9/pro"),
        ("{data.rate * 100 > 5 ? 'high' : 'low'}", "high"),
        ("{{{metric}}}", "{m}"),
        ("{{'a': 1}}", "{'a': 1}"),
        ("{'}' + data.plan} é", "}pro é"),
        ("{{\"x\": 1}['x']}", "{\"x\": 1}['x']}"),
        ("{data.list} {data.on} {data.none}", "[1.0] true ?"),
        ("a\nb", "a b"),
    ] {
        match says(text) {
            Ok(said) => assert_eq!(said, expected, "{text}"),
            // The one of these that is none: a brace that was never opened.
            Err(error) => assert!(
                text.contains("['x']") && error.contains("never opened"),
                "{text}: {error}"
            ),
        }
    }
    for (text, place) in [
        ("", ""),
        ("a {data.rate", "line 1, column 3: "),
        ("a } b", "line 1, column 3: "),
        ("é {dta.rate}", "line 1, column 4: "),
        ("a\nbc {data.rate +}", "line 2, column "),
        ("{}", "line 1, column 2: "),
    ] {
        let error = says(text).unwrap_err();
        assert!(error.starts_with(place), "{text}: {error}");
    }
    let long = says(&"{data.plan}".repeat(21)).unwrap_err();
    assert!(long.contains("at most 20"), "{long}");
}

#[test]
fn a_spec_reads_back_what_it_writes() {
    let spec = Spec {
        when: Some("data > 1".into()),
        hold: Some("2m".into()),
        anomaly: Some(AnomalySpec {
            field: String::new(),
            deviation: 3.5,
            season: "1h".into(),
            seasons: 7,
            scale_min: 0.5,
        }),
        ..spec("r", "m.**")
    };
    let text = serde_json::to_string(&spec).unwrap();
    assert!(
        text.contains(r#""for":"2m""#) && text.contains(r#""scaleMin":0.5"#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
    assert!(serde_json::from_str::<Spec>(r#"{"on":"m","severity":"low","wen":"x"}"#).is_err());
}

proptest! {
    /// What is no text with values is refused, with a place in it; whatever is one is rendered.
    #[test]
    fn no_text_ends_the_hub(text in "[a-z{}'\"\\\\. \n+é]{0,40}") {
        match Template::parse(&text, &["data", "metric"]) {
            Ok(template) => _ = template.render(&Subject::new("m", r#"{"a":1}"#)),
            Err(fault) => {
                if let Some((line, column)) = fault.place {
                    let line = text.lines().nth(line - 1).unwrap_or_default();
                    prop_assert!((1..=line.chars().count() + 2).contains(&column), "{text:?} {fault}");
                }
            }
        }
    }
}
