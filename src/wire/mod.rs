//! Bytes to domain and back: JSON once, SSE framing, its chunks and its gzip, what a WebSocket client may say.
//!
//! Knows both sides' forms and decides nothing. May use the domain; never reads a clock, never does
//! I/O. The one random thing it makes is the `messageId` of a notice, which the wire contract wants
//! random.

pub mod chunk;
pub mod command;
mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod gzip;
pub mod hex;
pub mod json;
pub mod line_protocol;
pub mod message;
pub mod notice;
pub mod patch;
pub mod pick;
pub mod view;
pub mod websocket;

#[cfg(test)]
mod tests;
