use proptest::prelude::*;

use super::*;

const DATA: &str = r#"{"balance":9,"plan":"pro","total":10.5,"errors":3,"requests":40,"tags":["a","b"],
    "rows":[{"n":1},{"n":5}],"none":null,"on":true,"by":{"pro":2}}"#;

fn parse(text: &str) -> Result<Expression, ExpressionError> {
    Expression::parse(text, &Expression::VARIABLES)
}

fn says(text: &str) -> Result<serde_json::Value, String> {
    let expression = parse(text).map_err(|error| error.to_string())?;
    let subject = Subject::new("credits.total", DATA);
    expression
        .evaluate(&subject)
        .map_err(|error| error.to_string())
}

#[test]
fn conditions_hold_or_do_not() {
    for text in [
        "data.balance < 10 && data.plan == 'pro'",
        "data.balance == 9",
        "data.balance != 9.5",
        "data.errors / data.requests > 0.05",
        "data.errors * 100 / data.requests == 7.5",
        "1 - data.errors / data.requests > 0.9",
        "(1 + 2) * data.balance == 27",
        "-data.balance + 1 == -8",
        "data.balance - -1 == 10",
        "int(data.balance) % 2 == 1",
        "int(data.balance) + 1 == 10",
        "size(data.tags) == 2",
        "size(data.tags) + 1 == 3",
        "data.tags[0] == 'a'",
        "'b' in data.tags",
        "data.plan in ['free', 'pro']",
        "has(data.by.pro) && !has(data.by.free)",
        "'pro' in data.by",
        "data.by['pro'] == 2",
        "data.rows.exists(row, row.n > 4)",
        "data.rows.all(row, row.n > 0)",
        "data.rows.filter(row, row.n > 4).size() == 1",
        "data.rows.map(row, row.n + 1) == [2.0, 6.0]",
        "data.none == null",
        "data.on",
        "data.on ? data.total > 10 : false",
        "metric.startsWith('credits.') && metric.endsWith('total') && metric.contains('.')",
        "double(data.balance) == 9.0",
        "string(data.on) == 'true'",
        "true || data.nothing",
        "data.balance < 10\n  && data.plan == 'pro'",
    ] {
        assert_eq!(says(text), Ok(true.into()), "{text}");
    }
    assert_eq!(says("data.balance > 10"), Ok(false.into()));
    assert_eq!(says("data.total + 1"), Ok(11.5.into()));
    assert_eq!(says("data.plan + '!'"), Ok("pro!".into()));
}

#[test]
fn what_has_no_answer_says_why() {
    let expression = |text| parse(text).unwrap();
    let subject = Subject::new("a", DATA);
    for text in [
        "data.nothing > 1",
        "data.plan > 1",
        "data.plan + 1",
        "data.tags[7]",
        "data.balance % 2 == 1",
    ] {
        assert!(expression(text).evaluate(&subject).is_err(), "{text}");
    }
    let error = expression("data.balance").holds(&subject).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the result is float and not true or false"
    );
    assert!(
        expression("data == null")
            .holds(&Subject::new("a", "{"))
            .unwrap()
    );
}

#[test]
fn a_fault_is_told_with_its_place() {
    for (text, place, reason) in [
        ("data.balance <", (1, 15), "mismatched"),
        ("", (1, 1), "mismatched"),
        ("data.x >> 3", (1, 9), ""),
        ("data.x >\n> 3", (2, 1), ""),
        (
            "data.balance < 10 &&\n  dta.plan == 'pro'",
            (2, 3),
            r#"there is no "dta" here, only data, metric"#,
        ),
        (
            "data.plan.matches('^p')",
            (1, 11),
            r#"there is no function "matches""#,
        ),
        (
            "size(data.rows.map(r, data.rows.map(s, s.n)))",
            (1, 37),
            "no loop inside a loop",
        ),
        ("Point{x: 1} == data", (1, 1), "no types of this kind"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.reason.contains(reason), "{text}: {error}");
        assert_eq!((error.line, error.column), place, "{text}: {error}");
    }
    let long = format!("data.x == '{}'", "x".repeat(TEXT_BYTES_MAX));
    assert!(
        parse(&long)
            .unwrap_err()
            .reason
            .contains("at most 1024 bytes")
    );
    assert!(Expression::parse("firing", &["firing"]).is_ok());
}

/// Attack: an expression that is to overflow the stack, or to keep the hub busy.
#[test]
fn neither_depth_nor_loops_cost_more_than_is_bounded() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{1:", "}"),
        ("size(", ")"),
        ("1?2:", "3"),
        ("a.b(", ")"),
        ("!", ""),
        ("-", ""),
        ("!-", ""),
    ] {
        let times = TEXT_BYTES_MAX / (open.len() + close.len()) - 1;
        if let Ok(deep) = parse(&(open.repeat(times) + "1" + &close.repeat(times))) {
            let _ = deep.evaluate(&Subject::new("a", DATA));
        }
    }
    assert!(parse(&("[".repeat(40) + "1" + &"]".repeat(40))).is_err());
    let wide = vec!["data.a"; 140].join("+");
    let long = vec!["data.on"; 90].join("&&");
    for text in [wide, long] {
        if let Ok(expression) = parse(&text) {
            let _ = expression.evaluate(&Subject::new("a", DATA));
        }
    }
    let many = serde_json::to_string(&vec![1; 30_000]).unwrap();
    let error = parse("data.all(n, n > 0 && n < 2)")
        .unwrap()
        .holds(&Subject::new("a", &many));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("more than 50000 steps")
    );
    let few = serde_json::to_string(&vec![1; 1000]).unwrap();
    assert_eq!(
        parse("data.all(n, n > 0 && n < 2)")
            .unwrap()
            .holds(&Subject::new("a", &few)),
        Ok(true)
    );
}

proptest! {
    /// What is no expression is refused, and whatever is one ends.
    #[test]
    fn no_text_ends_the_hub(text in "[a-z0-9.'\"()\\[\\]{}?:&|!<>=+*/% -]{0,80}") {
        if let Ok(expression) = parse(&text) {
            let _ = expression.evaluate(&Subject::new("a", DATA));
        }
    }

    #[test]
    fn no_expression_of_its_words_ends_the_hub(words in prop::collection::vec(prop::sample::select(vec![
        "data", ".balance", ".plan", ".rows", ".tags", "[0]", "[-1]", "['x']", "1", "2.5", "1u", "9223372036854775807", "'é'", "null",
        "true", "(", ")", "[", "]", "{", "}", ":", ",", " + ", " - ", " * ", " / ", " % ", " == ", " < ", " in ",
        " && ", " || ", " ? ", "!", "-", "has(", "size(", "int(", "string(", "uint(", ".map(x, ", ".exists(x, ", "x", "b'\\xff'",
        "type(", "max(", "min(", ".contains(", "timestamp(", "duration(", "dyn(", "optional.of(",
    ]), 0..14)) {
        if let Ok(expression) = parse(&words.concat()) {
            let _ = expression.evaluate(&Subject::new("a", DATA));
        }
    }
}
