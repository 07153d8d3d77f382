//! Chapter 1 of the wire contract: every answer is in the envelope, and every refusal is a row of its
//! table. The clients in `support` hold each answer of every other chapter to the envelope too.

mod inputs;
mod limits;
mod refusals;
mod routes;
