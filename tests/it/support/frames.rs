//! WebSocket frames byte by byte, lawful or not, over a bare socket: a client that sends what it is
//! told to and answers nothing by itself.

use serde_json::Value;

use super::hub::Hub;
use super::raw::{Head, RawClient};
use super::sse::bearer;
use super::{A, in_time};

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;
/// The last frame of its message, or the only one.
pub const FIN: u8 = 0x80;
pub const MASKED: u8 = 0x80;

const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A whole frame of a client. `first` is its first byte: opcode, FIN, reserved bits.
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend_from_slice(&MASKING_KEY);
    bytes.extend_from_slice(&masked(payload));
    bytes
}

/// The beginning of a client's frame that announces `length` bytes, without its masking key.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    match length {
        0..=125 => vec![first, MASKED | length as u8],
        126..=0xffff => [&[first, MASKED | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, MASKED | 127][..], &length.to_be_bytes()].concat(),
    }
}

pub fn masked(payload: &[u8]) -> Vec<u8> {
    let key = MASKING_KEY.iter().cycle();
    payload
        .iter()
        .zip(key)
        .map(|(byte, key)| byte ^ key)
        .collect()
}

/// A whole text message in one frame.
pub fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | TEXT, payload)
}

pub fn ping(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | PING, payload)
}

pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
}

/// One text message in a frame for each of `parts`, of which there are at least two.
pub fn fragments<T: AsRef<[u8]>>(parts: &[T]) -> Vec<Vec<u8>> {
    let last = parts.len() - 1;
    let first = |nth: usize| match nth {
        0 => TEXT,
        nth if nth == last => FIN | CONTINUATION,
        _ => CONTINUATION,
    };
    let parts = parts.iter().enumerate();
    parts.map(|(nth, part)| frame(first(nth), part)).collect()
}

/// A frame of the hub's, which is always a whole one.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// What came up to the end of a connection.
#[derive(Debug, Default)]
pub struct End {
    pub frames: Vec<Received>,
    /// `None`: it ended without a close frame.
    pub closed: Option<(u16, String)>,
}

pub struct RawWebSocket {
    pub head: Head,
    connection: RawClient,
}

impl Hub {
    /// A connection of which nothing has been read but the answer to its upgrade.
    pub async fn raw_websocket(&self, query: &str, token: &str) -> RawWebSocket {
        let request = upgrade(query, &format!("Authorization: {}\r\n", bearer(token)));
        self.raw_websocket_with(request).await
    }

    /// As [`Self::raw_websocket`], with a whole request and perhaps more behind it.
    pub async fn raw_websocket_with(&self, request: impl AsRef<[u8]>) -> RawWebSocket {
        let mut connection = RawClient::connect(self.address).await;
        connection.send(request).await;
        let head = connection.head().await.expect("an answer to the upgrade");
        assert_eq!(head.status, 101, "{head:?}");
        RawWebSocket { head, connection }
    }
}

/// A request to upgrade; `headers` are whole lines.
pub fn upgrade(query: &str, headers: &str) -> String {
    format!(
        "GET {A}/websocket{query} HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

impl RawWebSocket {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.send(bytes).await;
    }

    /// The next frame, control frames included; `None` at the end.
    pub async fn next_frame(&mut self) -> Option<Received> {
        in_time("a frame of the hub's", async {
            loop {
                if let Some((frame, length)) = parse(&self.connection.pending) {
                    self.connection.pending.drain(..length);
                    return Some(frame);
                }
                if !self.connection.read_more().await {
                    return None;
                }
            }
        })
        .await
    }

    /// The next message, past pings and pongs.
    pub async fn next(&mut self) -> Value {
        loop {
            match self.next_frame().await {
                Some(frame) if frame.opcode == TEXT => return frame.message(),
                Some(frame) if matches!(frame.opcode, PING | PONG) => {}
                other => panic!("no message but {other:?}"),
            }
        }
    }

    /// Past what opens every new session. Gives the notice.
    pub async fn opened(&mut self) -> Value {
        let notice = self.next().await;
        assert_eq!(notice["type"], "connection_established");
        assert_eq!(self.next().await["type"], "initial_metrics");
        notice
    }

    /// Reads to the end; the socket stays open on this side. Nothing may come after a close frame.
    pub async fn ended(&mut self) -> End {
        let mut end = End::default();
        while let Some(frame) = self.next_frame().await {
            assert_eq!(end.closed, None, "{frame:?} after the close frame");
            match frame.opcode {
                CLOSE => end.closed = Some(frame.closing()),
                _ => end.frames.push(frame),
            }
        }
        let torn = &self.connection.pending;
        assert!(torn.is_empty(), "half a frame at the end: {torn:?}");
        end
    }

    /// Holds it to being open and in order: it answers a ping before anything else.
    pub async fn answers(&mut self) {
        self.send(ping("are you there")).await;
        let frame = self.next_frame().await.expect("a pong");
        assert_eq!(
            (frame.opcode, &*frame.payload),
            (PONG, &b"are you there"[..])
        );
    }

    /// Ends this side, as a client does that has gone.
    pub async fn finish(&mut self) {
        self.connection.finish().await;
    }
}

impl Received {
    pub fn message(&self) -> Value {
        assert_eq!(self.opcode, TEXT, "{self:?}");
        serde_json::from_slice(&self.payload).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The code of a close frame.
    pub fn code(&self) -> u16 {
        self.closing().0
    }

    fn closing(&self) -> (u16, String) {
        let (code, reason) = self.payload.split_at_checked(2).expect("a close code");
        let reason = String::from_utf8(reason.to_vec()).expect("a reason in UTF-8");
        (u16::from_be_bytes([code[0], code[1]]), reason)
    }
}

impl End {
    pub fn code(&self) -> Option<u16> {
        self.closed.as_ref().map(|(code, _)| *code)
    }

    /// The messages before the end.
    pub fn messages(&self) -> Vec<Value> {
        let texts = self.frames.iter().filter(|frame| frame.opcode == TEXT);
        texts.map(Received::message).collect()
    }

    pub fn count(&self, opcode: u8) -> usize {
        self.frames
            .iter()
            .filter(|frame| frame.opcode == opcode)
            .count()
    }
}

/// The frame at the beginning of `bytes`, and its length; `None` while it is not all there.
fn parse(bytes: &[u8]) -> Option<(Received, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(
        first & 0xf0,
        FIN,
        "whole and without extensions: {first:#x}"
    );
    assert_eq!(second & MASKED, 0, "what a server sends is not masked");
    let (from, length) = match second {
        126 => (
            4,
            u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(),
        ),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, short.into()),
    };
    let to = from + usize::try_from(length).expect("a length");
    let payload = bytes.get(from..to)?.to_vec();
    let opcode = first & 0x0f;
    Some((Received { opcode, payload }, to))
}

#[test]
fn frames_are_as_in_the_examples_of_the_rfc() {
    assert_eq!(
        text("Hello"),
        b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    );
    assert_eq!(header(FIN | BINARY, 256), b"\x82\xfe\x01\x00");
    assert_eq!(header(FIN | BINARY, 65536), b"\x82\xff\0\0\0\0\0\x01\0\0");
    assert_eq!(fragments(&["", "", ""]).concat()[0], TEXT);
    let hello = b"\x81\x05Hello\x81";
    for cut in 0..7 {
        assert_eq!(parse(&hello[..cut]), None, "{cut}");
    }
    let (frame, length) = parse(hello).expect("a frame");
    assert_eq!(
        (frame.opcode, &*frame.payload, length),
        (TEXT, &b"Hello"[..], 7)
    );
}
