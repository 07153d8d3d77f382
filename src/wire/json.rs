//! JSON from outside, made compact.

use serde::de::IgnoredAny;

use crate::domain::message::Json;

/// Deepest nesting of arrays and objects: what the parsers of most clients take.
const DEPTH_MAX: usize = 128;

/// Why a text is no JSON value the hub passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("the JSON is nested too deeply")]
    TooDeep,
    #[error("this is not JSON")]
    Malformed,
    #[error("the JSON holds a number that is too large for a double")]
    NumberTooLarge,
    #[error("the JSON holds half of a surrogate pair, which is no character")]
    HalfPair,
}

/// Checks that `text` is one JSON value and takes out the whitespace between its tokens, which
/// puts it on one line: inside strings JSON has no raw line breaks.
///
/// Tokens stay as they were written, byte for byte. The hub only passes values on, and decoding
/// them would cut long numbers, merge doubled keys and rewrite escapes. What the grammar allows and
/// strict parsers refuse (RFC 8259, sections 6 and 8.2) is refused here: one publisher's value must
/// not keep a client from reading a snapshot.
///
/// # Errors
/// No JSON, more than one value, more than 128 levels deep, a number beyond a double, or half of a
/// surrogate pair.
pub fn compact(text: &str) -> Result<Json, JsonError> {
    // Ignored values are skipped without recursion, so depth costs no stack here.
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| JsonError::Malformed)?;
    let mut scan = Scan::default();
    let mut compact = text.to_owned();
    compact.retain(|c| scan.keeps(c));
    if scan.deepest > DEPTH_MAX {
        return Err(JsonError::TooDeep);
    }
    check_tokens(&compact)?;
    Ok(Json::trusted(compact))
}

/// Where in a valid JSON text one is.
#[derive(Default)]
struct Scan {
    in_string: bool,
    escaped: bool,
    depth: usize,
    deepest: usize,
}

impl Scan {
    /// Goes over `c`; `false` for whitespace between tokens.
    fn keeps(&mut self, c: char) -> bool {
        match c {
            _ if self.escaped => self.escaped = false,
            '\\' => self.escaped = true,
            '"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            ' ' | '\t' | '\n' | '\r' => return false,
            '[' | '{' => {
                self.depth += 1;
                self.deepest = self.deepest.max(self.depth);
            }
            ']' | '}' => self.depth -= 1,
            _ => {}
        }
        true
    }
}

/// Looks at the numbers and the escapes of a compact, valid JSON text.
fn check_tokens(text: &str) -> Result<(), JsonError> {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = &rest[at..];
        rest = match rest.strip_prefix('"') {
            Some(string) => after_string(string)?,
            None => after_number(rest)?,
        };
    }
    Ok(())
}

fn after_number(text: &str) -> Result<&str, JsonError> {
    let is_of_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let end = text.find(|c| !is_of_number(c)).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(rest),
        _ => Err(JsonError::NumberTooLarge),
    }
}

/// `text` begins inside a string.
fn after_string(mut text: &str) -> Result<&str, JsonError> {
    let mut high_before = false;
    while let Some(at) = text.find(['"', '\\']) {
        let is_end = text[at..].starts_with('"');
        let unit = utf16_escape(&text[at..]);
        let high = unit.is_some_and(|unit| (0xd800..0xdc00).contains(&unit));
        let low = unit.is_some_and(|unit| (0xdc00..0xe000).contains(&unit));
        // The two halves stand right behind each other.
        if low != (high_before && at == 0) || high_before && at > 0 {
            return Err(JsonError::HalfPair);
        }
        let length = match (is_end, unit) {
            (true, _) => 1,
            (false, Some(_)) => 6,
            (false, None) => 2,
        };
        text = &text[at + length..];
        if is_end {
            return Ok(text);
        }
        high_before = high;
    }
    Err(JsonError::Malformed)
}

/// The code unit that an escape at the beginning of `text` stands for.
fn utf16_escape(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}
