//! Several hubs that act as one, with real Redis servers and everything going wrong between them.

#![allow(dead_code)]
mod checker;
mod faults;
#[cfg(test)]
mod faults_tests;
mod ports;
mod record;
mod redis;
#[path = "../it/support/mod.rs"]
mod support;
