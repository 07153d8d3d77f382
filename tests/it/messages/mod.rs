//! Chapter 3 of the wire contract: the messages on a stream, their form, their order, and what a
//! quiet or an ending stream says.

mod endings;
mod framing;
mod ids;
mod injection;
mod quiet;
mod slow;
mod snapshot;
mod types;
