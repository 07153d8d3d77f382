//! What the hub tells its operators: the log, the audit trail, latencies, and the Prometheus text.
//!
//! May use the domain's plain values and the settings. Knows nothing of actors, requests or
//! sessions: others hand it events and numbers. Never delays or fails whom it listens to, never
//! reads the clock where a time can be an argument, and never writes a credential.

pub mod aggregates;
pub mod alerting;
pub mod audit;
pub mod counters;
pub mod delivered;
mod exposition;
pub mod latency;
pub mod log;
pub mod mask;
pub mod process;
pub mod prometheus;
pub mod requests;
mod sources;
pub mod standing;
pub mod throttle;
mod window;
