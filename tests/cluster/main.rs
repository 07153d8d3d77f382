//! Several hubs that act as one, with real Redis servers and everything going wrong between them.

mod checker;
mod clients;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod details;
mod failures;
mod faults;
#[cfg(test)]
mod faults_tests;
mod front;
mod hubs;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod log;
mod member;
#[cfg(test)]
mod moved;
#[cfg(test)]
mod partition;
mod plans;
mod publishers;
mod ran;
mod record;
mod redis;
#[cfg(test)]
mod rules;
mod run;
mod scenario;
mod servers;
#[cfg(test)]
mod sources;
#[path = "../it/support/mod.rs"]
mod support;
mod world;
