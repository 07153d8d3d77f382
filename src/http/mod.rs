//! Every route, the envelope, the one error table.
//!
//! `routes` is the one list of paths; handlers stand in a file by theme. Around them stand
//! `middleware` and `limit`; before them `access` decides who may ask, and `body` and `decode` read
//! what was asked; `reply` with its table in `code` is the only way to answer. `state` is what all
//! of them share. `openapi` describes all of it to programs.
//!
//! May use every room further in. Decides nothing about messages or sessions: it asks the hub.
//! Never writes a credential, a query string or a body to a log.

pub mod access;
mod alerts;
mod asked;
mod asset;
mod audit;
pub mod body;
pub mod client;
mod client_library;
pub mod code;
mod console;
pub mod decode;
pub mod endpoint;
mod events;
mod explain;
pub mod failed_resumes;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod health;
mod history;
mod idempotency;
mod kept;
pub mod limit;
pub mod middleware;
mod notifications;
mod openapi;
mod operators;
pub mod origin;
mod prometheus;
mod publish;
mod refusal;
pub mod reload;
pub mod reply;
mod routed;
pub mod routes;
mod rule_test;
mod rules;
mod silences;
pub mod state;
mod statistics;
pub mod status;
pub mod streams;
mod subscriptions;
mod tickets;
mod turns;
mod unread;
mod write;

#[cfg(test)]
mod tests;
