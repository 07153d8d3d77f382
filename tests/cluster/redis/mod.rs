//! Several servers that belong together, made of those that all tests have.

pub mod nodes;
pub mod sentinel;
mod tests;

pub use crate::support::redis::{Redis, Start, resp};
