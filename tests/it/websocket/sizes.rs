//! 1009: what is too big is refused when it is announced, before any of it is kept.

use futures::future::join_all;

use super::{ANY_NUMBER, hub, opened};
use crate::support::frames::{
    BINARY, CONTINUATION, FIN, PONG, RawWebSocket, TEXT, fragments, frame, header, text,
};
use crate::support::hub::Hub;
use crate::support::witness::Witness;

const BYTES_MAX: usize = 64 * 1024;
const FRAGMENTS_MAX: usize = 128;

/// A message that is answered with a pong, of so many bytes.
fn message_of(bytes: usize) -> String {
    let empty = r#"{"type":"ping","data":""}"#.len();
    format!(
        r#"{{"type":"ping","data":"{}"}}"#,
        "x".repeat(bytes - empty)
    )
}

async fn check_pong(client: &mut RawWebSocket, what: &str) {
    let message = client.next().await;
    assert_eq!(message["type"], "pong", "{what}: {message}");
}

async fn check_too_big(hub: &Hub, bytes: Vec<u8>, what: &str) {
    let mut client = opened(hub).await;
    client.send(bytes).await;
    let end = client.ended().await;
    assert_eq!(end.code(), Some(1009), "{what}: {end:?}");
    assert_eq!(end.frames, [], "{what}");
}

/// Attack: oversized frames, and fragments without end.
#[tokio::test]
async fn a_message_of_64_kib_is_taken_and_one_byte_more_is_not() {
    let hub = hub(ANY_NUMBER).await;
    let mut witness = Witness::of(&hub).await;
    let mut client = opened(&hub).await;
    let largest = message_of(BYTES_MAX);
    client.send(text(&largest)).await;
    check_pong(&mut client, "in one frame").await;
    let halves: Vec<&[u8]> = largest.as_bytes().chunks(BYTES_MAX / 2).collect();
    client.send(fragments(&halves).concat()).await;
    check_pong(&mut client, "in two").await;

    let larger = message_of(BYTES_MAX + 1);
    check_too_big(&hub, text(&larger), "in one frame").await;
    let pieces: Vec<&[u8]> = larger.as_bytes().chunks(BYTES_MAX / 2).collect();
    check_too_big(&hub, fragments(&pieces).concat(), "over fragments").await;
    let all_but_the_last = fragments(&[&*largest, "x", "x"]);
    check_too_big(&hub, all_but_the_last[..2].concat(), "and not finished").await;
    witness.is_undisturbed().await;
}

/// Attack: oversized frames, and fragments without end.
#[tokio::test]
async fn a_frame_that_is_too_big_is_refused_by_what_it_announces() {
    let hub = hub("").await;
    let mut witness = Witness::of(&hub).await;
    let lengths = [
        BYTES_MAX as u64 + 1,
        1 << 20,
        1 << 32,
        1 << 40,
        1 << 62,
        i64::MAX as u64,
    ];
    let tried = lengths.map(async |length| {
        let what = format!("{length} bytes");
        // Neither key nor payload are sent.
        check_too_big(&hub, header(FIN | TEXT, length), &what).await;
        check_too_big(&hub, header(TEXT, length), &what).await;
        check_too_big(&hub, header(FIN | BINARY, length), &what).await;
        let begun = [frame(TEXT, "{"), header(CONTINUATION, length)].concat();
        check_too_big(&hub, begun, &what).await;
    });
    join_all(tried).await;
    hub.is_at_rest().await;
    witness.is_undisturbed().await;
}

/// Attack: oversized frames, and fragments without end.
#[tokio::test]
async fn a_message_has_128_fragments_at_most_however_little_is_in_them() {
    let hub = hub(ANY_NUMBER).await;
    let mut client = opened(&hub).await;
    let message = message_of(FRAGMENTS_MAX);
    let bytes: Vec<&[u8]> = message.as_bytes().chunks(1).collect();
    assert_eq!(bytes.len(), FRAGMENTS_MAX);
    for _ in 0..2 {
        client.send(fragments(&bytes).concat()).await;
        check_pong(&mut client, "so many").await;
    }
    let one_more = fragments(&vec![""; FRAGMENTS_MAX + 1]);
    check_too_big(&hub, one_more.concat(), "one more").await;
    let without_end = fragments(&vec![""; 10_000])[..9_999].concat();
    check_too_big(&hub, without_end, "and no end").await;
    client.answers().await;
}

#[tokio::test]
async fn the_limits_are_settings() {
    let settings = "[websocket]\nmessage_bytes_max = 2048\nfragments_max = 2\n";
    let hub = hub(settings).await;
    let mut client = opened(&hub).await;
    client.send(text(message_of(2048))).await;
    check_pong(&mut client, "as large as may be").await;
    client
        .send(fragments(&["{\"type\":", "\"ping\"}"]).concat())
        .await;
    check_pong(&mut client, "as many as may be").await;
    check_too_big(&hub, header(FIN | TEXT, 2049), "larger").await;
    check_too_big(&hub, fragments(&["", "", ""]).concat(), "more").await;
}

/// Sends for as long as the hub takes it, up to 64 MiB.
async fn stream(client: &mut RawWebSocket, piece: &[u8]) {
    for _ in 0..(64 << 20) / piece.len() {
        client.send(piece).await;
    }
}

/// Attack: oversized frames, and fragments without end.
#[tokio::test]
async fn what_is_streamed_on_regardless_is_not_kept() {
    let hub = hub("").await;
    let mut witness = Witness::of(&hub).await;
    let before = hub.memory();
    let piece = vec![b'x'; 256 * 1024];
    for begin in [
        header(FIN | TEXT, 1 << 30),
        header(FIN | BINARY, 1 << 62),
        header(FIN | PONG, 1 << 30),
        frame(FIN | BINARY, ""),
    ] {
        let mut client = opened(&hub).await;
        client.send(begin).await;
        stream(&mut client, &piece).await;
        let grown = hub.memory().saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes more");
        witness.is_undisturbed().await;
    }
    hub.is_at_rest().await;
}
