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
}

/// Checks that `text` is one JSON value and takes out the whitespace between its tokens, which
/// puts it on one line: inside strings JSON has no raw line breaks.
///
/// Tokens stay as they were written, byte for byte. The hub only passes values on, and decoding
/// them would cut long numbers, merge doubled keys and rewrite escapes.
///
/// # Errors
/// No JSON, more than one value, or more than 128 levels deep.
pub fn compact(text: &str) -> Result<Json, JsonError> {
    // Ignored values are skipped without recursion, so depth costs no stack here.
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| JsonError::Malformed)?;
    let mut scan = Scan::default();
    let mut compact = text.to_owned();
    compact.retain(|c| scan.keeps(c));
    if scan.deepest > DEPTH_MAX {
        return Err(JsonError::TooDeep);
    }
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
