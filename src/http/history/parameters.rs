//! What a query string of the history says: times, steps, fields, patterns, and where a page ends.

use std::fmt::Display;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::domain::message::MessageId;
use crate::domain::pattern::{PATTERNS_MAX, Pattern};
use crate::http::reply::Problem;
use crate::store::{Bounds, Order};

const TIME_ALLOWED: &str =
    "a time as in RFC 3339 (in a query string + is written %2B), or in milliseconds since 1970";
const STEP_ALLOWED: &str = "a length such as 500ms, 10s, 1m, 1h or 1d, or a number of milliseconds";
const FIELD_ALLOWED: &str = "a JSON Pointer such as /a/b, or the name of a field";
const CURSOR_ALLOWED: &str = "the nextCursor of the page before, with the same other parameters";
pub const PAGE_MAX: usize = 1000;
pub const PAGE_DEFAULT: usize = 100;
/// Longest JSON Pointer, in bytes.
const FIELD_BYTES_MAX: usize = 1024;

pub(in crate::http) fn invalid(name: &str, allowed: impl Display) -> Problem {
    Problem::invalid(format!("Invalid {name}: {allowed}"))
}

/// Which metrics are wanted: all of them where nothing is said.
pub(in crate::http) fn patterns(name: &str, text: Option<&str>) -> Result<Vec<Pattern>, Problem> {
    let Some(text) = text else {
        return Ok(vec![Pattern::everything()]);
    };
    let patterns = text.split(',').map(Pattern::parse);
    let patterns: Vec<_> = patterns
        .collect::<Result<_, _>>()
        .map_err(|error| invalid(name, error))?;
    match patterns.len() <= PATTERNS_MAX {
        true => Ok(patterns),
        false => Err(invalid(
            name,
            format_args!("at most {PATTERNS_MAX} are allowed"),
        )),
    }
}

/// In milliseconds since the Unix epoch, rounded up, because what is counted in is whole ones.
pub fn time(name: &str, text: &str) -> Result<u64, Problem> {
    let number = || text.parse::<u64>().ok();
    let written = || {
        let time: Timestamp = text.parse().ok()?;
        let ms = time.as_nanosecond().div_euclid(1_000_000);
        let rest = time.as_nanosecond().rem_euclid(1_000_000);
        // What is before 1970 is before everything.
        u64::try_from(ms + i128::from(rest > 0)).ok().or(Some(0))
    };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ms = if is_number { number() } else { written() };
    ms.ok_or_else(|| invalid(name, TIME_ALLOWED))
}

/// `from` and `to` as times; `None` where they are not given.
pub fn times(from: Option<&str>, to: Option<&str>) -> Result<(Option<u64>, Option<u64>), Problem> {
    let from = from.map(|text| time("from", text)).transpose()?;
    let to = to.map(|text| time("to", text)).transpose()?;
    match (from, to) {
        (Some(from), Some(to)) if from >= to => Err(invalid("from", "it must lie before `to`")),
        times => Ok(times),
    }
}

/// The ids of messages from one time to before the other.
pub fn bounds(from_ms: Option<u64>, to_ms: Option<u64>) -> Bounds {
    let end = MessageId::from_bits(u64::MAX);
    let first = |ms| MessageId::new(ms, 0).unwrap_or(end);
    Bounds {
        from: from_ms.map_or(MessageId::ZERO, first),
        to: to_ms.map_or(end, first),
    }
}

/// In milliseconds, at least 1.
pub fn step(text: &str) -> Result<u64, Problem> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "" | "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let ms = number.parse().ok().zip(unit_ms);
    let ms = ms.and_then(|(number, unit): (u64, u64)| number.checked_mul(unit));
    ms.filter(|ms| *ms > 0)
        .ok_or_else(|| invalid("step", STEP_ALLOWED))
}

/// Where in a value the number is, as a JSON Pointer (RFC 6901).
pub fn field(text: &str) -> Result<String, Problem> {
    let pointer = match text.starts_with('/') {
        true => text.to_owned(),
        // A plain name, with what a pointer writes otherwise.
        false => format!("/{}", text.replace('~', "~0").replace('/', "~1")),
    };
    let mut escapes = pointer.split('~').skip(1);
    let good = escapes.all(|rest| rest.starts_with(['0', '1']));
    match good && !text.is_empty() && text.len() <= FIELD_BYTES_MAX {
        true => Ok(pointer),
        false => Err(invalid("field", FIELD_ALLOWED)),
    }
}

/// Newest first unless said otherwise.
pub fn order(text: Option<&str>) -> Result<Order, Problem> {
    match text {
        None | Some("desc") => Ok(Order::NewestFirst),
        Some("asc") => Ok(Order::OldestFirst),
        Some(_) => Err(invalid("order", "asc or desc")),
    }
}

/// How many of a page.
pub fn limit(text: Option<&str>) -> Result<usize, Problem> {
    let Some(text) = text else {
        return Ok(PAGE_DEFAULT);
    };
    let number = text.parse().ok().filter(|it| (1..=PAGE_MAX).contains(it));
    number.ok_or_else(|| invalid("limit", format_args!("a number from 1 to {PAGE_MAX}")))
}

/// Where a page ended. Of its query only: what it means to another one nobody could say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub MessageId);

/// What a query asked for, but for how much and from where.
#[derive(Debug, Clone, Copy)]
pub struct Asked([u8; 8]);

impl Asked {
    pub fn of(parts: &[Option<&str>]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hash.update(length.to_le_bytes());
            hash.update(part.unwrap_or_default());
        }
        let mut kept = [0; 8];
        kept.copy_from_slice(&hash.finalize()[..8]);
        Self(kept)
    }

    /// With the id, so that a digit that was lost or changed shows.
    fn check(self, id: MessageId) -> u64 {
        let id = id.to_bits().to_string();
        let own = u64::from_le_bytes(self.0).to_string();
        u64::from_le_bytes(Self::of(&[Some(&own), Some(&id)]).0)
    }
}

impl Cursor {
    pub fn write(self, asked: Asked) -> String {
        format!("{:016x}{:016x}", self.0.to_bits(), asked.check(self.0))
    }

    pub fn read(text: &str, asked: Asked) -> Result<Self, Problem> {
        let read = || {
            let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if text.len() != 32 || !text.bytes().all(is_hex) {
                return None;
            }
            let (id, check) = text.split_at(16);
            let id = MessageId::from_bits(u64::from_str_radix(id, 16).ok()?);
            let check = u64::from_str_radix(check, 16).ok()?;
            (check == asked.check(id)).then_some(Self(id))
        };
        read().ok_or_else(|| invalid("cursor", CURSOR_ALLOWED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_have_units() {
        for (text, expected) in [
            ("1", Some(1)),
            ("500ms", Some(500)),
            ("10s", Some(10_000)),
            ("1m", Some(60_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("0", None),
            ("0s", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5s", None),
            ("1 s", None),
            ("1w", None),
            ("1S", None),
            ("99999999999999999999", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(step(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_field_is_a_pointer_or_a_name() {
        for (text, expected) in [
            ("total", Some("/total")),
            ("/a/b", Some("/a/b")),
            ("/a~1b/~0", Some("/a~1b/~0")),
            ("a/b", Some("/a~1b")),
            ("a~b", Some("/a~0b")),
            ("/", Some("/")),
            ("", None),
            ("/a~2", None),
            ("/a~", None),
        ] {
            assert_eq!(field(text).ok().as_deref(), expected, "{text:?}");
        }
        assert!(field(&"x".repeat(FIELD_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn times_are_written_or_numbers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1700000000000", Some(1_700_000_000_000)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000)),
            ("2023-11-15T00:13:20+02:00", Some(1_700_000_000_000)),
            ("2023-11-14T22:13:20.0000001Z", Some(1_700_000_000_001)),
            ("1969-12-31T23:59:59.5Z", Some(0)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("yesterday", None),
            ("2023-11-14", None),
            ("2023-11-14T22:13:20", None),
            ("2023-11-15T00:13:20 02:00", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(time("from", text).ok(), expected, "{text:?}");
        }
        assert!(times(Some("5"), Some("5")).is_err());
        assert_eq!(times(Some("5"), Some("6")).unwrap(), (Some(5), Some(6)));
    }

    #[test]
    fn bounds_hold_every_id_of_the_time() {
        let Bounds { from, to } = bounds(Some(5), Some(7));
        let id = |ms, sequence| MessageId::new(ms, sequence).unwrap();
        assert!(id(4, 9) < from && from <= id(5, 0));
        assert!(id(6, (1 << 20) - 1) < to && to <= id(7, 0));
        let far = bounds(Some(u64::MAX), None);
        assert!(far.from >= id(1 << 43, 0));
    }

    #[test]
    fn limits_and_orders_are_checked() {
        for bad in ["0", "1001", "-1", "x", "", "1.0"] {
            assert!(limit(Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(limit(None).unwrap(), 100);
        assert_eq!(limit(Some("1000")).unwrap(), 1000);
        assert!(order(Some("up")).is_err());
        assert_eq!(order(Some("asc")).unwrap(), Order::OldestFirst);
    }

    #[test]
    fn patterns_are_a_list() {
        let read = |text| patterns("metric", Some(text)).map(|list| list.len()).ok();
        assert_eq!(read("a,b.*,c.**"), Some(3));
        assert_eq!(read(""), None);
        assert_eq!(read("a,"), None);
        assert_eq!(read(&vec!["a"; 101].join(",")), None);
        assert_eq!(patterns("metric", None).unwrap(), [Pattern::everything()]);
    }

    proptest! {
        #[test]
        fn a_cursor_is_good_for_its_own_query_only(bits in any::<u64>(), at in 0..32usize, digit in "[0-9a-f]") {
            let cursor = Cursor(MessageId::from_bits(bits));
            let asked = Asked::of(&[Some("m"), None]);
            let text = cursor.write(asked);
            prop_assert_eq!(Cursor::read(&text, asked).unwrap(), cursor);
            prop_assert!(Cursor::read(&text, Asked::of(&[None, Some("m")])).is_err());
            let mut changed = text.clone();
            changed.replace_range(at..=at, &digit);
            prop_assert_eq!(Cursor::read(&changed, asked).is_ok(), changed == text);
        }

        #[test]
        fn no_text_is_a_cursor_by_chance(text in "\\PC{0,40}") {
            prop_assert!(Cursor::read(&text, Asked::of(&[])).is_err());
            let _ = (time("from", &text), step(&text), field(&text), patterns("metric", Some(&text)));
        }
    }
}
