//! A selector of Prometheus: a metric's name, and what its labels must be.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::{Regex, RegexBuilder};

/// The label that a series' name is.
pub const NAME: &str = "__name__";
/// Memory that one pattern may take once it is compiled; a pattern of a few kilobytes takes less.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Which series are wanted, such as `http_requests_total{job="api",code=~"5.."}`.
///
/// Written as in PromQL: `=`, `!=`, and by patterns that must fit all of a label `=~` and `!~`; a label that
/// a series lacks is the empty text. Patterns are of ASCII: `.` is one byte, `\d` and `\w` know no other scripts.
#[derive(Clone)]
pub struct Selector {
    text: String,
    matchers: Vec<Matcher>,
}

#[derive(Clone)]
struct Matcher {
    label: String,
    wanted: Wanted,
}

#[derive(Clone)]
enum Wanted {
    Is(String),
    IsNot(String),
    Fits(Regex),
    FitsNot(Regex),
}

impl Selector {
    /// `None` for what is no selector, and for one that takes every series there is.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = Scanner(text.chars().peekable());
        let mut matchers = Vec::new();
        if let Some(name) = rest.word(|c| is_label(c) || c == ':') {
            let wanted = Wanted::Is(name);
            let label = NAME.to_owned();
            matchers.push(Matcher { label, wanted });
        }
        if rest.takes('{') {
            while !rest.takes('}') {
                matchers.push(rest.matcher()?);
                if !rest.takes(',') {
                    rest.takes('}').then_some(())?;
                    break;
                }
            }
        }
        rest.is_at_end().then_some(())?;
        let selector = Self {
            text: text.to_owned(),
            matchers,
        };
        // As PromQL: one that a series without labels would do for asks for everything.
        (!selector.admits(|_| "")).then_some(selector)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a series is wanted; `label` gives a label's value, and the empty text where there is none.
    pub fn admits<'a>(&self, label: impl Fn(&str) -> &'a str) -> bool {
        self.matchers.iter().all(|matcher| {
            let value = label(&matcher.label);
            match &matcher.wanted {
                Wanted::Is(wanted) => value == wanted,
                Wanted::IsNot(wanted) => value != wanted,
                Wanted::Fits(pattern) => pattern.is_match(value.as_bytes()),
                Wanted::FitsNot(pattern) => !pattern.is_match(value.as_bytes()),
            }
        })
    }

    /// Whether it says what a label is, so that the label tells no two series apart.
    pub fn pins(&self, label: &str) -> bool {
        let of_it = |matcher: &&Matcher| matcher.label == label;
        let mut matchers = self.matchers.iter().filter(of_it);
        matchers.any(|matcher| matches!(matcher.wanted, Wanted::Is(_)))
    }
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

struct Scanner<'a>(Peekable<Chars<'a>>);

impl Scanner<'_> {
    fn skip_spaces(&mut self) {
        while self.0.next_if(|c| c.is_ascii_whitespace()).is_some() {}
    }

    /// Takes `wanted` where it is next.
    fn takes(&mut self, wanted: char) -> bool {
        self.skip_spaces();
        self.0.next_if_eq(&wanted).is_some()
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_spaces();
        self.0.peek().is_none()
    }

    /// A name: no digit first.
    fn word(&mut self, fits: fn(char) -> bool) -> Option<String> {
        self.skip_spaces();
        let begins = self.0.peek().is_some_and(|c| !c.is_ascii_digit());
        let mut word = String::new();
        while begins && let Some(c) = self.0.next_if(|c| fits(*c)) {
            word.push(c);
        }
        (!word.is_empty()).then_some(word)
    }

    fn matcher(&mut self) -> Option<Matcher> {
        let label = self.word(is_label)?;
        let negates = self.takes('!');
        let is_pattern = match negates {
            true if self.0.next_if_eq(&'~').is_some() => true,
            true => {
                self.0.next_if_eq(&'=')?;
                false
            }
            false => {
                self.takes('=').then_some(())?;
                self.0.next_if_eq(&'~').is_some()
            }
        };
        let value = self.quoted()?;
        let wanted = match (negates, is_pattern) {
            (false, false) => Wanted::Is(value),
            (true, false) => Wanted::IsNot(value),
            (false, true) => Wanted::Fits(whole(&value)?),
            (true, true) => Wanted::FitsNot(whole(&value)?),
        };
        Some(Matcher { label, wanted })
    }

    /// A text in quotation marks, with the usual escapes; in backticks there are none.
    fn quoted(&mut self) -> Option<String> {
        self.skip_spaces();
        let mark = self.0.next_if(|c| matches!(c, '"' | '\'' | '`'))?;
        let mut text = String::new();
        loop {
            match self.0.next()? {
                c if c == mark => return Some(text),
                '\\' if mark != '`' => text.push(match self.0.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    c @ ('\\' | '"' | '\'') => c,
                    _ => return None,
                }),
                c => text.push(c),
            }
        }
    }
}

fn is_label(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A pattern that must fit all of a text.
fn whole(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(selector: &str, series: &[(&str, &str)]) -> bool {
        let selector = Selector::parse(selector).unwrap_or_else(|| panic!("{selector}"));
        let value = |label: &str| series.iter().find(|(name, _)| *name == label);
        selector.admits(|label| value(label).map_or("", |(_, value)| value))
    }

    #[test]
    fn series_are_told_apart_as_by_prometheus() {
        let series = [
            (NAME, "http_requests_total"),
            ("job", "api"),
            ("code", "503"),
        ];
        for (selector, expected) in [
            ("http_requests_total", true),
            ("http_requests", false),
            ("http_requests_total{}", true),
            (r#"http_requests_total{job="api",code=~"5.."}"#, true),
            (
                r#"http_requests_total{ job = 'api' , code =~ `5\d\d` , }"#,
                true,
            ),
            (r#"http_requests_total{code=~"5"}"#, false),
            (r#"http_requests_total{code=~"4..|50[0-9]"}"#, true),
            (r#"http_requests_total{code!~"4.."}"#, true),
            (r#"http_requests_total{code!~"5.*"}"#, false),
            (r#"http_requests_total{job!="api"}"#, false),
            (r#"http_requests_total{method=""}"#, true),
            (r#"http_requests_total{method!=""}"#, false),
            (r#"http_requests_total{method=~".+"}"#, false),
            (r#"{__name__=~"http_.*",job="api"}"#, true),
            (r#"{job="api"}"#, true),
        ] {
            assert_eq!(admits(selector, &series), expected, "{selector}");
        }
        assert!(admits(
            r#"a{b="x\"\\\n"}"#,
            &[(NAME, "a"), ("b", "x\"\\\n")]
        ));
    }

    #[test]
    fn what_is_no_selector_or_asks_for_everything_is_refused() {
        for text in [
            "",
            "{}",
            r#"{job=~".*"}"#,
            r#"{job=""}"#,
            "a{",
            "a}",
            "a{b}",
            "a{b=}",
            "a{b=c}",
            r#"a{b="c}"#,
            r#"a{b="c""#,
            r#"a{b="\x"}"#,
            r#"a{b=="c"}"#,
            r#"a{b=~"("}"#,
            r#"a{b=~"(a{1000}){1000}{1000}"}"#,
            r#"a{b!"c"}"#,
            r#"a{,}"#,
            r#"a{b="c",,}"#,
            r#"a{b="c"} 1"#,
            "rate(a[5m])",
            "1a",
            "a b",
        ] {
            assert!(Selector::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_label_that_must_be_something_tells_nothing_apart() {
        let selector = Selector::parse(r#"a{b="c",d!="e",f=~"g"}"#).unwrap();
        let pinned = [NAME, "b", "d", "f", "h"].map(|label| selector.pins(label));
        assert_eq!(pinned, [true, true, false, false, false]);
    }
}
