//! statshub: a real-time hub that streams live admin statistics to dashboards.
//!
//! The rooms, innermost first; each imports only from those above it:

/// The composition root: builds, starts, reloads and drains everything.
pub mod app;
/// Who is asking: tokens, keys, tickets.
pub mod auth;
/// Where a message gets its id.
pub mod broker;
/// The command line.
pub mod cli;
/// File, environment and flags to checked settings.
pub mod config;
/// The simulated school platform behind `statshub demo`.
pub mod demo;
/// Pure: what the hub decides. No actix, no I/O, no clock.
pub mod domain;
/// Every route, the envelope, the one error table.
pub mod http;
/// The Hub actor, a thin shell over the domain, and its per-worker fan-out.
pub mod hub;
/// Where metrics come from: host, hub, SQL, HTTP.
pub mod source;
/// Logging with credentials masked, the audit trail, Prometheus.
pub mod telemetry;
/// One actor per connection, and the bytes' way onto the wire.
pub mod transport;
/// Bytes to domain and back: JSON once, SSE framing, what a WebSocket client may say.
pub mod wire;
