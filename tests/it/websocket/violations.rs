//! Frames that RFC 6455 forbids, or the hub has no use for: 1002, 1003 and 1007, at once, and without
//! anybody else noticing.

use futures::future::join_all;

use super::{hub, opened};
use crate::support::frames::{
    BINARY, CLOSE, CONTINUATION, End, FIN, MASKED, PING, PONG, TEXT, close, fragments, frame,
    header, masked, ping, text,
};
use crate::support::witness::Witness;

type Case = (&'static str, Vec<u8>);

fn case(name: &'static str, frames: &[Vec<u8>]) -> Case {
    (name, frames.concat())
}

/// Has a client of its own send each, and holds it to being closed with `code` and no word more, and
/// the hub to having nothing to do afterwards, though no client hangs up.
async fn check(cases: Vec<Case>, code: u16) {
    let hub = hub("").await;
    let mut witness = Witness::of(&hub).await;
    let tried = cases.iter().map(async |(name, bytes)| {
        let mut client = opened(&hub).await;
        client.send(bytes).await;
        let end: End = client.ended().await;
        assert_eq!(end.code(), Some(code), "{name}: {end:?}");
        assert_eq!(end.frames, [], "{name}");
        client
    });
    let closed = join_all(tried).await;
    witness.is_undisturbed().await;
    hub.is_at_rest().await;
    witness.is_undisturbed().await;
    drop(closed);
    hub.stop().await;
}

fn unmasked() -> Vec<u8> {
    [&[FIN | TEXT, 15][..], br#"{"type":"ping"}"#].concat()
}

/// Attack: frames that RFC 6455 forbids.
#[tokio::test]
async fn a_frame_that_no_client_may_send_is_a_breach_of_the_protocol() {
    let hello = b"hello";
    let mut cases = vec![
        case("unmasked", &[unmasked()]),
        case("unmasked, empty", &[vec![FIN | TEXT, 0]]),
        case("unmasked, only announced", &[vec![FIN | TEXT, 126]]),
        case("unmasked ping", &[vec![FIN | PING, 0]]),
        case(
            "unmasked after a good one",
            &[frame(FIN | PONG, ""), unmasked()],
        ),
        case("an answer of HTTP", &[b"HTTP/1.1 200 OK\r\n\r\n".to_vec()]),
        case("a request of HTTP", &[b"GET / HTTP/1.1\r\n\r\n".to_vec()]),
    ];
    for bit in [0x40, 0x20, 0x10, 0x70] {
        cases.push(case("reserved bits", &[frame(FIN | bit | TEXT, hello)]));
        cases.push(case(
            "reserved bits of a ping",
            &[frame(FIN | bit | PING, "")],
        ));
        let begun = frame(TEXT, hello);
        let last = frame(FIN | bit | CONTINUATION, hello);
        cases.push(case("reserved bits of a continuation", &[begun, last]));
    }
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        cases.push(case("a reserved opcode", &[frame(FIN | opcode, hello)]));
        cases.push(case("a reserved opcode, unfinished", &[frame(opcode, "")]));
    }
    check(cases, 1002).await;
}

/// Attack: frames that RFC 6455 forbids.
#[tokio::test]
async fn a_control_frame_is_short_and_in_one_piece() {
    let mut cases = Vec::new();
    for opcode in [PING, PONG, CLOSE] {
        cases.push(case("126 bytes", &[frame(FIN | opcode, [0x20; 126])]));
        cases.push(case("126 bytes, announced", &[header(FIN | opcode, 126)]));
        cases.push(case("64 KiB, announced", &[header(FIN | opcode, 65536)]));
        cases.push(case("unfinished", &[frame(opcode, "")]));
        let rest = frame(FIN | CONTINUATION, "b");
        cases.push(case("in two pieces", &[frame(opcode, "a"), rest]));
        let begun = frame(TEXT, "{");
        cases.push(case("unfinished in a message", &[begun, frame(opcode, "")]));
    }
    check(cases, 1002).await;
}

/// Attack: frames that RFC 6455 forbids.
#[tokio::test]
async fn frames_out_of_order_are_a_breach_of_the_protocol() {
    let (begun, last) = (|| frame(TEXT, "{"), || frame(FIN | CONTINUATION, "}"));
    let cases = vec![
        case("a last one of nothing", &[last()]),
        case("a middle one of nothing", &[frame(CONTINUATION, "x")]),
        case("an empty one of nothing", &[frame(FIN | CONTINUATION, "")]),
        case(
            "one more than there were",
            &[begun(), frame(FIN | PONG, ""), text("{}")],
        ),
        case("a text within a text", &[begun(), text("{}")]),
        case("the beginning of a text within a text", &[begun(), begun()]),
        case(
            "a binary within a text",
            &[begun(), frame(FIN | BINARY, "x")],
        ),
        case(
            "the beginning of a binary within a text",
            &[begun(), frame(BINARY, "x")],
        ),
    ];
    check(cases, 1002).await;
}

/// Attack: frames that RFC 6455 forbids.
#[tokio::test]
async fn a_length_is_written_in_the_shortest_form() {
    let long = |first: u8, length: &[u8], payload: &[u8]| {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        [&[first], length, &key, &*masked(payload)].concat()
    };
    let (two, eight) = (MASKED | 126, MASKED | 127);
    let cases = vec![
        ("2 bytes for 5", long(FIN | TEXT, &[two, 0, 5], b"hello")),
        ("2 bytes for 0", long(FIN | TEXT, &[two, 0, 0], b"")),
        (
            "2 bytes for 125",
            long(FIN | TEXT, &[two, 0, 125], &[b'x'; 125]),
        ),
        (
            "8 bytes for 5",
            long(FIN | TEXT, &[eight, 0, 0, 0, 0, 0, 0, 0, 5], b"hello"),
        ),
        (
            "8 bytes for 300",
            long(FIN | TEXT, &[eight, 0, 0, 0, 0, 0, 0, 1, 44], &[b'x'; 300]),
        ),
        (
            "a negative one",
            long(FIN | TEXT, &[eight, 0x80, 0, 0, 0, 0, 0, 0, 1], b"x"),
        ),
        (
            "the longest there is",
            long(
                FIN | TEXT,
                &[eight, 255, 255, 255, 255, 255, 255, 255, 255],
                b"",
            ),
        ),
    ];
    check(cases, 1002).await;
}

/// Attack: frames that RFC 6455 forbids.
#[tokio::test]
async fn a_goodbye_must_be_one_that_may_be_said() {
    let mut cases = vec![
        ("a code cut in half", frame(FIN | CLOSE, [0x03])),
        ("a reason that is not UTF-8", close(1000, [0xff])),
        ("half a character", close(1000, &"🦀".as_bytes()[..3])),
        ("a surrogate", close(1000, [0xed, 0xa0, 0x80])),
    ];
    // Reserved, forbidden on the wire, or nobody's.
    for code in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        cases.push(("a code that must not be sent", close(code, "")));
        cases.push((
            "a code that must not be sent, with a reason",
            close(code, "why"),
        ));
    }
    check(cases, 1002).await;
}

/// Attack: binary frames, and text that is no UTF-8.
#[tokio::test]
async fn binary_messages_are_not_understood() {
    let cases = vec![
        case("binary", &[frame(FIN | BINARY, br#"{"type":"ping"}"#)]),
        case("binary, empty", &[frame(FIN | BINARY, "")]),
        case(
            "binary in fragments",
            &[frame(BINARY, "a"), frame(FIN | CONTINUATION, "b")],
        ),
        case("the beginning of a binary", &[frame(BINARY, "")]),
        case(
            "binary, then something good",
            &[frame(FIN | BINARY, [0; 1000]), ping("")],
        ),
    ];
    check(cases, 1003).await;
}

/// Attack: binary frames, and text that is no UTF-8.
#[tokio::test]
async fn text_must_be_utf_8() {
    let mut cases = Vec::new();
    for bad in [
        &b"\xff"[..],
        b"\xc0\x80",         // NUL in two bytes
        b"\xed\xa0\x80",     // half of a surrogate pair
        b"\xf4\x90\x80\x80", // above the last code point
        b"\xf0\x9f\xa6",     // cut short
        b"{\"type\":\"ping\",\"data\":\"\x80\"}",
    ] {
        cases.push(case("in one frame", &[text(bad)]));
        let (first, rest) = bad.split_at(1);
        cases.push(case(
            "over two frames",
            &[fragments(&[first, rest]).concat()],
        ));
        cases.push(case(
            "in the last of three",
            &[fragments(&[&b""[..], b"{", bad]).concat()],
        ));
        let between = [
            frame(TEXT, bad),
            frame(FIN | PONG, ""),
            frame(FIN | CONTINUATION, ""),
        ];
        cases.push(case("in the first of two", &between));
    }
    let begun = [frame(TEXT, "{"), frame(CONTINUATION, b"\xf4\x90")];
    cases.push(case("and the rest never comes", &begun));
    check(cases, 1007).await;
}
