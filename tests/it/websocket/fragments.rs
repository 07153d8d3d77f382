//! Messages in several frames, frames in several pieces, and control frames in between.

use serde_json::json;

use super::{ANY_NUMBER, hub, opened};
use crate::support::frames::{
    CONTINUATION, FIN, PONG, RawWebSocket, TEXT, close, fragments, frame, ping, text,
};

const SUBSCRIBE: &str = r#"{"type":"subscribe","data":{"metrics":["a.b","c.*"]}}"#;
const UNSUBSCRIBE: &str = r#"{"type":"unsubscribe","data":{"metrics":["a.b","c.*"]}}"#;

async fn check_subscribed(client: &mut RawWebSocket) {
    let message = client.next().await;
    assert_eq!(message["type"], "subscribed", "{message}");
    assert_eq!(message["data"]["metrics"], json!(["none", "a.b", "c.*"]));
    client.send(text(UNSUBSCRIBE)).await;
    assert_eq!(client.next().await["type"], "unsubscribed");
}

#[tokio::test]
async fn a_message_is_the_same_wherever_it_is_cut_into_fragments() {
    let hub = hub(ANY_NUMBER).await;
    let mut client = opened(&hub).await;
    for cut in 0..=SUBSCRIBE.len() {
        let (first, last) = SUBSCRIBE.split_at(cut);
        client.send(fragments(&[first, last]).concat()).await;
        check_subscribed(&mut client).await;
        client
            .send(fragments(&["", first, "", last, ""]).concat())
            .await;
        check_subscribed(&mut client).await;
    }
    let bytes: Vec<&[u8]> = SUBSCRIBE.as_bytes().chunks(1).collect();
    client.send(fragments(&bytes).concat()).await;
    check_subscribed(&mut client).await;
}

#[tokio::test]
async fn a_character_may_be_split_over_fragments() {
    let hub = hub("").await;
    let mut client = opened(&hub).await;
    let message = "{\"type\":\"ping\",\"data\":\"🦀\"}".as_bytes();
    let crab = message
        .iter()
        .position(|byte| *byte > 0x7f)
        .expect("a crab");
    for cut in crab..=crab + 4 {
        client
            .send(fragments(&[&message[..cut], &message[cut..]]).concat())
            .await;
        assert_eq!(client.next().await["type"], "pong", "cut at {cut}");
    }
}

#[tokio::test]
async fn a_frame_is_the_same_in_whatever_pieces_it_arrives() {
    let hub = hub(ANY_NUMBER).await;
    let mut client = opened(&hub).await;
    for byte in text(SUBSCRIBE) {
        client.send([byte]).await;
    }
    check_subscribed(&mut client).await;
    // The length in two bytes, and a message in more than one read of the hub's.
    let long = format!(r#"{{"type":"ping","data":"{}"}}"#, "x".repeat(60_000));
    let frames = [text(&long), text(&long), text(SUBSCRIBE)].concat();
    for piece in frames.chunks(1009) {
        client.send(piece).await;
    }
    assert_eq!(client.next().await["type"], "pong");
    assert_eq!(client.next().await["type"], "pong");
    check_subscribed(&mut client).await;
}

#[tokio::test]
async fn a_ping_is_answered_with_what_it_carries() {
    let hub = hub(ANY_NUMBER).await;
    let mut client = opened(&hub).await;
    let all: Vec<u8> = (0..=255).collect();
    for length in 0..=125 {
        for payload in [&all[..length], &all[256 - length..]] {
            client.send(ping(payload)).await;
            let frame = client.next_frame().await.expect("a pong");
            assert_eq!((frame.opcode, &*frame.payload), (PONG, payload));
        }
    }
}

#[tokio::test]
async fn control_frames_may_come_between_fragments_and_are_answered_at_once() {
    let hub = hub("").await;
    let mut client = opened(&hub).await;
    client.send(frame(TEXT, &SUBSCRIBE[..9])).await;
    client.answers().await;
    client.send(frame(FIN | PONG, "nobody asked")).await;
    client.send(frame(CONTINUATION, &SUBSCRIBE[9..20])).await;
    client.answers().await;
    client.answers().await;
    let rest = frame(FIN | CONTINUATION, &SUBSCRIBE[20..]);
    client.send([ping("1"), rest, ping("2")].concat()).await;
    let first = client.next_frame().await.expect("a pong");
    assert_eq!((first.opcode, &*first.payload), (PONG, &b"1"[..]));
    check_subscribed(&mut client).await;
}

#[tokio::test]
async fn a_pong_that_nobody_asked_for_is_not_answered() {
    let hub = hub("").await;
    let mut client = opened(&hub).await;
    client.send(frame(FIN | PONG, "")).await;
    client.send(frame(FIN | PONG, [0xff; 125])).await;
    client.answers().await;
}

#[tokio::test]
async fn a_goodbye_between_fragments_ends_the_connection_and_drops_the_message() {
    let hub = hub("").await;
    let mut client = opened(&hub).await;
    let rest = frame(FIN | CONTINUATION, &SUBSCRIBE[9..]);
    let frames = [
        frame(TEXT, &SUBSCRIBE[..9]),
        close(1000, ""),
        rest,
        ping(""),
    ];
    client.send(frames.concat()).await;
    let end = client.ended().await;
    assert_eq!(end.code(), Some(1000), "{end:?}");
    assert_eq!(end.frames, []);
}

#[tokio::test]
async fn nothing_in_several_frames_is_an_empty_message() {
    let hub = hub("").await;
    let mut client = opened(&hub).await;
    client.send(fragments(&["", "", ""]).concat()).await;
    assert_eq!(client.next().await["data"]["code"], "invalid_message");
}
