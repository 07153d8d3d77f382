//! What the fan-out knows of a socket.

use std::io::{self, IoSlice};

/// The hold on a connection that works also when its client has stopped reading.
pub trait Line {
    /// Ends the connection in both directions at once.
    fn hang_up(&self);

    /// Reads what a write is going to need, so that it is there.
    fn touch(&self) {}

    /// Hands as much as it takes to the socket, without waiting; returns how many bytes that was.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where it takes nothing at the moment; the others are final.
    fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;
}
