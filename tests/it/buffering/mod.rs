//! Chapter 6 of the wire contract: what a session that is away or slow still gets, what it is told
//! of the rest, and that neither costs the others anything.
//!
//! What is random comes from a seed, which a failure shows; `BUFFERING_SEED=7` begins there.

mod away;
mod bytes;
mod churn;
mod drops;
mod evictions;
mod flood;
mod gauges;
mod journal;
mod model;
mod positions;
mod session;
mod slow;
mod stalled;
mod stuck;
mod trail;

use std::ops::Range;

/// So many seeds.
fn seeds(count: u64) -> Range<u64> {
    let first = std::env::var("BUFFERING_SEED").map_or(Ok(1), |text| text.parse());
    let first = first.expect("BUFFERING_SEED is a number");
    first..first + count
}

/// Shows its seed where a test fails while it is in use.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- to see this again: BUFFERING_SEED={}", self.0);
        }
    }
}
