//! (front door)

pub mod websocket;
