//! Holds the documents: every link leads somewhere, and `docs/compatibility.md` names all of the
//! interface and only tests that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use statshub::config::{VARIABLES, known_keys};

use crate::markdown::{Link, Page, Row};
use crate::{read, relative, root};

/// The last column of a table whose rows are statements.
const HELD_BY: &str = "held by";
/// How a row begins to say why there is none.
const NO_TEST: &str = "no test: ";

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for path in documents(&root()) {
        for link in Page::of(&read(&path)).links {
            if let Err(why) = follow(&path, &link.target) {
                wrong.push(format!("{}: {} {why}", relative(&path), link.target));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_test_that_compatibility_names_is_there() {
    let mut wrong = Vec::new();
    let held = held(&compatibility());
    for Link { text, target } in held.iter().flat_map(|row| &row.last().links) {
        if !is_test(&read(&root().join("docs").join(target)), text) {
            wrong.push(format!("{target}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "no such tests: {wrong:#?}");
}

#[test]
fn every_statement_of_compatibility_is_held_or_says_why_not() {
    let held = held(&compatibility());
    assert!(held.len() > 100, "{} statements", held.len());
    let is_loose =
        |row: &&Row| row.last().links.is_empty() && !row.last().text.starts_with(NO_TEST);
    let loose: Vec<&str> = held
        .iter()
        .filter(is_loose)
        .map(|row| &*row.first().text)
        .collect();
    assert!(loose.is_empty(), "{loose:#?}");
}

#[test]
fn compatibility_names_every_path_and_message_of_the_interface() {
    let contract = Page::of(&read(&root().join("docs/contract.md")));
    let paths = contract.words_of("5 Endpoints");
    let paths = paths.into_iter().filter(|word| is_path(word));
    let types = contract.words_of("3 Messages");
    let wanted: BTreeSet<String> = paths.chain(types).collect();
    assert!(wanted.len() > 40, "{wanted:?}");
    let page = compatibility();
    let named: BTreeSet<String> = page
        .rows
        .iter()
        .flat_map(|row| row.first().words())
        .collect();
    let missing: Vec<&String> = wanted.difference(&named).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn compatibility_names_every_variable_with_its_default() {
    let page = compatibility();
    let named: Vec<&String> = page
        .rows
        .iter()
        .flat_map(|row| &row.first().codes)
        .collect();
    for (variable, key) in VARIABLES {
        let known = known_keys().iter().find(|known| Some(&*known.name) == key);
        let default = known.and_then(|key| key.default.as_deref());
        let wanted = match default {
            Some(default) => format!("{variable}={}", default.trim_matches('"')),
            None => variable.to_owned(),
        };
        assert!(named.contains(&&wanted), "{wanted}");
    }
}

fn compatibility() -> Page {
    Page::of(&read(&root().join("docs/compatibility.md")))
}

/// The rows whose last cell says which tests hold them.
fn held(page: &Page) -> Vec<Row> {
    let rows = page.rows.iter();
    rows.filter(|row| row.column == HELD_BY).cloned().collect()
}

fn is_path(word: &str) -> bool {
    word.starts_with('/') || word.starts_with("$A/")
}

/// Whether the text of a file has a test of that name, be it Rust or JavaScript.
fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_function = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = line
            .strip_prefix("fn ")
            .and_then(|it| it.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('('))
    };
    let is_marked = |at: usize| {
        let above = lines[..at].iter().rev();
        let mut attributes = above.take_while(|line| line.starts_with("#["));
        attributes.any(|line| line.contains("test]") || line.contains("test("))
    };
    let mut at = (0..lines.len()).filter(|at| is_function(lines[*at]));
    at.any(is_marked)
        || text.contains(&format!("test(\"{name}\""))
        || lines.contains(&"scenarios! {") && lines.contains(&name)
}

/// Every document of the project's own.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || matches!(&*name, "target" | "node_modules") {
            continue;
        }
        if path.is_dir() {
            found.extend(documents(&path));
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Other sites are not asked: a test must not depend on them.
fn follow(from: &Path, target: &str) -> Result<(), &'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let to = match file {
        "" => from.to_owned(),
        file => from.parent().expect("a folder").join(file),
    };
    if !to.exists() {
        return Err("is not there");
    }
    let has_anchor = || Page::of(&read(&to)).anchors.contains(anchor);
    if anchor.is_empty() || has_anchor() {
        Ok(())
    } else {
        Err("has no such heading")
    }
}

#[test]
fn a_test_is_known_by_its_attribute() {
    let text = "#[test]\nfn one() {}\n#[tokio::test]\n#[ignore]\nasync fn two() {}\nfn three() {}";
    for (name, expected) in [
        ("one", true),
        ("two", true),
        ("three", false),
        ("on", false),
    ] {
        assert_eq!(is_test(text, name), expected, "{name}");
    }
    assert!(is_test(
        "  test(\"a thing, done\", async (t) => {",
        "a thing, done"
    ));
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let readme = root().join("README.md");
    for good in [
        "docs",
        "docs/contract.md#8-limits",
        "#limits",
        "https://example.org/x#y",
    ] {
        assert_eq!(follow(&readme, good), Ok(()), "{good}");
    }
    for bad in [
        "docs/none.md",
        "docs/contract.md#9-limits",
        "#none",
        "../docs/contract.md",
    ] {
        assert!(follow(&readme, bad).is_err(), "{bad}");
    }
}
