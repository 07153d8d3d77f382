//! The load generator behind `statshub bench`: very many readers and a publisher, in one thread.
//!
//! It must never be what limits a measurement, so it has none of what makes a client comfortable:
//! one loop over non-blocking sockets, one read for all that has come to a socket, no allocation and
//! no JSON for a message. It knows nothing of the hub but its public interface (`dialect`), and a few
//! other ways to subscribe besides, so that the same program measures other servers too.
//!
//! Uses no other room: addresses and tokens come in ready made. It judges nothing; [`Report`] says
//! what was seen.
//!
//! `run` is the story and `mode` its chapters; `readers` are the connections (`reader` one of them),
//! `publisher` what is sent, `metrics` who gets what of it, `tally` the books. `payload`, `head`, `chunked`, `frames` and `unpacked` read bytes.

mod chunked;
mod clock;
mod dialect;
mod endpoint;
mod frames;
mod framing;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod head;
mod latency;
mod metrics;
mod mode;
mod pace;
mod payload;
mod plan;
mod publisher;
mod reader;
mod readers;
mod received;
mod report;
mod run;
mod socket;
mod tally;
mod unpacked;

pub use endpoint::Endpoint;
pub use latency::Quantiles;
pub use metrics::Metrics;
pub use payload::BYTES_MIN as PAYLOAD_BYTES_MIN;
pub use plan::{Dialect, Mode, Pace, Plan, Transport};
pub use report::{Progress, Report};

/// Does what `plan` says and tells `observer` now and then how far it is.
///
/// # Errors
/// Whatever keeps the measurement from being made, with what to do about it. What only spoils it,
/// such as messages that never arrive, is in the report.
pub fn run(plan: &Plan, observer: &mut dyn FnMut(Progress)) -> anyhow::Result<Report> {
    run::Run::new(plan, observer)?.measure()
}
