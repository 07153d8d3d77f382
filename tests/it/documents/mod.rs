//! What describes the interface is what the hub does: the OpenAPI document, the AsyncAPI document, and
//! the reference of codes.

mod alerting;
mod answers;
mod commands;
mod openapi;
mod page;
mod reference;
mod schema;
mod streams;

pub use streams::check_message;
