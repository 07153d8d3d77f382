//! Several hubs that act as one, with real Redis servers and everything going wrong between them.

#![allow(dead_code)]
mod faults;
#[cfg(test)]
mod faults_tests;
mod ports;
mod redis;
#[path = "../it/support/mod.rs"]
mod support;
