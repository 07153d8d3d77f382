//! Notices.
use crate::domain::message::*;
use crate::domain::notice::*;
use crate::domain::outbox::Outgoing;
use std::time::Duration;
/// A live message in the bytes of a transport.
pub fn live(_message: &Message, _transport: Transport) -> Outgoing {
    todo!()
}
/// Pieces after the opening.
pub fn pieces(_pieces: &[Piece], _transport: Transport, _wall_ms: u64) -> Vec<Outgoing> {
    todo!()
}
/// The first pieces of a stream.
pub fn opening(
    _pieces: &[Piece],
    _transport: Transport,
    _through: MessageId,
    _retry: Duration,
    _wall_ms: u64,
) -> Vec<Outgoing> {
    todo!()
}
/// Last words.
pub fn goodbye(_goodbye: Goodbye, _transport: Transport, _wall_ms: u64) -> Vec<Outgoing> {
    todo!()
}
pub fn cursor(_through: MessageId) -> Outgoing {
    todo!()
}
pub fn comment() -> Outgoing {
    todo!()
}
pub fn heartbeat(_transport: Transport, _wall_ms: u64) -> Outgoing {
    todo!()
}
