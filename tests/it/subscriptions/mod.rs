//! Chapter 4 of the wire contract: what a connection receives, and how that is changed.

mod bounds;
mod changes;
mod patterns;
mod requests;
mod views;
