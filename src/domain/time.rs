//! The two clocks, read outside and passed in.

use std::time::Duration;

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch. May jump; used for ids, time stamps and token expiry.
    pub wall_ms: u64,
    /// Time since the hub started. Never jumps; used for every time limit.
    pub mono: Duration,
}
