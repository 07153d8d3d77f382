//! What the chapters have in common: the program as a child process, and clients for it.
//!
//! The clients wait for what must come and give up loudly after [`PATIENCE`], with what had come
//! until then, so that no test sleeps and none hangs. They take answers apart but judge only what
//! holds everywhere: the envelope, the framing, that a hub ends cleanly and logs no token.

#![allow(dead_code)] // Each chapter uses a part.

pub mod certificates;
pub mod command;
pub mod database;
pub mod either;
pub mod exposition;
pub mod frames;
pub mod http;
pub mod hub;
pub mod id;
pub mod jwks;
pub mod mariadb;
pub mod message;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod raw;
pub mod redis;
#[path = "../../sim/rng.rs"]
pub mod rng;
pub mod sse;
pub mod token;
pub mod tunnel;
pub mod websocket;
pub mod witness;

use std::future::Future;
use std::time::Duration;

/// Base path of the interface.
pub const A: &str = "/api/admin/analytics";

/// How long anything may take before its test has failed. Generous, because the machines that run
/// tests are busy; nothing waits it out but a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The same for a program to start, which may have more to do than answer: the demo writes three
/// days of a platform's past first.
pub const START_PATIENCE: Duration = Duration::from_secs(60);

/// What `future` gives, or a panic that names `what` was waited for in vain.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    within(PATIENCE, what, future).await
}

/// As [`in_time`], for what takes longer than anything else.
pub async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {limit:?} in vain for {what}"),
    }
}

/// Waits until `check` gives something, for conditions that nothing announces.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    check: impl FnMut() -> F,
) -> T {
    in_time(what, found(check)).await
}

/// What `check` gives once it gives something.
pub async fn found<T, F: Future<Output = Option<T>>>(mut check: impl FnMut() -> F) -> T {
    loop {
        if let Some(value) = check().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a variable says of how much of something there is to be.
pub fn number(variable: &str) -> Option<usize> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}
