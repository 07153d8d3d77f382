//! Reads Rust just well enough to say which paths a file names: no comments, no literals, nothing
//! that is compiled for tests only.

/// The text without comments and without what is in quotes.
pub fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest, raw_hashes(&code)),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(next);
        } else {
            code.push(' ');
        }
        rest = &rest[skipped.max(next.len_utf8())..];
    }
    code
}

/// Length of the block comment at the start; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, _) in text.char_indices() {
        if at > 3 && text[..at].ends_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
        depth += i32::from(text[at..].starts_with("/*"));
    }
    text.len()
}

/// How many `#` stand between an `r` and the quote that follows `code`; `None`: no raw string.
fn raw_hashes(code: &str) -> Option<usize> {
    let before = code.trim_end_matches('#');
    let is_raw = ["r", "br", "cr"].iter().any(|prefix| {
        let start = before.strip_suffix(prefix);
        start.is_some_and(|start| !start.ends_with(is_word))
    });
    is_raw.then(|| code.len() - before.len())
}

/// Length of the string literal at the start.
fn string(text: &str, raw_hashes: Option<usize>) -> usize {
    if let Some(hashes) = raw_hashes {
        let end = format!("\"{}", "#".repeat(hashes));
        return text[1..]
            .find(&end)
            .map_or(text.len(), |at| 1 + at + end.len());
    }
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of the character literal at the start; 0 for a lifetime.
fn character(text: &str) -> usize {
    let inside = &text[1..];
    if inside.starts_with('\\') {
        return inside[2..].find('\'').map_or(text.len(), |at| at + 4);
    }
    let mut two = inside.chars();
    match (two.next(), two.next()) {
        (Some(shown), Some('\'')) => shown.len_utf8() + 2,
        _ => 0,
    }
}

/// The code without items marked `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    let mut parts = code.split("#[cfg(test)]");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| kept.push_str(after_item(part)));
    kept
}

/// What follows the item at the start: it ends with a `;` or with the brace that closes its first.
fn after_item(code: &str) -> &str {
    let mut depth = 0;
    for (at, next) in code.char_indices() {
        depth += i32::from(next == '{') - i32::from(next == '}');
        if depth == 0 && matches!(next, ';' | '}') {
            return &code[at + 1..];
        }
    }
    ""
}

/// Every path in the code, with groups written out: `a::{b, c::d}` is `a::b` and `a::c::d`.
pub fn paths(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = path(&tokens, at, "", &mut found);
    }
    found
}

/// Takes the path at `at`, if there is one, and returns where to go on.
fn path(tokens: &[&str], at: usize, prefix: &str, found: &mut Vec<String>) -> usize {
    let is_name = |at: usize| {
        tokens
            .get(at)
            .is_some_and(|token| token.starts_with(is_word))
    };
    let is_glob = |at: usize| tokens.get(at) == Some(&"*") && !prefix.is_empty();
    if !is_name(at) && !is_glob(at) {
        return at + 1;
    }
    let mut whole = format!("{prefix}{}", tokens[at]);
    let mut at = at + 1;
    while tokens.get(at) == Some(&"::") {
        match tokens.get(at + 1) {
            Some(&"{") => {
                at += 2;
                while at < tokens.len() && tokens[at] != "}" {
                    at = path(tokens, at, &format!("{whole}::"), found);
                }
                return at + 1;
            }
            Some(next) if *next == "*" || next.starts_with(is_word) => {
                whole = format!("{whole}::{next}");
                at += 2;
            }
            _ => break,
        }
    }
    found.push(whole);
    let is_renamed = tokens.get(at) == Some(&"as");
    if is_renamed { at + 2 } else { at }
}

fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(next) = rest.chars().next() {
        let length = match next {
            _ if is_word(next) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => next.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn comments_and_literals_are_no_code() {
    let check = |text: &str, expected: &str| {
        let words: Vec<&str> = expected.split(' ').collect();
        assert_eq!(tokens(&code(text)), words, "{text}");
    };
    check("a // [`crate::hub`]\nb", "a b");
    check("a /* x /* y *//**/ z */ b", "a b");
    check(r#"a "crate::hub \" //" b"#, "a b");
    check("a r\"\\\" b", "a r b");
    check("a br##\"x\"# y\"## b", "a br # # b");
    check("a '\"' b '\\'' c '\\u{1f}' d", "a b c d");
    check("fn f<'a>(x: &'a str)", "fn f < ' a > ( x : & ' a str )");
}

#[test]
fn groups_are_written_out() {
    let check = |text: &str, expected: &[&str]| assert_eq!(paths(text), expected, "{text}");
    check("use a::b;", &["use", "a::b"]);
    check(
        "use std::{fs, net::{*, Ip}, time as t};",
        &["use", "std::fs", "std::net::*", "std::net::Ip", "std::time"],
    );
    check(
        "Vec::<crate::hub::X>::new",
        &["Vec", "crate::hub::X", "new"],
    );
    check("2 * x", &["2", "x"]);
}

#[test]
fn what_is_for_tests_only_is_left_out() {
    let text = "a; #[cfg(test)] mod t { use crate::hub; fn f() { {} } } b; #[cfg(test)] #[path = \"x\"] mod u; c";
    assert_eq!(tokens(&without_tests(&code(text))).concat(), "a;b;c");
}
