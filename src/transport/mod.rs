//! One actor per connection, and the bytes' way onto the wire.
//!
//! A connection actor (`sse`, `ws`) owns the life cycle of its stream and the control traffic; it
//! holds no timer and no policy, because actix polls it only while its client reads. What is sent
//! never passes its mailbox. A stream begins as a response `body`, which takes what waits straight
//! from the connection's queue; where it can, it hands the socket over to a driver of our own
//! (`detached`, waiting with the `reactor`), and the fan-out writes there itself. `socket` is the hold on a connection that works
//! even when its client has stopped reading, `sockets` all of them, within what the `descriptors` allow. What a WebSocket client sends goes
//! through `handshake`, comes by `incoming`, and then through `frame_guard`, `pace` and `assembly`.
//!
//! May use the hub, the wire, authentication (for tokens renewed on a live stream), the audit trail
//! and the settings. Knows no routes.

mod assembly;
mod body;
pub mod commands;
pub mod descriptors;
mod detached;
mod frame_guard;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handshake;
mod incoming;
mod pace;
mod reactor;
pub mod socket;
pub mod sockets;
pub mod sse;
pub mod tls;
pub mod ws;
