//! Where a message gets its id, and its place in the one order.
//!
//! There are two: [`Local`], for a hub that stands alone, and [`redis`], a log that any number of hubs share.
//! Either way the Hub takes messages over in the order of their ids, and only then are they delivered.
//! May use the domain, the wire and the configuration; what it says leaves through a channel.

mod local;
pub mod redis;

pub use local::Local;
