//! What the program can do only where it was built for it: `cargo test --features http2,otel --test features`.
//!
//! All in one program, so that it is built once more and not once more for each feature.

#[path = "../it/support/mod.rs"]
mod support;
mod traces;
