#![cfg(test)]
//! One hub of several, as the tests of one thing each start them.

use std::net::SocketAddr;

use crate::support::hub::Hub;

/// Over the Redis that is at `address`.
pub async fn start(address: SocketAddr, settings: &str) -> Hub {
    let url = format!("redis://{address}");
    let hub = Hub::with().env("REDIS_URL", &url).config(settings);
    hub.start().await
}
