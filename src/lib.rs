//! statshub: a real-time hub that streams live admin statistics to dashboards.
//!
//! The rooms, innermost first; each imports only from layers above its own, never sideways:
//!
//! 1. [`domain`]: pure, what the hub decides. No actix, no I/O, no clock.
//! 2. [`wire`]: bytes to domain and back. [`config`]: file, environment and flags to checked settings.
//!    [`trace`]: spans for OpenTelemetry, in builds that have them.
//! 3. [`telemetry`]: log, audit trail, Prometheus. [`auth`]: who is asking. [`broker`]: where a message
//!    gets its id. [`store`]: what survives a restart. [`source`]: where metrics come from.
//!    [`aggregate`]: what is summed up of them and of events. [`demo`]: the simulated platform.
//!    [`load`]: the load generator.
//! 4. [`hub`]: the Hub actor, a thin shell over the domain, and its per-worker fan-out.
//! 5. [`transport`]: one actor per connection, and the bytes' way onto the wire. [`rules`]: alert rules at work, and who
//!    is notified.
//! 6. [`http`]: every route, the envelope, the one error table.
//! 7. [`app`]: the composition root.
//! 8. [`cli`]: the command line.
//! 9. `fuzz`: every room's fuzz targets; not in the program.

pub mod aggregate;
pub mod app;
pub mod auth;
pub mod broker;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod http;
pub mod hub;
pub mod load;
pub mod rules;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod trace;
pub mod transport;
pub mod wire;
