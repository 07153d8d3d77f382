//! The real program, spoken to by real clients over real sockets.

mod authentication;
mod endpoints;
mod envelope;
mod hostile;
mod keys;
mod sources;
mod subscriptions;
mod support;
mod websocket;
