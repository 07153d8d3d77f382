//! What survives a restart, however the process ended.

mod crash;
mod database;
mod failures;
mod follower;
mod keys;
mod restart;
