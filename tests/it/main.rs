//! The real program, spoken to by real clients over real sockets.

mod authentication;
mod bench;
mod endpoints;
mod envelope;
mod keys;
mod sources;
mod subscriptions;
mod support;
