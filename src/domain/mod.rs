//! What the hub decides, as plain values: no actix, no I/O, no clock.

pub mod message;
pub mod pattern;
