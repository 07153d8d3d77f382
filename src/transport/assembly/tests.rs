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
fn what_no_character_begins_with_is_refused_before_the_message_is_whole() {
    let crab = "🦀".as_bytes();
    for bad in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90"] {
        let begun = [sent(Text, false, b"x"), sent(Continue, false, bad)];
        check(&begun, Assembled::Refused(Closing::NOT_UTF8));
        let begun = [sent(Text, false, &crab[..2]), sent(Continue, false, bad)];
        check(&begun, Assembled::Refused(Closing::NOT_UTF8));
    }
    for cut in 1..4 {
        let begun = [sent(Text, false, &crab[..cut]), sent(Continue, false, b"")];
        check(&begun, Assembled::Pending);
    }
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
