//! The real program, spoken to by real clients over real sockets.

mod keys;
mod sources;
mod support;
