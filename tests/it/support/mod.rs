//! What the chapters have in common: the program as a child process, and clients for it.
//!
//! The clients wait for what must come and give up loudly after [`PATIENCE`], with what had come
//! until then, so that no test sleeps and none hangs. They take answers apart but judge only what
//! holds everywhere: the envelope, the framing, that a hub ends cleanly and logs no token.

#![allow(dead_code)] // Each chapter uses a part.

pub mod command;
pub mod either;
pub mod exposition;
pub mod frames;
pub mod http;
pub mod hub;
pub mod id;
pub mod jwks;
pub mod mariadb;
pub mod message;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod raw;
#[path = "../../sim/rng.rs"]
pub mod rng;
pub mod sse;
pub mod token;
pub mod websocket;
pub mod witness;

use std::future::Future;
use std::time::Duration;

/// Base path of the interface.
pub const A: &str = "/api/admin/analytics";

/// How long anything may take before its test has failed. Generous, because the machines that run
/// tests are busy; nothing waits it out but a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What `future` gives, or a panic that names `what` was waited for in vain.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// Waits until `check` gives something, for conditions that nothing announces.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut check: impl FnMut() -> F,
) -> T {
    in_time(what, async {
        loop {
            if let Some(value) = check().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}
