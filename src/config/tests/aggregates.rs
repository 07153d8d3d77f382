//! `[[aggregate]]`.

use std::time::Duration;

use super::load;

const AGGREGATE: &str =
    "[[aggregate]]\nmetric = \"a\"\nfrom = \"b\"\nop = \"rate\"\nwindow = \"1m\"\n";

#[test]
fn an_aggregate_has_times_with_units_and_defaults() {
    let settings = load(AGGREGATE, &[]).unwrap();
    let aggregate = &settings.aggregates[0];
    let seconds = Duration::from_secs;
    assert_eq!(
        (aggregate.window, aggregate.every),
        (seconds(60), seconds(60))
    );
    assert_eq!((aggregate.grace, aggregate.per), (seconds(2), seconds(1)));
    assert_eq!((aggregate.groups_max, aggregate.by.len()), (100, 0));
    let text = format!(
        "{AGGREGATE}every = \"500ms\"\ngrace = \"1m 500ms\"\nper = \"1h\"\nby = [\"/x\"]\ngroups_max = 7\nfield = \"/y\"\n"
    );
    let settings = load(&text, &[]).unwrap();
    let aggregate = &settings.aggregates[0];
    assert_eq!(aggregate.every, Duration::from_millis(500));
    assert_eq!(aggregate.grace, Duration::from_millis(60_500));
    let again = load(&settings.masked().replace("secret = \"***\"", ""), &[]);
    assert_eq!(again.unwrap().aggregates, settings.aggregates);
}

#[test]
fn a_wrong_aggregate_says_which_key_and_why() {
    let check = |text: &str, line: &str| {
        let error = load(text, &[]).unwrap_err();
        assert!(error.starts_with(line), "{error}");
    };
    for key in ["metric", "from", "op", "window"] {
        let lines = AGGREGATE.lines().filter(|line| !line.starts_with(key));
        let text = lines.collect::<Vec<_>>().join("\n");
        check(&text, &format!("aggregate.1.{key} is missing; allowed is "));
    }
    for (more, line) in [
        (
            "every = \"1d2h\"",
            "aggregate.1.every is \"1d2h\"; allowed is a time such as \"5s\" or \"1m\"",
        ),
        ("every = \"1500us\"", "aggregate.1.every is \"1500us\"; "),
        ("every = \"50ms\"", "aggregate.1.every is \"50ms\"; "),
        (
            "every = \"9s\"",
            "aggregate.1.window is \"1m\"; allowed is a whole multiple of aggregate.1.every",
        ),
        ("grace = \"2h\"", "aggregate.1.grace is \"2h\"; "),
        (
            "every = \"100ms\"\ngrace = \"1m\"",
            "aggregate.1.every is \"100ms\"; allowed is a time of which the window and twice the grace are at most 1000; they are 1800",
        ),
        ("by = [\"plan\"]", "aggregate.1.by is [\"plan\"]; "),
        ("groups_max = 0", "aggregate.1.groups_max is 0; "),
        (
            "every = \"1s\"\nby = [\"/a\"]\ngroups_max = 10000",
            "aggregate.1.groups_max is 10000; allowed is at most 7812 with this op and 64 steps",
        ),
    ] {
        check(&format!("{AGGREGATE}{more}\n"), line);
    }
    let per = AGGREGATE.replace("rate", "sum");
    check(
        &format!("{per}per = \"1m\"\n"),
        "aggregate.1.per is set, but only a rate has a unit of time",
    );
    check(
        &AGGREGATE.replace("\"b\"", "\"a\""),
        "aggregate.1.from is \"a\"; allowed is another metric",
    );
    check(
        &AGGREGATE.repeat(2),
        "aggregate.2.metric is \"a\"; allowed is each once",
    );
    let source = "[[source]]\nmetric = \"a\"\nkind = \"host\"\n";
    check(
        &format!("{source}{AGGREGATE}"),
        "aggregate.1.metric is \"a\"; allowed is a metric that no [[source]] feeds",
    );
}
