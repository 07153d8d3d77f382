//! What a WebSocket client may send, in whatever pieces it comes.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use actix_http::ws::{Codec, Frame, ProtocolError};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures::{Stream, stream};
use tokio_util::codec::Decoder;

use super::assembly::{Assembled, Assembly, close_answer, close_code_for};
use super::frame_guard::FrameGuard;
use crate::wire::websocket::Closing;

const FRAGMENTS_MAX: usize = 4;

/// What a connection makes of it.
#[derive(Debug, PartialEq)]
enum Heard {
    Text(ByteString),
    Ping(Bytes),
    Pong,
    /// Nothing after it is listened to.
    Closed(u16),
}

/// Two bytes of settings: the limit of a message, and how long the pieces are; then what is sent. It is heard
/// alike in whatever pieces, and as a reference hears it that has all of it before it.
pub fn frames(data: &[u8]) {
    let [limit, piece, sent @ ..] = data else {
        return;
    };
    let bytes_max = usize::from(*limit) * 2;
    let whole = heard(sent, sent.len().max(1), bytes_max);
    for piece in [1, usize::from(*piece).max(2)] {
        assert_eq!(heard(sent, piece, bytes_max), whole, "in pieces of {piece}");
    }
    assert_eq!(reference(sent, bytes_max), whole);
}

fn heard(sent: &[u8], piece: usize, bytes_max: usize) -> Vec<Heard> {
    let pieces = sent
        .chunks(piece)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)));
    let mut guard = FrameGuard::new(stream::iter(pieces), bytes_max);
    let verdict = guard.verdict();
    let mut codec = Codec::new().max_size(bytes_max);
    let mut assembly = Assembly::new(bytes_max, FRAGMENTS_MAX);
    let mut cx = Context::from_waker(Waker::noop());
    let (mut buffer, mut heard) = (BytesMut::new(), Vec::new());
    loop {
        match Pin::new(&mut guard).poll_next(&mut cx) {
            Poll::Ready(Some(bytes)) => buffer.extend_from_slice(&bytes.expect("no errors here")),
            Poll::Pending => {}
            Poll::Ready(None) => break,
        }
        let before = heard.len();
        loop {
            let said = match codec.decode(&mut buffer) {
                Ok(None) => break,
                Ok(Some(frame)) => say(frame, &mut assembly),
                Err(error) => Some(Heard::Closed(close_code_for(&error).code)),
            };
            heard.extend(said);
            if matches!(heard.last(), Some(Heard::Closed(_))) {
                return heard;
            }
        }
        assert!(heard.len() <= before + 1, "one frame at a time");
        assert!(
            buffer.len() <= bytes_max + 14,
            "no more than a frame is kept"
        );
    }
    let closing = verdict.get().map(|verdict| verdict.closing());
    heard.extend(closing.map(|closing| Heard::Closed(closing.code)));
    heard
}

fn say(frame: Frame, assembly: &mut Assembly) -> Option<Heard> {
    let assembled = match frame {
        Frame::Text(bytes) => match ByteString::try_from(bytes) {
            Ok(text) => assembly.text(text),
            Err(error) => {
                let error = std::io::Error::other(error.to_string());
                let closing = close_code_for(&ProtocolError::Io(error));
                return Some(Heard::Closed(closing.code));
            }
        },
        Frame::Binary(_) => assembly.binary(),
        Frame::Continuation(item) => assembly.fragment(item),
        Frame::Ping(payload) => return Some(Heard::Ping(payload)),
        Frame::Pong(_) => return Some(Heard::Pong),
        Frame::Close(reason) => return Some(Heard::Closed(close_answer(reason.as_ref()).code)),
    };
    match assembled {
        Assembled::Whole(text) => Some(Heard::Text(text)),
        Assembled::Pending => None,
        Assembled::Refused(closing) => Some(Heard::Closed(closing.code)),
    }
}

/// RFC 6455, section 5, over bytes that are all there.
fn reference(mut sent: &[u8], bytes_max: usize) -> Vec<Heard> {
    let mut heard = Vec::new();
    let mut message: Option<(Vec<u8>, usize)> = None;
    loop {
        let (first, payload) = match take(&mut sent, bytes_max) {
            Ok(Some(frame)) => frame,
            Ok(None) => return heard,
            Err(closing) => {
                heard.push(Heard::Closed(closing.code));
                return heard;
            }
        };
        let text = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) => Heard::Text(text.into()),
            Err(_) => Heard::Closed(Closing::NOT_UTF8.code),
        };
        let (is_last, opcode) = (first & 0x80 != 0, first & 0x0f);
        let said = match (opcode, message.take()) {
            (0x8, _) => Some(Heard::Closed(answer(&payload))),
            (0x9, kept) => {
                message = kept;
                Some(Heard::Ping(payload.into()))
            }
            (0xa, kept) => {
                message = kept;
                Some(Heard::Pong)
            }
            (0x1, None) if is_last => Some(text(payload)),
            (0x1, None) => gather(Vec::new(), 0, &payload, bytes_max, &mut message),
            (0x2, None) => Some(Heard::Closed(Closing::NOT_TEXT.code)),
            (0x0, Some((bytes, count))) => {
                let refused = gather(bytes, count, &payload, bytes_max, &mut message);
                match message.take_if(|_| is_last) {
                    Some((bytes, _)) => Some(text(bytes)),
                    None => refused,
                }
            }
            _ => Some(Heard::Closed(Closing::PROTOCOL_ERROR.code)),
        };
        heard.extend(said);
        if matches!(heard.last(), Some(Heard::Closed(_))) {
            return heard;
        }
    }
}

fn gather(
    mut bytes: Vec<u8>,
    count: usize,
    more: &[u8],
    bytes_max: usize,
    message: &mut Option<(Vec<u8>, usize)>,
) -> Option<Heard> {
    bytes.extend_from_slice(more);
    if bytes.len() > bytes_max || count == FRAGMENTS_MAX {
        return Some(Heard::Closed(Closing::TOO_BIG.code));
    }
    // A character may go on in the next fragment, and what is none may not.
    if str::from_utf8(&bytes).is_err_and(|error| error.error_len().is_some()) {
        return Some(Heard::Closed(Closing::NOT_UTF8.code));
    }
    *message = Some((bytes, count + 1));
    None
}

/// The first byte of a frame and its payload; `None` where it is not all there.
fn take(sent: &mut &[u8], bytes_max: usize) -> Result<Option<(u8, Vec<u8>)>, Closing> {
    let Some(first) = sent.first().copied() else {
        return Ok(None);
    };
    let is_control = first & 0x08 != 0;
    let is_known = matches!(first & 0x0f, 0x0..=0x2 | 0x8..=0xa);
    if first & 0x70 != 0 || !is_known || is_control && first & 0x80 == 0 {
        return Err(Closing::PROTOCOL_ERROR);
    }
    let Some(second) = sent.get(1).copied() else {
        return Ok(None);
    };
    let short = usize::from(second & 0x7f);
    if second & 0x80 == 0 || is_control && short > 125 {
        return Err(Closing::PROTOCOL_ERROR);
    }
    let (extended, least) = match short {
        126 => (2, 126),
        127 => (8, 1 << 16),
        _ => (0, 0),
    };
    let Some(digits) = sent.get(2..2 + extended) else {
        return Ok(None);
    };
    let length = match extended {
        0 => short as u64,
        _ => digits
            .iter()
            .fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    if length < least || length > i64::MAX as u64 {
        return Err(Closing::PROTOCOL_ERROR);
    }
    if length > bytes_max as u64 {
        return Err(Closing::TOO_BIG);
    }
    let (head, length) = (2 + extended, length as usize);
    let Some(frame) = sent.get(head..head + 4 + length) else {
        return Ok(None);
    };
    let (mask, payload) = frame.split_at(4);
    let payload = payload.iter().zip(mask.iter().cycle());
    let payload = payload.map(|(byte, mask)| byte ^ mask).collect();
    *sent = &sent[head + 4 + length..];
    Ok(Some((first, payload)))
}

/// What a close frame is answered with.
fn answer(payload: &[u8]) -> u16 {
    let (code, reason) = match payload {
        [] => return Closing::GOODBYE.code,
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        [_] => return Closing::PROTOCOL_ERROR.code,
    };
    let is_lawful = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    match is_lawful && str::from_utf8(reason).is_ok() {
        true => code,
        false => Closing::PROTOCOL_ERROR.code,
    }
}
