use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Vec<Point>, Malformed> {
    points(text).collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn a_point_has_a_measurement_tags_fields_and_a_time() {
    let text = "cpu,host=web1,cpu=cpu0 usage_idle=98.5,n=-3i,u=18446744073709551615u,up=t,text=\"a, \\\"b\\\" \\\\ c\" 1769860800000000000\n";
    let point = Point {
        line: 1,
        measurement: "cpu".into(),
        tags: owned(&[("cpu", "cpu0"), ("host", "web1")]),
        fields: vec![
            ("usage_idle".into(), Field::Float(98.5)),
            ("n".into(), Field::Integer(-3)),
            ("u".into(), Field::Unsigned(u64::MAX)),
            ("up".into(), Field::Boolean(true)),
            ("text".into(), Field::Text("a, \"b\" \\ c".into())),
        ],
        timestamp: Some(1_769_860_800_000_000_000),
    };
    assert_eq!(read(text), Ok(vec![point]));
}

#[test]
fn lines_may_be_empty_comments_and_of_either_ending() {
    let text =
        "# a comment\n\na v=1\r\n  b v=2   5  \r\n\t\n#c v=3\nd v=\"line\nbreak\"\ne v=-1.5e3";
    let read = read(text).unwrap();
    let seen: Vec<_> = read
        .iter()
        .map(|it| (it.line, &*it.measurement, it.timestamp))
        .collect();
    let expected = [
        (3, "a", None),
        (4, "b", Some(5)),
        (7, "d", None),
        (9, "e", None),
    ];
    assert_eq!(seen, expected);
    assert_eq!(read[2].fields[0].1, Field::Text("line\nbreak".into()));
    assert_eq!(read[3].fields[0].1, Field::Float(-1500.0));
}

#[test]
fn a_backslash_takes_the_meaning_of_what_has_one() {
    let text = r#"my\ cpu\,x=y\z,a\=b\ c\,d=e\,f\ g\=h v\ 1\=\,="\x" "#;
    let read = read(text).unwrap();
    assert_eq!(read[0].measurement, r"my cpu,x=y\z");
    assert_eq!(read[0].tags, owned(&[("a=b c,d", "e,f g=h")]));
    assert_eq!(
        read[0].fields,
        [("v 1=,".into(), Field::Text(r"\x".into()))]
    );
}

#[test]
fn what_is_none_is_named_with_line_and_column() {
    for (text, column, problem) in [
        (",a=b v=1", 1, "a measurement is wanted"),
        ("a", 2, "a space and fields are wanted"),
        ("a,", 3, "a tag's name is wanted"),
        ("a,b v=1", 4, "a tag's name is followed by ="),
        ("a,b= v=1", 5, "a tag has a value"),
        ("a,ö=c=d v=1", 6, "= in a tag is written \\="),
        ("a,b=c,d=e,b=f v=1", 14, "a tag is there twice"),
        ("a ", 3, "a field's name is wanted"),
        ("a v", 4, "a field's name is followed by ="),
        ("a v=", 5, "a field has a value"),
        ("a v=1,", 7, "a field's name is wanted"),
        (
            "a v=one",
            5,
            "a field is a number, true or false, or a text in quotation marks",
        ),
        (
            "a v=NaN",
            5,
            "a field is a number, true or false, or a text in quotation marks",
        ),
        (
            "a v=inf",
            5,
            "a field is a number, true or false, or a text in quotation marks",
        ),
        ("a v=1e999", 5, "this number is too large for a double"),
        ("a v=1.5i", 5, "this is no whole number of 64 bits"),
        ("a v=-1u", 5, "this is no whole number from 0 of 64 bits"),
        ("a v=\"b", 7, "a text has no end"),
        (
            "a v=\"b\"c",
            8,
            "a comma, a space or the end of the line is wanted behind a field",
        ),
        (
            "a v=1 now",
            7,
            "the timestamp is no whole number of 64 bits",
        ),
        (
            "a v=1 9223372036854775808",
            7,
            "the timestamp is no whole number of 64 bits",
        ),
        ("a v=1 1 2", 9, "the line goes on behind the timestamp"),
    ] {
        let line = 2;
        let malformed = Malformed {
            line,
            column,
            problem,
        };
        assert_eq!(read(&format!("b v=1\n{text}")), Err(malformed), "{text}");
    }
    let broken = read("a v=\"b\nc\nd").unwrap_err();
    assert_eq!((broken.line, broken.column), (3, 2));
}

/// As Telegraf writes it.
fn written(point: &Point) -> String {
    let escaped = |text: &str, marks: &str| {
        let mut escaped = String::new();
        for c in text.chars() {
            if marks.contains(c) {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        escaped
    };
    let mut text = escaped(&point.measurement, ", ");
    for (key, value) in &point.tags {
        text += &format!(",{}={}", escaped(key, ",= "), escaped(value, ",= "));
    }
    let value = |field: &Field| match field {
        Field::Float(float) => format!("{float:?}"),
        Field::Integer(integer) => format!("{integer}i"),
        Field::Unsigned(unsigned) => format!("{unsigned}u"),
        Field::Boolean(boolean) => boolean.to_string(),
        Field::Text(text) => format!("\"{}\"", escaped(text, "\"\\")),
    };
    let fields = point.fields.iter();
    let fields = fields.map(|(key, field)| format!("{}={}", escaped(key, ",= "), value(field)));
    text += &format!(" {}", fields.collect::<Vec<_>>().join(","));
    text + &point
        .timestamp
        .map(|time| format!(" {time}"))
        .unwrap_or_default()
}

/// Whatever can be written: no line break, no backslash before what it would escape or at the end, no # first.
fn name() -> impl Strategy<Value = String> {
    "[a-zö.#\"'][a-z0-9ö ,=.#\"'-]{0,8}[a-z0-9_]"
        .prop_filter("a comment", |it| !it.starts_with('#'))
}

fn field_strategy() -> impl Strategy<Value = Field> {
    prop_oneof![
        any::<f64>()
            .prop_filter("finite", |it| it.is_finite())
            .prop_map(Field::Float),
        any::<i64>().prop_map(Field::Integer),
        any::<u64>().prop_map(Field::Unsigned),
        any::<bool>().prop_map(Field::Boolean),
        any::<String>().prop_map(Field::Text),
    ]
}

fn point() -> impl Strategy<Value = Point> {
    let tags = prop::collection::btree_map(name(), name(), 0..4);
    let fields = prop::collection::vec((name(), field_strategy()), 1..4);
    (name(), tags, fields, any::<Option<i64>>()).prop_map(
        |(measurement, tags, fields, timestamp)| Point {
            line: 1,
            measurement,
            tags: tags.into_iter().collect(),
            fields,
            timestamp,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(given in prop::collection::vec(point(), 1..4)) {
        let text: Vec<_> = given.iter().map(written).collect();
        let mut read = read(&text.join("\n")).unwrap();
        read.iter_mut().for_each(|point| point.line = 1);
        prop_assert_eq!(read, given);
    }

    #[test]
    fn whatever_comes_is_read_or_refused_at_a_place_in_it(text in ".*\n?[a-z,= \"\\\\\n0-9]*") {
        if let Err(malformed) = read(&text) {
            let line = text.split('\n').nth(malformed.line - 1);
            prop_assert!(line.is_some_and(|line| malformed.column <= line.chars().count() + 1));
        }
    }
}
