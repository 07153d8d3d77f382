//! What a WebSocket client receives: frames encoded once, and the table of close codes.
//!
//! The server's frames are not masked (RFC 6455, section 5.1), so one encoded frame is the same
//! bytes for every client and can be shared by all of them.

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};

/// Longest payload of a control frame in bytes (RFC 6455, section 5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// Longest reason in a close frame: what two bytes of status code leave of a control frame.
const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// Why the hub closes a WebSocket: a status code and a few words for whoever debugs the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    pub code: u16,
    pub reason: &'static str,
}

/// The table of close codes. What a client should do on each is said in `docs/reference.md`.
impl Closing {
    /// The client said goodbye.
    pub const GOODBYE: Self = Self::new(1000, "");
    pub const HUB_STOPPING: Self = Self::new(1001, "the hub is stopping");
    pub const PROTOCOL_ERROR: Self = Self::new(1002, "protocol error");
    pub const NOT_TEXT: Self = Self::new(1003, "only text messages are understood");
    pub const NOT_UTF8: Self = Self::new(1007, "a text message must be UTF-8");
    pub const TOO_MANY_MESSAGES: Self = Self::new(1008, "too many messages");
    pub const TOO_BIG: Self = Self::new(1009, "the message is too big");
    pub const TOO_MANY_FRAGMENTS: Self = Self::new(1009, "the message has too many fragments");
    pub const INTERNAL_ERROR: Self = Self::new(1011, "internal error");
    pub const OVERLOADED: Self = Self::new(1013, "the hub is overloaded");
    pub const REPLACED: Self = Self::new(4001, "the session was resumed elsewhere");
    pub const TOKEN_EXPIRED: Self = Self::new(4401, "the token has expired");
    pub const DISCONNECTED: Self = Self::new(4403, "disconnected by an operator");

    /// In the order of their codes.
    pub const ALL: [Self; 13] = [
        Self::GOODBYE,
        Self::HUB_STOPPING,
        Self::PROTOCOL_ERROR,
        Self::NOT_TEXT,
        Self::NOT_UTF8,
        Self::TOO_MANY_MESSAGES,
        Self::TOO_BIG,
        Self::TOO_MANY_FRAGMENTS,
        Self::INTERNAL_ERROR,
        Self::OVERLOADED,
        Self::REPLACED,
        Self::TOKEN_EXPIRED,
        Self::DISCONNECTED,
    ];

    pub const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason }
    }

    /// The close frame that says so.
    pub fn frame(self) -> Bytes {
        close_frame(self.code, self.reason)
    }
}

/// One whole text message. `payload` is UTF-8, which the caller vouches for.
pub fn text_frame(payload: &[u8]) -> Bytes {
    frame(OpCode::Text, payload)
}

/// A ping. Of `payload` at most the first 125 bytes are sent.
pub fn ping_frame(payload: &[u8]) -> Bytes {
    control_frame(OpCode::Ping, payload)
}

/// The answer to a ping, which carries the ping's own payload.
pub fn pong_frame(payload: &[u8]) -> Bytes {
    control_frame(OpCode::Pong, payload)
}

/// A close frame. Of `reason` as many whole characters are sent as fit into 123 bytes.
pub fn close_frame(code: u16, reason: &str) -> Bytes {
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    control_frame(
        OpCode::Close,
        &[&code.to_be_bytes(), reason.as_bytes()].concat(),
    )
}

fn control_frame(op: OpCode, payload: &[u8]) -> Bytes {
    frame(op, &payload[..payload.len().min(CONTROL_BYTES_MAX)])
}

fn frame(op: OpCode, payload: &[u8]) -> Bytes {
    let mut encoded = BytesMut::new();
    Parser::write_message(&mut encoded, payload, op, true, false);
    encoded.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::{Message, Role};

    /// What a client that is not actix makes of `frame`.
    async fn read(frame: Bytes) -> Message {
        let (mut hub, client) = tokio::io::duplex(1 << 20);
        tokio::io::AsyncWriteExt::write_all(&mut hub, &frame)
            .await
            .unwrap();
        let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        client.next().await.unwrap().unwrap()
    }

    #[actix::test]
    async fn a_client_reads_the_text_that_was_encoded() {
        for (length, header_bytes) in [
            (0, 2),
            (1, 2),
            (125, 2),
            (126, 4),
            (65_535, 4),
            (65_536, 10),
        ] {
            let text = "x".repeat(length);
            let frame = text_frame(text.as_bytes());
            assert_eq!(frame.len(), header_bytes + length);
            assert_eq!(read(frame).await, Message::text(text), "{length} bytes");
        }
    }

    #[actix::test]
    async fn pings_and_pongs_are_cut_to_what_a_control_frame_holds() {
        for (length, sent) in [(0, 0), (125, 125), (126, 125), (70_000, 125)] {
            let payload = vec![b'p'; length];
            let expected = payload[..sent].to_vec();
            assert_eq!(
                read(ping_frame(&payload)).await,
                Message::Ping(expected.clone().into())
            );
            assert_eq!(
                read(pong_frame(&payload)).await,
                Message::Pong(expected.into())
            );
        }
    }

    #[actix::test]
    async fn a_close_reason_is_cut_between_characters() {
        let check = async |reason: &str, expected: &str| {
            let Message::Close(Some(close)) = read(close_frame(4401, reason)).await else {
                panic!("no close frame");
            };
            assert_eq!(u16::from(close.code), 4401);
            assert_eq!(close.reason.as_str(), expected);
        };
        check("", "").await;
        check("the token has expired", "the token has expired").await;
        check(&"x".repeat(123), &"x".repeat(123)).await;
        check(&"x".repeat(124), &"x".repeat(123)).await;
        check(&"é".repeat(62), &"é".repeat(61)).await;
        let filled = "x".repeat(120);
        check(&format!("{filled}🦀"), &filled).await;
    }

    #[actix::test]
    async fn every_close_code_of_ours_is_one_a_client_accepts() {
        for closing in Closing::ALL {
            let Message::Close(Some(close)) = read(closing.frame()).await else {
                panic!("{closing:?} makes no close frame");
            };
            assert_eq!(u16::from(close.code), closing.code);
            assert_eq!(
                close.reason.as_str(),
                closing.reason,
                "cut short, so too long"
            );
        }
    }
}
