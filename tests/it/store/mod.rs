//! What survives a restart, however the process ended.

mod crash;
mod database;
mod failures;
pub mod follower;
mod keys;
mod restart;
