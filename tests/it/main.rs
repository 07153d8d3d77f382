//! The real program, spoken to by real clients over real sockets.

mod aggregates;
mod alerting;
mod authentication;
mod balancing;
mod bench;
mod buffering;
mod command_line;
mod demo;
mod doctor;
mod documents;
mod endpoints;
mod envelope;
mod history;
mod hostile;
mod keys;
mod messages;
mod operations;
mod settings;
mod sources;
mod store;
mod streams;
mod subscriptions;
mod support;
mod takeover;
mod tls;
mod websocket;
