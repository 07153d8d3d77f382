//! The real program, spoken to by real clients over real sockets.

mod authentication;
mod buffering;
mod endpoints;
mod envelope;
mod keys;
mod messages;
mod sources;
mod streams;
mod subscriptions;
mod support;
