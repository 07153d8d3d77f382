//! The real program, spoken to by real clients over real sockets.

mod authentication;
mod command_line;
mod demo;
mod endpoints;
mod envelope;
mod keys;
mod operations;
mod settings;
mod sources;
mod subscriptions;
mod support;
