//! WebSocket frames (RFC 6455, section 5) as a client sees them, wherever they are cut.
//!
//! A message's text is passed on as it comes; only pings are put together, since they go back whole.

use super::framing::Malformed;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Longest payload of a control frame.
const CONTROL_BYTES_MAX: u64 = 125;
/// Two bytes, and up to eight more of length; a server does not mask.
const HEADER_BYTES_MAX: usize = 10;

/// Where in the frames one is.
#[derive(Debug, Default)]
pub struct Frames {
    header: [u8; HEADER_BYTES_MAX],
    /// Bytes of the header that are there; 0 between frames.
    length: u8,
    /// Whether the header is complete and the payload is what comes.
    inside: bool,
    opcode: u8,
    /// Whether nothing of the frame's payload has been passed on.
    fresh: bool,
    left: u64,
    /// A ping's payload. Takes no memory until there is one.
    control: Vec<u8>,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Part<'a> {
    /// A piece of a message; `first` when it is the beginning of one.
    Data {
        bytes: &'a [u8],
        first: bool,
    },
    /// It wants an answer with the same payload.
    Ping(Vec<u8>),
    Close,
}

impl Frames {
    /// Takes the next part off the front of `input`; `None` when more is needed.
    ///
    /// # Errors
    /// Not what a server may send.
    #[inline]
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Part<'a>>, Malformed> {
        loop {
            if !self.inside && !self.read_header(input)? {
                return Ok(None);
            }
            if self.left > 0 && input.is_empty() {
                return Ok(None);
            }
            let length = usize::try_from(self.left).map_or(input.len(), |n| n.min(input.len()));
            let (bytes, rest) = input.split_at(length);
            *input = rest;
            self.left -= length as u64;
            self.inside = self.left > 0;
            let first = std::mem::replace(&mut self.fresh, false);
            match self.opcode {
                TEXT | BINARY | CONTINUATION if bytes.is_empty() => {}
                TEXT | BINARY => return Ok(Some(Part::Data { bytes, first })),
                CONTINUATION => {
                    return Ok(Some(Part::Data {
                        bytes,
                        first: false,
                    }));
                }
                CLOSE if first => return Ok(Some(Part::Close)),
                PING => {
                    self.control.extend_from_slice(bytes);
                    if !self.inside {
                        return Ok(Some(Part::Ping(std::mem::take(&mut self.control))));
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes what is missing of a header off `input`; whether it is complete.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<bool, Malformed> {
        while usize::from(self.length) < self.header_bytes() {
            let Some((byte, rest)) = input.split_first() else {
                return Ok(false);
            };
            *input = rest;
            self.header[usize::from(self.length)] = *byte;
            self.length += 1;
        }
        let [first, second, ..] = self.header;
        let extended = &self.header[2..usize::from(self.length)];
        self.opcode = first & 0x0f;
        self.left = match second {
            0..126 => u64::from(second),
            126.. => extended.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
        };
        if second & 0x80 != 0 {
            return Err(Malformed("a masked frame"));
        }
        if first & 0x70 != 0 {
            return Err(Malformed("a frame of an extension that was not agreed on"));
        }
        match self.opcode {
            CONTINUATION | TEXT | BINARY => {}
            CLOSE | PING | PONG if self.left <= CONTROL_BYTES_MAX => {}
            _ => return Err(Malformed("a frame that is none")),
        }
        self.length = 0;
        self.inside = true;
        self.fresh = true;
        Ok(true)
    }

    /// How long the header is as far as it can be known yet.
    fn header_bytes(&self) -> usize {
        match (self.length, self.header[1]) {
            (0 | 1, _) => 2,
            (_, 126) => 4,
            (_, 127) => 10,
            _ => 2,
        }
    }
}

/// A text as a frame of a client's.
pub fn text(payload: &[u8]) -> Vec<u8> {
    from_client(TEXT, payload)
}

/// The answer to a ping.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    from_client(PONG, payload)
}

/// A short frame, masked as a client's must be. The mask is there to keep a web page from choosing
/// the bytes on the wire; this program chooses them itself, so its mask is all zero.
fn from_client(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len().min(CONTROL_BYTES_MAX as usize);
    let head = [0x80 | opcode, 0x80 | length as u8, 0, 0, 0, 0];
    [&head, &payload[..length]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(length as u8),
            length @ 126..65536 => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    type Payloads = Vec<Vec<u8>>;

    /// Messages, put together again, and the payloads of pings.
    fn decoded(pieces: &[&[u8]]) -> Result<(Payloads, Payloads), Malformed> {
        let (mut frames, mut messages, mut pings) = (Frames::default(), Vec::new(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while let Some(part) = frames.next(&mut rest)? {
                match part {
                    Part::Data { bytes, first: true } => messages.push(bytes.to_vec()),
                    Part::Data { bytes, .. } => match messages.last_mut() {
                        Some(message) => message.extend_from_slice(bytes),
                        None => messages.push(bytes.to_vec()),
                    },
                    Part::Ping(payload) => pings.push(payload),
                    Part::Close => return Ok((messages, pings)),
                }
            }
        }
        Ok((messages, pings))
    }

    #[test]
    fn every_form_of_length_is_understood() {
        for length in [1, 125, 126, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; length];
            let stream = [frame(TEXT, &payload), frame(PING, b"p"), frame(TEXT, b"y")].concat();
            let expected = (vec![payload, b"y".to_vec()], vec![b"p".to_vec()]);
            assert_eq!(decoded(&[&stream]), Ok(expected), "{length}");
        }
    }

    #[test]
    fn empty_frames_and_pongs_say_nothing() {
        let stream = [frame(TEXT, b""), frame(PONG, b"x"), frame(PING, b"")].concat();
        assert_eq!(decoded(&[&stream]), Ok((vec![], vec![vec![]])));
    }

    #[test]
    fn what_no_server_may_send_is_refused() {
        for stream in [
            &[0xc1, 1, 0][..],
            &[0x83, 0],
            &[0x89, 126, 0, 126],
            // Masked.
            &[0x81, 0x81, 0, 0, 0, 0, 0],
        ] {
            assert!(decoded(&[stream]).is_err(), "{stream:x?}");
        }
    }

    #[test]
    fn a_clients_frame_is_masked() {
        assert_eq!(text(b"40"), [0x81, 0x82, 0, 0, 0, 0, b'4', b'0']);
        assert_eq!(pong(b""), [0x8a, 0x80, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn frames_are_understood_wherever_they_are_cut(
            messages in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..125)), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let frames = messages.iter().map(|(ping, payload)| match ping {
                true => frame(PING, payload),
                false => frame(TEXT, &payload.repeat(3)),
            });
            let stream = frames.collect::<Vec<_>>().concat();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len().max(1))).collect();
            at.retain(|cut| *cut <= stream.len());
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
            let of = |wanted| messages.iter().filter(move |(ping, _)| *ping == wanted);
            let texts = of(false).map(|(_, payload)| payload.repeat(3)).collect();
            let pings = of(true).map(|(_, payload)| payload.clone()).collect();
            prop_assert_eq!(decoded(&pieces), Ok((texts, pings)));
        }

        #[test]
        fn no_bytes_at_all_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decoded(&[&bytes]);
        }
    }
}
