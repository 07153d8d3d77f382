//! Chapter 7 of the wire contract: what each variable of the environment does, as seen from outside,
//! what goes over what, and how a mistake is told.

mod layers;
mod mistakes;
mod process;
mod realtime;
mod sessions;
