//! What the hub decides, as plain values: no actix, no I/O, no clock.
//!
//! The hub is a log and many cursors. [`history`] is the log; a [`session`] is a token, a user, a
//! subscription and a position in it; what a client missed is computed from the two when it is
//! needed ([`backlog`]). [`hub`] decides, and names the invariants; [`fanout`] is one worker's share
//! of the delivery, [`outbox`] what waits for one connection.
//!
//! May use: nothing of this crate. Never: reads a clock, draws a random number, does I/O, knows how
//! anything is encoded.

pub mod aggregate;
pub mod alert;
pub mod backlog;
pub mod expression;
pub mod fanout;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod history;
pub mod hub;
pub mod losses;
pub mod message;
pub mod notice;
pub mod outbox;
pub mod pattern;
pub mod priority;
pub mod routing;
pub mod rule;
pub mod series;
pub mod session;
pub mod subscription;
#[cfg(test)]
mod testing;
pub mod time;
pub mod view;
