//! Pings of the hub's, and what becomes of those who do not answer.

use std::time::Duration;

use futures::join;

use super::opened;
use crate::support::frames::{FIN, PING, PONG, RawWebSocket, frame, text};
use crate::support::hub::Hub;

/// Short enough to wait for a few, and long enough to answer within two on a busy machine.
const INTERVAL: Duration = Duration::from_millis(500);

async fn hub() -> Hub {
    let millis = INTERVAL.as_millis().to_string();
    Hub::with()
        .env("WEBSOCKET_PING_INTERVAL", &millis)
        .start()
        .await
}

/// Reads up to the next ping and gives what it carries.
async fn pinged(client: &mut RawWebSocket) -> Vec<u8> {
    loop {
        let frame = client.next_frame().await.expect("a ping");
        if frame.opcode == PING {
            return frame.payload;
        }
    }
}

/// Says something at each ping, for twice as long as one may be silent, and is still listened to.
async fn check_stays(hub: &Hub, say: impl Fn(Vec<u8>) -> Vec<u8>) {
    let mut client = opened(hub).await;
    for _ in 0..4 {
        let payload = pinged(&mut client).await;
        client.send(say(payload)).await;
    }
    client.send(text(r#"{"type":"ping"}"#)).await;
    while client.next().await["type"] != "pong" {}
}

/// Attack: a WebSocket that is opened and then silent.
#[tokio::test]
async fn the_hub_pings_and_drops_who_is_silent_for_two_intervals_but_not_who_answers() {
    let hub = hub().await;
    let silence = async {
        let mut client = opened(&hub).await;
        let end = client.ended().await;
        assert!(end.count(PING) >= 1, "it was asked first: {end:?}");
    };
    join!(
        silence,
        check_stays(&hub, |payload| frame(FIN | PONG, payload))
    );
}

#[tokio::test]
async fn whatever_a_client_says_is_a_sign_of_life() {
    let hub = hub().await;
    join!(
        check_stays(&hub, |_| frame(FIN | PONG, "another")),
        check_stays(&hub, |_| frame(FIN | PING, "")),
        check_stays(&hub, |_| text("nonsense")),
    );
}

/// Attack: a WebSocket that is opened and then silent.
#[tokio::test]
async fn half_a_frame_is_no_sign_of_life() {
    let hub = hub().await;
    let mut client = opened(&hub).await;
    let frame = text(r#"{"type":"ping"}"#);
    client.send(&frame[..frame.len() - 1]).await;
    client.ended().await;
}

#[tokio::test]
async fn a_session_that_was_dropped_for_its_silence_can_be_resumed() {
    let hub = hub().await;
    let ada = crate::support::token::admin("ada");
    let mut client = hub.raw_websocket("?metrics=a", &ada).await;
    let notice = client.opened().await;
    client.ended().await;
    let missed = hub.api(&ada).publish("a", serde_json::json!(1)).await;
    let reconnect_token = notice["data"]["reconnectToken"].as_str().expect("a token");
    let query = format!("?reconnectToken={reconnect_token}");
    let mut again = hub.websocket(&query, &ada).await;
    assert_eq!(again.opened().await["type"], "reconnection_successful");
    assert_eq!(again.next().await["messageId"], *missed);
}
