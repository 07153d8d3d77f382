//! The audit trail: who did what, from where, and with which outcome; one JSON line an event.
//!
//! `event` says what is recorded and how it is written, `trail` is the handle and its queue, `repeats` what
//! is told as a `sum`, `sink` the file. A [`Keeper`], which another room provides, gets everything too.
//! Recording never waits and never fails; what could not be kept is counted, and the loss is itself an event
//! in the trail.

mod event;
mod queue;
mod repeats;
mod sink;
mod sum;
mod trail;

pub use event::{Action, Event, Outcome, Record};
pub use trail::{Audit, AuditState, Keeper, QUEUE_EVENTS_MAX};
