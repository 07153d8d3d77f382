use std::time::Duration;

use actix_http::ws::OpCode;
use serde_json::{Value, json};

use super::notice::{BOTH, NOW_MS, frame, read};
use crate::domain::message::Transport;
use crate::domain::notice::Goodbye;
use crate::wire::notice::*;

#[test]
fn last_words_say_why_and_whether_to_come_back() {
    const DAY_MS: u64 = 86_400_000;
    let check = |end: Goodbye, kind: &str, fields: Value, retry: Option<u64>, code: u16| {
        let priority = if kind == "error" { "critical" } else { "high" };
        for transport in BOTH {
            let outgoing = goodbye(end, transport, NOW_MS);
            let said = read(&outgoing[0], transport);
            let message = said.message();
            assert_eq!((message.kind, message.priority), (kind, priority));
            let data = said.data();
            assert!(data["message"].is_string(), "{end:?}");
            for (field, value) in fields.as_object().unwrap() {
                assert_eq!(&data[field], value);
            }
            assert_eq!(said.id, None);
            assert!(outgoing.iter().all(|piece| piece.position.is_none()));
            match transport {
                Transport::Sse => {
                    assert_eq!(outgoing.len(), 1, "one event");
                    assert_eq!(said.retry, retry);
                }
                Transport::Websocket => {
                    assert_eq!(outgoing.len(), 2);
                    let (opcode, payload) = frame(&outgoing[1]);
                    assert_eq!(opcode, OpCode::Close);
                    assert_eq!(payload[..2], code.to_be_bytes());
                }
            }
        }
    };
    let error = |code: &str| json!({"code": code});
    check(
        Goodbye::Replaced,
        "connection_replaced",
        json!({}),
        Some(DAY_MS),
        4001,
    );
    check(
        Goodbye::TokenExpired,
        "error",
        error("token_expired"),
        None,
        4401,
    );
    check(
        Goodbye::Disconnected,
        "error",
        error("disconnected"),
        Some(DAY_MS),
        4403,
    );
    let reconnect_in = Duration::from_millis(1234);
    check(
        Goodbye::Shutdown { reconnect_in },
        "server_shutdown",
        json!({"reconnectInMs": 1234}),
        Some(1234),
        1001,
    );
    check(
        Goodbye::TooManyMessages,
        "error",
        error("rate_limited"),
        None,
        1008,
    );
    check(Goodbye::Trouble, "error", error("internal"), None, 1011);
}
