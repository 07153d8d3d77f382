//! The WebSocket: what a client may say (the end of chapter 5 of the wire contract), and how a
//! connection ends (chapter 9).

mod closing;
mod commands;
mod fragments;
mod handshake;
mod pace;
mod signs_of_life;
mod sizes;
mod violations;

use crate::support::frames::RawWebSocket;
use crate::support::hub::Hub;
use crate::support::token;

/// A hub that serves everybody on one thread, so that whoever holds it up holds up all, with `more`
/// settings. Ended connections may take a moment to be noticed, and each test opens many.
async fn hub(more: &str) -> Hub {
    let config = format!("[http]\nworkers = 1\n{more}");
    let start = Hub::with().config(&config);
    start.env("MAX_CONNECTIONS_PER_USER", "1000").start().await
}

/// For tests of many frames that are not about their number.
const ANY_NUMBER: &str = "[websocket]\nmessages_per_second = 1000000\nmessage_burst = 1000000\n";

/// A connection past what opens it.
async fn opened(hub: &Hub) -> RawWebSocket {
    let mut client = hub
        .raw_websocket("?metrics=none", &token::admin("ada"))
        .await;
    client.opened().await;
    client
}
