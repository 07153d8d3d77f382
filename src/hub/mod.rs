//! The Hub actor, a thin shell over the domain, and its per-worker fan-out.
//!
//! `actor` is the one central Hub, with `requests` what it is asked from outside, `publishing` how a
//! message gets into the log and on its way, and `store` what outlives the process: it receives, reads
//! the clock, asks the domain and carries out what the domain says (`effects`). Each worker thread of
//! the HTTP server has a `fanout` actor with that worker's connections; the Hub tells it everything in
//! one order, so nothing can fall between a snapshot and the first live message. `connection` is one
//! live stream as the fan-out sees it, on a `line` to its client, `due` which of them have something to write, `gather` how
//! that becomes one write, and `packer` how it is compressed once for all who take gzip. `worker` is how a stream comes to be, `handle` how everybody else asks the
//! Hub something.
//!
//! May use the domain, the wire, the broker, the store, telemetry and the settings. Knows sockets only as
//! lines that take bytes and can be hung up, and HTTP not at all.

mod abort;
mod actor;
mod canary;
mod clock;
mod connection;
mod due;
mod effects;
mod fanout;
mod follow;
mod gather;
mod handle;
mod line;
mod messages;
mod meter;
mod packer;
mod promise;
mod publishing;
mod requests;
mod shared;
mod store;
mod worker;

pub use abort::abort_on_panic;
pub use actor::Hub;
pub use clock::Clock;
pub use connection::{Connection, Takes};
pub use follow::Following;
pub use handle::{Error, HubHandle};
pub use line::Line;
pub use messages::{Chosen, Overview, Renewed};
pub use promise::Promise;
pub use shared::{About, Node, Reached, Shared, SharedLog, follow};
pub use store::{StoreLink, restored};
pub use worker::{Client, Lingering, Registration, Stream, Wanted, Worker};
