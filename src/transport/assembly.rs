//! From WebSocket frames to whole text messages, within limits.
//!
//! actix's codec hands out continuation frames one by one, as raw bytes and without any limit on
//! their number; here they become one message. It does refuse frames out of order, but that is
//! checked again, since an error there would mix two messages into one.

use actix_http::ws::{CloseReason, Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use crate::wire::websocket::Closing;

/// What has become of a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Assembled {
    /// It completes this message.
    Whole(ByteString),
    /// It is part of a message that is not complete yet.
    Pending,
    /// The connection must be closed with this.
    Refused(Closing),
}

/// The message in the making, of which there is at most one a connection.
#[derive(Debug)]
pub struct Assembly {
    bytes_max: usize,
    fragments_max: usize,
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    text: BytesMut,
    fragments: usize,
    /// A part of it is missing, so nothing will come of it.
    ignored: bool,
}

impl Assembly {
    /// Messages of up to `bytes_max` bytes over all their frames, in up to `fragments_max` frames.
    pub fn new(bytes_max: usize, fragments_max: usize) -> Self {
        Self {
            bytes_max,
            fragments_max,
            begun: None,
        }
    }

    /// An unfragmented text message.
    pub fn text(&mut self, text: ByteString) -> Assembled {
        if self.begun.is_some() {
            Assembled::Refused(Closing::PROTOCOL_ERROR)
        } else if text.len() > self.bytes_max {
            Assembled::Refused(Closing::TOO_BIG)
        } else {
            Assembled::Whole(text)
        }
    }

    /// An unfragmented binary message, which no client has a reason to send.
    pub fn binary(&mut self) -> Assembled {
        Assembled::Refused(match self.begun {
            Some(_) => Closing::PROTOCOL_ERROR,
            None => Closing::NOT_TEXT,
        })
    }

    /// One frame of a fragmented message. After `Refused` what had been gathered is gone.
    pub fn fragment(&mut self, item: Item) -> Assembled {
        match (item, self.begun.take()) {
            (Item::FirstText(bytes), None) => self.gather(Begun::nothing(), &bytes),
            (Item::FirstBinary(_), None) => Assembled::Refused(Closing::NOT_TEXT),
            (Item::Continue(bytes), Some(begun)) => self.gather(begun, &bytes),
            (Item::Last(bytes), Some(begun)) => match self.gather(begun, &bytes) {
                Assembled::Pending => self.finish(),
                refused => refused,
            },
            _ => Assembled::Refused(Closing::PROTOCOL_ERROR),
        }
    }

    /// A frame of a fragmented message that was one too many. The whole message goes with it: put
    /// together without that part, it might mean something else.
    pub fn ignore(&mut self, item: &Item) {
        self.begun = match item {
            Item::Last(_) => None,
            _ => Some(Begun {
                ignored: true,
                ..Begun::nothing()
            }),
        };
    }

    fn gather(&mut self, mut begun: Begun, bytes: &Bytes) -> Assembled {
        if begun.ignored {
            self.begun = Some(begun);
            return Assembled::Pending;
        }
        begun.fragments += 1;
        if begun.text.len() + bytes.len() > self.bytes_max {
            return Assembled::Refused(Closing::TOO_BIG);
        }
        if begun.fragments > self.fragments_max {
            return Assembled::Refused(Closing::TOO_MANY_FRAGMENTS);
        }
        begun.text.extend_from_slice(bytes);
        self.begun = Some(begun);
        Assembled::Pending
    }

    /// UTF-8 is judged over the whole message only, because a character may be split over frames.
    fn finish(&mut self) -> Assembled {
        let Some(Begun {
            text,
            ignored: false,
            ..
        }) = self.begun.take()
        else {
            return Assembled::Pending;
        };
        match ByteString::try_from(text.freeze()) {
            Ok(text) => Assembled::Whole(text),
            Err(_) => Assembled::Refused(Closing::NOT_UTF8),
        }
    }
}

impl Begun {
    fn nothing() -> Self {
        Self {
            text: BytesMut::new(),
            fragments: 0,
            ignored: false,
        }
    }
}

/// What to close with when actix's codec reports `error`.
///
/// `Io` means two things there: reserved bits, with the kind `InvalidData`, and a text frame that
/// is not UTF-8. Trouble with the socket would be a third, but the frame guard turns it into the
/// end of the stream.
pub fn close_code_for(error: &ProtocolError) -> Closing {
    match error {
        ProtocolError::Overflow => Closing::TOO_BIG,
        ProtocolError::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => {
            Closing::NOT_UTF8
        }
        _ => Closing::PROTOCOL_ERROR,
    }
}

/// What to answer to a client's close frame: its own code, without its words.
///
/// 1000 where it gave none, and 1002 where it gave one that must not be sent: reserved (1004, 1005,
/// 1006, 1015) or undefined (below 1000, 1016 to 2999, from 5000). 1012 to 1014 are registered and
/// pass. Codes RFC 6455 forbids, a payload of one byte and a reason that is not UTF-8 mostly end as
/// a [`ProtocolError`] in the codec already, and so get the same 1002.
pub fn close_answer(received: Option<&CloseReason>) -> Closing {
    match received.map(|reason| u16::from(reason.code)) {
        None => Closing::GOODBYE,
        Some(code @ (1000..=1003 | 1007..=1014 | 3000..=4999)) => Closing::new(code, ""),
        Some(_) => Closing::PROTOCOL_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_http::ws::{Codec, Frame, OpCode, Parser};
    use proptest::prelude::*;
    use tokio_util::codec::Decoder;

    const BYTES_MAX: usize = 1000;
    const FRAGMENTS_MAX: usize = 8;

    /// A client's frame, masked.
    fn sent(op: OpCode, fin: bool, payload: &[u8]) -> BytesMut {
        let mut frame = BytesMut::new();
        Parser::write_message(&mut frame, payload, op, fin, true);
        frame
    }

    /// What the real codec and then the assembly make of `frames`, up to the first refusal. Text
    /// frames turn into strings here as they do in actix-web-actors.
    fn receive(frames: &[BytesMut]) -> Vec<Assembled> {
        let mut codec = Codec::new().max_size(BYTES_MAX);
        let mut assembly = Assembly::new(BYTES_MAX, FRAGMENTS_MAX);
        let mut bytes = BytesMut::from(&*frames.concat());
        let mut all = Vec::new();
        while let Some(frame) = codec.decode(&mut bytes).transpose() {
            all.push(match frame {
                Ok(Frame::Text(text)) => match ByteString::try_from(text) {
                    Ok(text) => assembly.text(text),
                    Err(e) => refused(&ProtocolError::Io(std::io::Error::other(e.to_string()))),
                },
                Ok(Frame::Continuation(item)) => assembly.fragment(item),
                Ok(Frame::Binary(_)) => assembly.binary(),
                Ok(Frame::Close(reason)) => Assembled::Refused(close_answer(reason.as_ref())),
                Ok(Frame::Ping(_) | Frame::Pong(_)) => continue,
                Err(error) => refused(&error),
            });
            if let Some(Assembled::Refused(_)) = all.last() {
                break;
            }
        }
        all
    }

    fn refused(error: &ProtocolError) -> Assembled {
        Assembled::Refused(close_code_for(error))
    }

    fn check(frames: &[BytesMut], expected: Assembled) {
        assert_eq!(receive(frames).last(), Some(&expected), "{frames:?}");
    }

    fn whole(text: &str) -> Assembled {
        Assembled::Whole(text.into())
    }

    use OpCode::{Binary, Close, Continue, Ping, Text};

    #[test]
    fn fragments_become_one_message_whatever_pings_lie_between() {
        check(&[sent(Text, true, b"ping")], whole("ping"));
        check(&[sent(Text, true, b"")], whole(""));
        check(
            &[
                sent(Text, false, b"{\"type\":"),
                sent(Ping, true, b"still there?"),
                sent(Continue, false, b""),
                sent(Continue, true, b"\"ping\"}"),
            ],
            whole("{\"type\":\"ping\"}"),
        );
        check(&[sent(Text, false, b""), sent(Text, false, b"")], PROTOCOL);
        let twice = [
            sent(Text, false, b"a"),
            sent(Continue, true, b"b"),
            sent(Text, false, b"c"),
            sent(Continue, true, b"d"),
        ];
        let (pending, again) = (Assembled::Pending, Assembled::Pending);
        assert_eq!(receive(&twice), [pending, whole("ab"), again, whole("cd")]);
    }

    const PROTOCOL: Assembled = Assembled::Refused(Closing::PROTOCOL_ERROR);

    #[test]
    fn a_character_may_be_split_over_fragments() {
        let crab = "🦀".as_bytes();
        check(
            &[
                sent(Text, false, &crab[..1]),
                sent(Continue, false, &crab[1..3]),
                sent(Continue, true, &crab[3..]),
            ],
            whole("🦀"),
        );
    }

    #[test]
    fn what_is_not_utf8_closes_with_1007() {
        let expected = || Assembled::Refused(Closing::NOT_UTF8);
        check(&[sent(Text, true, b"\xff")], expected());
        let cut = &"🦀".as_bytes()[..3];
        check(&[sent(Text, true, cut)], expected());
        check(
            &[sent(Text, false, cut), sent(Continue, true, b"")],
            expected(),
        );
        let surrogate = b"\xed\xa0\x80";
        check(
            &[sent(Text, false, b""), sent(Continue, true, surrogate)],
            expected(),
        );
    }

    #[test]
    fn binary_closes_with_1003() {
        let expected = || Assembled::Refused(Closing::NOT_TEXT);
        check(&[sent(Binary, true, b"x")], expected());
        check(&[sent(Binary, false, b"x")], expected());
    }

    #[test]
    fn frames_out_of_order_close_with_1002() {
        check(&[sent(Continue, true, b"x")], PROTOCOL);
        check(&[sent(Continue, false, b"x")], PROTOCOL);
        for inside in [Text, Binary] {
            for fin in [false, true] {
                check(
                    &[sent(Text, false, b"x"), sent(inside, fin, b"x")],
                    PROTOCOL,
                );
            }
        }
    }

    #[test]
    fn the_assembly_itself_refuses_frames_out_of_order() {
        let begun = || {
            let mut assembly = Assembly::new(BYTES_MAX, FRAGMENTS_MAX);
            assembly.fragment(Item::FirstText("x".into()));
            assembly
        };
        assert_eq!(begun().text("y".into()), PROTOCOL);
        assert_eq!(begun().binary(), PROTOCOL);
        assert_eq!(begun().fragment(Item::FirstText("y".into())), PROTOCOL);
        assert_eq!(begun().fragment(Item::FirstBinary("y".into())), PROTOCOL);
        let mut fresh = Assembly::new(BYTES_MAX, FRAGMENTS_MAX);
        assert_eq!(fresh.fragment(Item::Continue("y".into())), PROTOCOL);
        assert_eq!(fresh.fragment(Item::Last("y".into())), PROTOCOL);
    }

    #[test]
    fn a_message_is_measured_over_all_its_fragments() {
        let half = "x".repeat(BYTES_MAX / 2);
        let in_two = |last: &str| {
            [
                sent(Text, false, half.as_bytes()),
                sent(Continue, true, last.as_bytes()),
            ]
        };
        check(&in_two(&half), whole(&half.repeat(2)));
        check(
            &in_two(&format!("{half}x")),
            Assembled::Refused(Closing::TOO_BIG),
        );
        check(
            &[sent(Text, true, &[b'x'; BYTES_MAX + 1])],
            Assembled::Refused(Closing::TOO_BIG),
        );
        let long = "x".repeat(BYTES_MAX + 1).into();
        assert_eq!(
            Assembly::new(BYTES_MAX, FRAGMENTS_MAX).text(long),
            Assembled::Refused(Closing::TOO_BIG)
        );
    }

    #[test]
    fn empty_fragments_are_counted() {
        let message = |fragments: usize| {
            let mut frames = vec![sent(Text, false, b"")];
            frames.resize(fragments - 1, sent(Continue, false, b""));
            frames.push(sent(Continue, true, b""));
            frames
        };
        check(&message(FRAGMENTS_MAX), whole(""));
        check(
            &message(FRAGMENTS_MAX + 1),
            Assembled::Refused(Closing::TOO_MANY_FRAGMENTS),
        );
    }

    #[test]
    fn a_message_of_which_a_part_is_ignored_is_ignored_whole_and_the_next_is_not() {
        let parts = || {
            [
                Item::FirstText("a".into()),
                Item::Continue("b".into()),
                Item::Last("c".into()),
            ]
        };
        for ignored in 0..3 {
            let mut assembly = Assembly::new(BYTES_MAX, FRAGMENTS_MAX);
            for (nth, part) in parts().into_iter().enumerate() {
                match nth == ignored {
                    true => assembly.ignore(&part),
                    false => assert_eq!(assembly.fragment(part), Assembled::Pending, "{ignored}"),
                }
            }
            let next = parts().map(|part| assembly.fragment(part));
            assert_eq!(next[2], whole("abc"), "{ignored}");
            assert_eq!(assembly.text("d".into()), whole("d"), "{ignored}");
        }
    }

    #[test]
    fn reserved_bits_close_with_1002_though_the_codec_calls_them_io() {
        let mut frame = sent(Text, true, b"x");
        frame[0] |= 0x40;
        check(&[frame], PROTOCOL);
    }

    #[test]
    fn a_valid_close_is_echoed_and_an_invalid_one_gets_1002() {
        let check = |payload: &[u8], code: u16| {
            let all = receive(&[sent(Close, true, payload)]);
            let [Assembled::Refused(closing)] = all[..] else {
                panic!("{all:?}");
            };
            assert_eq!(closing.code, code, "{payload:?}");
        };
        check(b"", 1000);
        for code in [
            1000u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 3999, 4000, 4999,
        ] {
            check(&code.to_be_bytes(), code);
            check(&[&code.to_be_bytes()[..], b"bye"].concat(), code);
        }
        for code in [
            0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ] {
            check(&code.to_be_bytes(), 1002);
            let reason = CloseReason::from(actix_http::ws::CloseCode::from(code));
            assert_eq!(close_answer(Some(&reason)).code, 1002, "without the codec");
        }
        check(b"\x03", 1002);
        check(b"\x03\xe8\xff", 1002);
    }

    proptest! {
        #[test]
        fn any_text_cut_anywhere_comes_back_whole(
            text in "\\PC{0,60}",
            cuts in prop::collection::vec(0.0..1.0f64, 1..FRAGMENTS_MAX),
        ) {
            let mut ends: Vec<_> = cuts.iter().map(|cut| (cut * text.len() as f64) as usize).collect();
            ends.sort_unstable();
            let (mut frames, mut from) = (Vec::new(), 0);
            for (i, end) in ends.iter().enumerate() {
                let op = if i == 0 { Text } else { Continue };
                frames.push(sent(op, false, &text.as_bytes()[from..*end]));
                from = *end;
            }
            frames.push(sent(Continue, true, &text.as_bytes()[from..]));
            prop_assert_eq!(receive(&frames).pop(), Some(whole(&text)));
        }
    }
}
