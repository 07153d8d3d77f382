//! Chapter 8 of the wire contract: every command, what it prints where, and how it ends. That
//! `check-token` takes a token or tells what is wrong with it is in the chapter on authentication.

mod audit;
mod backup;
mod check;
mod help;
mod manual;
mod publish;
mod serve;
mod tail;
mod token;

use std::net::SocketAddr;

use crate::support::hub::{Hub, Start};

/// A command and its words.
fn command(words: &[&str]) -> Start {
    words
        .iter()
        .fold(Hub::with(), |start, word| start.arg(word))
}

/// An address where nobody listens.
pub async fn nobody() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    listener.local_addr().expect("an address")
}
