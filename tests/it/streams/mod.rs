//! Chapter 5 of the wire contract where it is about streams: how one is opened, and how it is gone on
//! with after a break, by its token, by its position or by its ticket.

mod breaks;
mod flood;
mod gapless;
mod gzip;
mod native;
mod opening;
mod positions;
mod refused;
mod replacing;
mod tokens;
