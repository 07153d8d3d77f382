//! A published message, encoded once.
use crate::domain::message::*;
use crate::domain::time::Now;
/// What is to be published, with nothing left open.
#[derive(Debug, Clone)]
pub struct Publication {
    pub topic: Topic,
    pub data: Json,
    pub priority: Priority,
    pub retain: Retain,
}
/// Encodes.
pub fn encode(_id: MessageId, _publication: Publication, _now: Now) -> Message {
    todo!()
}
