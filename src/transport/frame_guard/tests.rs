//! What the frame guard lets through, in whatever pieces it arrives.

use super::*;
use actix_http::ws::{Codec, Frame, OpCode, Parser};
use bytes::BytesMut;
use futures::stream;
use proptest::prelude::*;
use tokio_util::codec::Decoder;

const LIMIT: usize = 70_000;

/// A client's frame, masked.
fn sent(op: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    Parser::write_message(&mut frame, payload, op, fin, true);
    frame.to_vec()
}

fn text(length: usize) -> Vec<u8> {
    sent(OpCode::Text, true, &vec![b'x'; length])
}

/// Sends `bytes` through the guard in pieces that end at `cuts`.
fn pass(bytes: &[u8], cuts: &[usize]) -> (Vec<Bytes>, Option<Verdict>) {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut pieces: Vec<Result<Bytes, PayloadError>> = Vec::new();
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    for cut in cuts {
        let at = cut.min(bytes.len()) - (bytes.len() - rest.len());
        pieces.push(Ok(rest.split_to(at)));
    }
    pieces.push(Ok(rest));
    let guard = FrameGuard::new(stream::iter(pieces), LIMIT);
    let verdict = guard.verdict();
    let passed: Vec<_> = futures::executor::block_on(guard.map(Result::unwrap).collect());
    (passed, verdict.get())
}

/// `bytes` are let through up to `lawful`, for `verdict`, however they are cut in two.
fn check(bytes: &[u8], lawful: usize, verdict: Option<Verdict>) {
    let all: Vec<_> = (0..bytes.len().min(40)).collect();
    for cuts in [vec![], all].into_iter().chain((0..40).map(|c| vec![c])) {
        let (passed, found) = pass(bytes, &cuts);
        let shown = &bytes[..bytes.len().min(20)];
        assert_eq!(passed.concat(), bytes[..lawful], "{shown:02x?} {cuts:?}");
        assert_eq!(found, verdict, "{shown:02x?} cut at {cuts:?}");
    }
}

#[test]
fn lawful_frames_pass_unchanged() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, LIMIT] {
        let bytes = text(length);
        check(&bytes, bytes.len(), None);
    }
    let bytes = [
        sent(OpCode::Text, false, b"frag"),
        sent(OpCode::Ping, true, &[7; 125]),
        sent(OpCode::Continue, false, b""),
        sent(OpCode::Pong, true, b""),
        sent(OpCode::Continue, true, b"mented"),
        sent(OpCode::Binary, true, b"judged later"),
        sent(OpCode::Close, true, b"\x03\xe8"),
    ]
    .concat();
    check(&bytes, bytes.len(), None);
}

/// Attack: oversized frames, and fragments without end.
#[test]
fn a_frame_that_announces_too_much_is_refused_from_its_header_alone() {
    for length in [LIMIT as u64 + 1, 1 << 30, 1 << 62, i64::MAX as u64] {
        let header = [&[0x81, 0xff][..], &length.to_be_bytes()].concat();
        check(&header, 9, Some(Verdict::TooBig));
    }
    let mut small = Headers::new(100);
    assert_eq!(
        small.feed(&[0x81, 0x80 | 101]),
        (1, End::Unlawful(Verdict::TooBig))
    );
    let mut small = Headers::new(300);
    assert_eq!(
        small.feed(&[0x81, 0xfe, 1, 45]),
        (3, End::Unlawful(Verdict::TooBig))
    );
}

/// Attack: frames that RFC 6455 forbids.
#[test]
fn what_a_client_must_not_send_is_refused_at_the_byte_that_says_it() {
    let mut unlawful: Vec<(Vec<u8>, usize)> = vec![
        (vec![0x81, 0x05], 1),             // not masked
        (vec![0x89, 0xfe], 1),             // ping with a two-byte length
        (vec![0x88, 0xff], 1),             // close with an eight-byte length
        (vec![0x09, 0x80], 0),             // ping in fragments
        (vec![0x08, 0x80], 0),             // close in fragments
        (vec![0x81, 0xfe, 0, 125], 3),     // two bytes where one would do
        (vec![0x82, 0xfe, 0, 0], 3),       // the same, nothing at all
        (vec![0x80, 0xfe, 0, 0, 1, 1], 3), // the same, with more behind it
    ];
    let wide = |length: u64| [&[0x81, 0xff][..], &length.to_be_bytes()].concat();
    unlawful.push((wide(65_535), 9)); // eight bytes where two would do
    unlawful.push((wide(1 << 63), 9)); // the top bit
    unlawful.push((wide(u64::MAX), 9));
    unlawful.extend([0x40, 0x20, 0x10, 0x70].map(|bits| (vec![0x81 | bits, 0x80], 0)));
    unlawful.extend(
        (0x3..=0x7)
            .chain(0xb..=0xf)
            .map(|op| (vec![0x80 | op, 0x80], 0)),
    );
    for (bytes, lawful) in unlawful {
        check(&bytes, lawful, Some(Verdict::Protocol));
        let behind = [text(5), bytes].concat();
        check(&behind, text(5).len() + lawful, Some(Verdict::Protocol));
    }
}

#[test]
fn the_codec_decodes_all_that_came_before_the_bad_frame() {
    let bytes = [text(3), sent(OpCode::Ping, true, b"?"), vec![0x81, 0x05]].concat();
    let (passed, _) = pass(&bytes, &[]);
    let (mut codec, mut bytes) = (Codec::new(), BytesMut::from(&*passed.concat()));
    let mut decoded = || codec.decode(&mut bytes).unwrap();
    assert_eq!(decoded(), Some(Frame::Text("xxx".into())));
    assert_eq!(decoded(), Some(Frame::Ping("?".into())));
    assert_eq!(decoded(), None, "half a header is no frame");
}

#[test]
fn a_gathered_flood_goes_through_one_frame_at_a_time() {
    let flood = Bytes::from(text(0).repeat(1000));
    let mut guard = FrameGuard::new(stream::iter([Ok(flood)]), LIMIT);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    for _ in 0..1000 {
        let Poll::Ready(Some(Ok(frame))) = guard.poll_next_unpin(&mut cx) else {
            panic!("no frame");
        };
        assert_eq!(frame.len(), 6);
        assert!(guard.poll_next_unpin(&mut cx).is_pending());
    }
    assert!(matches!(guard.poll_next_unpin(&mut cx), Poll::Ready(None)));
}

#[test]
fn what_passes_is_not_copied() {
    let bytes = Bytes::from([text(100), text(200)].concat());
    let range = bytes.as_ptr_range();
    let guard = FrameGuard::new(stream::iter([Ok(bytes)]), LIMIT);
    let passed: Vec<_> = futures::executor::block_on(guard.collect());
    for frame in passed {
        assert!(range.contains(&frame.unwrap().as_ptr()));
    }
}

#[test]
fn a_failing_socket_is_the_end_and_no_verdict() {
    let broken = [
        Ok(Bytes::from(text(1))),
        Err(PayloadError::Incomplete(None)),
    ];
    let guard = FrameGuard::new(stream::iter(broken), LIMIT);
    let verdict = guard.verdict();
    let passed: Vec<_> = futures::executor::block_on(guard.collect());
    assert_eq!(passed.len(), 1);
    assert_eq!(verdict.get(), None);
}

/// Frames of all kinds and garbage, in any order.
fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let op = prop::sample::select(vec![
        OpCode::Text,
        OpCode::Binary,
        OpCode::Continue,
        OpCode::Ping,
        OpCode::Close,
    ]);
    let length = prop_oneof![0..300usize, 65_530..65_540usize, Just(LIMIT + 1)];
    let frame = (op, any::<bool>(), length).prop_map(|(op, fin, n)| sent(op, fin, &vec![7; n]));
    let piece = prop_oneof![6 => frame, 1 => prop::collection::vec(any::<u8>(), 0..12)];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn however_it_is_cut_the_same_passes_for_the_same_reason(
        bytes in traffic(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        let (whole, verdict) = pass(&bytes, &[]);
        let (cut, cut_verdict) = pass(&bytes, &cuts);
        prop_assert_eq!(whole.concat(), cut.concat());
        prop_assert_eq!(verdict, cut_verdict);
        prop_assert!(bytes.starts_with(&whole.concat()));
        prop_assert_eq!(verdict.is_none(), whole.concat().len() == bytes.len());
    }

    #[test]
    fn the_codec_finds_no_fault_with_a_header_that_passed(bytes in traffic()) {
        let passed = pass(&bytes, &[]).0.concat();
        let mut passed = BytesMut::from(&*passed);
        let mut before = passed.len() + 1;
        while passed.len() < before {
            before = passed.len();
            prop_assert!(Parser::parse(&mut passed, true, LIMIT).is_ok());
        }
    }
}
