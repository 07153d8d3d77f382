//! What leaves the hub, read as a client reads it.

mod goodbye;
mod json;
mod message;
mod notice;
