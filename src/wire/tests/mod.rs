//! What leaves the hub, read as a client reads it.

mod json;
mod message;
mod notice;
