#![cfg(test)]
//! One hub of several, as the tests of one thing each start them.

use std::net::SocketAddr;

use crate::support::hub::{Hub, Start};

/// Over the Redis that is at `address`.
pub fn with(address: SocketAddr, settings: &str) -> Start {
    let url = format!("redis://{address}");
    Hub::with().env("REDIS_URL", &url).config(settings)
}

/// As [`with`], and it is there.
pub async fn start(address: SocketAddr, settings: &str) -> Hub {
    with(address, settings).start().await
}
