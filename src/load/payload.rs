//! What the generator publishes, and how it is found again in what comes back.
//!
//! A payload is a small JSON object whose one text begins with a *record*: a mark that only this
//! run uses, the number of the message and the time it was sent, all of fixed width. A reader looks
//! for the mark in the bytes and needs neither the JSON around it nor to know what a server has
//! wrapped it in. Nothing in a record needs escaping, so it also survives being put into a JSON text
//! once more.

use memchr::memmem::Finder;
use memchr::memrchr;

/// First byte of the mark, and nowhere else in a record: a record that is cut off can thus begin in
/// one place only.
const FIRST: u8 = b'~';
/// `~bench:`, the run in 8 hexadecimal digits, and a colon.
const MARK_BYTES: usize = 16;
/// The number in 8 digits, a colon, the time in 16.
const STAMP_BYTES: usize = 8 + 1 + 16;
const RECORD_BYTES: usize = MARK_BYTES + STAMP_BYTES;

const OPEN: &str = r#"{"load":""#;
const CLOSE: &str = r#""}"#;

/// Smallest payload in bytes: a record and the JSON around it.
pub const BYTES_MIN: usize = OPEN.len() + RECORD_BYTES + CLOSE.len();

/// Which message it is and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Counts the messages of a run from 0.
    pub number: u32,
    /// Nanoseconds since the run began.
    pub sent_at: u64,
}

impl Stamp {
    fn read(digits: &[u8]) -> Option<Self> {
        let (number, rest) = digits.split_at_checked(8)?;
        let sent_at = hexadecimal(rest.get(1..)?)?;
        let number = u32::try_from(hexadecimal(number)?).ok()?;
        Some(Self { number, sent_at })
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let mut value = 0;
    for digit in digits {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u64::from(digit);
    }
    Some(value)
}

/// The payloads of one run.
#[derive(Debug)]
pub struct Payload {
    mark: [u8; MARK_BYTES],
    finder: Finder<'static>,
    bytes: usize,
}

impl Payload {
    /// `run` tells this run from others of which a server may still send something; `bytes` is the
    /// size of each payload, at least [`BYTES_MIN`].
    pub fn new(run: u32, bytes: usize) -> Self {
        let mut mark = [0; MARK_BYTES];
        mark.copy_from_slice(format!("~bench:{run:08x}:").as_bytes());
        Self {
            mark,
            finder: Finder::new(&mark).into_owned(),
            bytes: bytes.max(BYTES_MIN),
        }
    }

    /// A payload whose stamp is still to be put in, at [`Self::stamp_at`] of it.
    pub fn unstamped(&self) -> Vec<u8> {
        let filling = filling(self.bytes - BYTES_MIN);
        let stamp = " ".repeat(STAMP_BYTES);
        [
            OPEN.as_bytes(),
            &self.mark,
            stamp.as_bytes(),
            filling.as_bytes(),
            CLOSE.as_bytes(),
        ]
        .concat()
    }

    /// Where in a payload its stamp stands.
    pub fn stamp_at(&self) -> usize {
        OPEN.len() + MARK_BYTES
    }

    /// Writes `stamp` over the first bytes of `place`.
    pub fn stamp(place: &mut [u8], stamp: Stamp) {
        let text = format!("{:08x}:{:016x}", stamp.number, stamp.sent_at);
        place[..STAMP_BYTES].copy_from_slice(text.as_bytes());
    }

    /// Calls `found` for each record that ends in `content`, the next bytes of a stream. What is cut
    /// off at the end waits in `carry` for the bytes that follow.
    #[inline]
    pub fn scan(&self, carry: &mut Carry, content: &[u8], mut found: impl FnMut(Stamp)) {
        let mut rest = content;
        if carry.length > 0 {
            rest = self.go_on(carry, content, &mut found);
        }
        while let Some(at) = self.finder.find(rest) {
            let record = &rest[at..];
            let Some(digits) = record.get(MARK_BYTES..RECORD_BYTES) else {
                return carry.set(record);
            };
            if let Some(stamp) = Stamp::read(digits) {
                found(stamp);
            }
            // The filling behind it holds nothing to be found.
            let filled = self.bytes - OPEN.len() - CLOSE.len();
            rest = record.get(filled..).unwrap_or_default();
        }
        let tail = &rest[rest.len().saturating_sub(MARK_BYTES - 1)..];
        if let Some(at) = memrchr(FIRST, tail)
            && self.mark.starts_with(&tail[at..])
        {
            carry.set(&tail[at..]);
        }
    }

    /// Puts `content` behind what was cut off before; returns what of it is still to be searched.
    fn go_on<'a>(
        &self,
        carry: &mut Carry,
        content: &'a [u8],
        found: &mut impl FnMut(Stamp),
    ) -> &'a [u8] {
        let missing = RECORD_BYTES - usize::from(carry.length);
        let (more, rest) = content.split_at(missing.min(content.len()));
        carry.push(more);
        let record = carry.bytes();
        let known = &record[..record.len().min(MARK_BYTES)];
        if !self.mark.starts_with(known) {
            // It only looked like one. Another can begin in the new bytes only.
            carry.length = 0;
            return content;
        }
        if record.len() == RECORD_BYTES {
            if let Some(stamp) = Stamp::read(&record[MARK_BYTES..]) {
                found(stamp);
            }
            carry.length = 0;
        }
        rest
    }
}

/// Words that repeat themselves and numbers that do not, as in what monitoring publishes: where a server
/// compresses, it finds in one message what it would find there.
fn filling(bytes: usize) -> String {
    let (mut text, mut state) = (String::new(), 1_u32);
    for nth in 0.. {
        if text.len() >= bytes {
            break;
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (requests, latency) = (state >> 15, state >> 23);
        text += &format!("service-{nth} requests {requests} latency {latency} healthy, ");
    }
    text.truncate(bytes);
    text
}

/// The beginning of a record whose rest has not come yet. Small, since every connection has one.
#[derive(Debug, Clone, Copy)]
pub struct Carry {
    bytes: [u8; RECORD_BYTES],
    length: u8,
}

impl Default for Carry {
    fn default() -> Self {
        Self {
            bytes: [0; RECORD_BYTES],
            length: 0,
        }
    }
}

impl Carry {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    fn set(&mut self, bytes: &[u8]) {
        self.length = 0;
        self.push(bytes);
    }

    fn push(&mut self, bytes: &[u8]) {
        let length = usize::from(self.length);
        self.bytes[length..length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len() as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamped(payload: &Payload, number: u32, sent_at: u64) -> Vec<u8> {
        let mut bytes = payload.unstamped();
        let at = payload.stamp_at();
        Payload::stamp(&mut bytes[at..], Stamp { number, sent_at });
        bytes
    }

    fn found(payload: &Payload, pieces: &[&[u8]]) -> Vec<Stamp> {
        let (mut carry, mut all) = (Carry::default(), Vec::new());
        for piece in pieces {
            payload.scan(&mut carry, piece, |stamp| all.push(stamp));
        }
        all
    }

    #[test]
    fn a_payload_is_json_of_the_size_that_was_asked_for() {
        for bytes in [BYTES_MIN, 100, 512] {
            let payload = stamped(&Payload::new(7, bytes), 1, 2);
            assert_eq!(payload.len(), bytes);
            let json: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            let text = json["load"].as_str().unwrap();
            assert!(text.starts_with("~bench:00000007:00000001:0000000000000002"));
        }
    }

    #[test]
    fn what_another_run_has_left_behind_is_not_taken() {
        let ours = Payload::new(1, 100);
        let other = stamped(&Payload::new(2, 100), 5, 5);
        assert_eq!(found(&ours, &[&other]), []);
    }

    #[test]
    fn what_only_looks_like_a_record_hides_none() {
        let payload = Payload::new(1, BYTES_MIN);
        let real = stamped(&payload, 3, 4);
        let stamp = Stamp {
            number: 3,
            sent_at: 4,
        };
        for before in ["~", "~bench", "~~bench:0", "x~bench:00000001"] {
            let all = [before.as_bytes(), &real].concat();
            for cut in 0..all.len() {
                let (a, b) = all.split_at(cut);
                assert_eq!(found(&payload, &[a, b]), [stamp], "{before} {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn records_are_found_wherever_the_bytes_are_cut(
            bytes in BYTES_MIN..200,
            count in 1..20u32,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let payload = Payload::new(0xabc, bytes);
            let mut stream = Vec::new();
            for number in 0..count {
                stream.extend_from_slice(b"id: 17-~\ndata: ");
                stream.extend(stamped(&payload, number, u64::MAX - u64::from(number)));
                stream.extend_from_slice(b",\"~\":1}\n\n");
            }
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
            let numbers: Vec<u32> = found(&payload, &pieces).iter().map(|it| it.number).collect();
            prop_assert_eq!(numbers, (0..count).collect::<Vec<_>>());
        }
    }
}
