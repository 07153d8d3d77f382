//! Holds the documents: every link leads somewhere, `docs/compatibility.md` names all of the interface,
//! and what is said to be held by a test is held by one that there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use statshub::config::{VARIABLES, known_keys};

use crate::markdown::{Link, Page, Row};
use crate::{read, relative, root};

/// Those that name tests as proof of what they say.
const PROVEN: [&str; 2] = ["docs/compatibility.md", SECURITY];
const SECURITY: &str = "docs/security.md";
/// What a test says that is against something: that somebody does, or that happens.
const AGAINST: [&str; 3] = ["Attack:", "Attacks:", "Failure:"];

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
fn every_test_that_a_document_names_is_there() {
    for document in PROVEN {
        let wrong = tests_without(document, is_test);
        assert!(wrong.is_empty(), "no such tests: {wrong:#?}");
    }
}

#[test]
fn every_attack_of_the_security_review_has_tests_that_name_it() {
    let held = held(&page(SECURITY));
    let loose = held.iter().filter(|row| row.last().links.is_empty());
    let loose: Vec<&str> = loose.map(|row| &*row.first().text).collect();
    assert!(held.len() > 50 && loose.is_empty(), "{loose:#?}");
    let silent = tests_without(SECURITY, says_what_it_is_against);
    assert!(
        silent.is_empty(),
        "their comments name no attack: {silent:#?}"
    );
}

/// The tests named in a document of which `holds` does not hold, given their file's text and their name.
fn tests_without(document: &str, holds: fn(&str, &str) -> bool) -> Vec<String> {
    let held = held(&page(document));
    let named = held.iter().flat_map(|row| &row.last().links);
    let text = |link: &Link| read(&root().join("docs").join(&link.target));
    let without = named.filter(|link| !holds(&text(link), &link.text));
    without
        .map(|link| format!("{}: {}", link.target, link.text))
        .collect()
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
    page("docs/compatibility.md")
}

fn page(document: &str) -> Page {
    Page::of(&read(&root().join(document)))
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

/// Whether the comment above a test says it. Scenarios, of which each is a line, have one for several.
fn says_what_it_is_against(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let (function, title) = (format!("fn {name}("), format!("test(\"{name}\""));
    let is_it = |line: &&str| line.contains(&function) || line.contains(&title) || *line == name;
    let Some(at) = lines.iter().position(is_it) else {
        return false;
    };
    let is_comment = |line: &&&str| line.starts_with("//");
    let above = lines[..at].iter().rev();
    let above = above.skip_while(|line| lines[at] == name && !is_comment(line));
    let mut above = above.take_while(|line| is_comment(line) || line.starts_with("#["));
    above.any(|line| AGAINST.iter().any(|word| line.contains(word)))
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
fn what_a_test_is_against_stands_in_its_comment() {
    let text = "/// Attack: x.\n#[test]\nfn one() {}\n\nfn two() {}\n// Attack: y.\ntest(\"it is\", t)\n\
                scenarios! {\nthree\n// Failure: z.\nfour\nfive\n}";
    for (name, expected) in [
        ("one", true),
        ("two", false),
        ("it is", true),
        ("it was", false),
        ("four", true),
        ("five", true),
    ] {
        assert_eq!(says_what_it_is_against(text, name), expected, "{name}");
    }
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
