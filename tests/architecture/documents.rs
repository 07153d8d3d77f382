//! Tests that a document names, as proof of what it says.

use std::fs;
use std::path::Path;

/// A test, as a table names it: a file in backquotes, and behind it the names, each in its own.
#[derive(Debug, PartialEq)]
pub struct Named<'a> {
    pub file: &'a str,
    pub test: &'a str,
}

/// The tests in the last column of a document's tables.
pub fn named(document: &str) -> Vec<Named<'_>> {
    let rows = document.lines().filter(|line| line.starts_with("| "));
    let mut found = Vec::new();
    for row in rows {
        let cell = row.trim_end_matches([' ', '|']).rsplit(" | ").next();
        let mut file = None;
        for quoted in cell.unwrap_or_default().split('`').skip(1).step_by(2) {
            match file {
                _ if is_file(quoted) => file = Some(quoted),
                Some(file) => found.push(Named { file, test: quoted }),
                None => {}
            }
        }
    }
    found
}

fn is_file(text: &str) -> bool {
    ["src/", "tests/", "clients/"]
        .iter()
        .any(|folder| text.starts_with(folder))
}

/// Those of the tests named in the document at `path` that are not there, or whose comment has none of
/// `words`.
pub fn missing(root: &Path, path: &str, words: &[&str]) -> Vec<String> {
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let document = read(path);
    let named = named(&document);
    assert!(!named.is_empty(), "{path} names no test");
    let is_held = |it: &&Named<'_>| is_there(&read(it.file), it, words);
    let lacking = named.iter().filter(|it| !is_held(it));
    lacking
        .map(|it| format!("{} in {}", it.test, it.file))
        .collect()
}

/// A function in Rust, a title in JavaScript; above it its comment.
fn is_there(code: &str, named: &Named<'_>, words: &[&str]) -> bool {
    let begins = match named.file.ends_with(".rs") {
        true => format!("fn {}(", named.test),
        false => format!("test(\"{}\"", named.test),
    };
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let Some(at) = lines.iter().position(|line| line.contains(&begins)) else {
        return false;
    };
    let above = lines[..at].iter().rev();
    let mut above = above.take_while(|line| line.starts_with("//") || line.starts_with("#["));
    words.is_empty() || above.any(|line| words.iter().any(|word| line.contains(word)))
}

#[test]
fn tests_are_named_behind_their_files() {
    let table = "| a `x` | b | `src/a.rs`: `one`, `two`; `tests/b.mjs`: `it is` |\n| --- | --- |\nno `src/c.rs` `row`\n";
    let of = |file, test| Named { file, test };
    assert_eq!(
        named(table),
        [
            of("src/a.rs", "one"),
            of("src/a.rs", "two"),
            of("tests/b.mjs", "it is")
        ]
    );
}

#[test]
fn a_test_is_there_with_its_word_or_not_at_all() {
    let code = "/// Attack: x.\n#[test]\nfn one() {}\n\nfn two() {}\n  // Attack: y.\n  test(\"it is\", t)";
    let check = |file, test, words: &[&str], expected| {
        let named = Named { file, test };
        assert_eq!(
            is_there(code, &named, words),
            expected,
            "{named:?} {words:?}"
        );
    };
    check("a.rs", "one", &["Failure:", "Attack:"], true);
    check("a.rs", "one", &["Failure:"], false);
    check("a.rs", "two", &[], true);
    check("a.rs", "two", &["Attack:"], false);
    check("a.rs", "three", &[], false);
    check("a.mjs", "it is", &["Attack:"], true);
    check("a.mjs", "it was", &[], false);
}
