//! `docs/reference.md` has every code, as the program has it.

use std::collections::BTreeSet;

use statshub::http::code::Code;
use statshub::wire::websocket::Closing;

use super::streams::error_codes;

const DOCUMENT: &str = include_str!("../../../docs/reference.md");

/// The rows of the table under a heading, each as its cells.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let section = DOCUMENT
        .split("\n## ")
        .find(|section| section.starts_with(heading));
    let lines = section.expect(heading).lines();
    let cells = |line: &'static str| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(cells.split(" | ").collect())
    };
    lines.filter_map(cells).skip(2).collect()
}

#[test]
fn every_code_of_an_answer_is_there_with_cause_and_advice() {
    let expected = Code::ALL.map(|code| {
        let (when, then) = code.advice();
        let retry = code.retry_after_seconds().map_or("no", |_| "yes");
        let status = code.status();
        format!(
            "{} | `{}` | {when} | {then} | {retry}",
            status.as_str(),
            code.as_str()
        )
    });
    let written: Vec<_> = rows("Codes of answers")
        .iter()
        .map(|row| row.join(" | "))
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn every_close_code_is_there_with_its_reason() {
    let reason = |closing: Closing| match closing.reason {
        "" => "(none)".to_owned(),
        reason => format!("`{reason}`"),
    };
    let expected = Closing::ALL.map(|closing| (closing.code.to_string(), reason(closing)));
    let written: Vec<_> = rows("Close codes")
        .iter()
        .map(|row| {
            assert!(
                row.len() == 4 && !row[2].is_empty() && !row[3].is_empty(),
                "{row:?}"
            );
            (row[0].to_owned(), row[1].to_owned())
        })
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn every_code_of_an_error_on_a_stream_is_there() {
    let written = rows("Codes of `error` messages");
    let codes = written.iter().map(|row| {
        assert!(
            row.len() == 4 && row.iter().all(|cell| !cell.is_empty()),
            "{row:?}"
        );
        row[0].trim_matches('`').to_owned()
    });
    assert_eq!(codes.collect::<BTreeSet<_>>(), error_codes());
}
