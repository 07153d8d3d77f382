//! Who is asking: where a credential may be, whether a token is good, what its bearer may do.
//!
//! A request's credential is found by `credential::find`, a token in it judged by
//! `Authenticator::verify`, a ticket exchanged by `Tickets::take`; what the bearer may do is
//! `Authenticator::access`.
//!
//! May use domain and config. Never answers a request, never asks the hub, and never writes a token,
//! a ticket or a key anywhere: a `Reason` names the claim that is wrong, not its value.

pub mod authenticator;
pub mod credential;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod jwks;
pub mod keys;
mod secrets;
pub mod ticket;
pub mod token;

pub use authenticator::{Access, Authenticator, KeyState};
pub use credential::{Credential, Endpoint, Problem, Source, www_authenticate};
pub use secrets::signing_secret;
pub use ticket::{TakenTicket, TicketHash, Tickets};
pub use token::{Identity, Reason, Refusal, sign_hs256};

#[cfg(test)]
mod tests;
