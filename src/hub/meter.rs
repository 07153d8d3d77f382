//! What one worker counts, readable from any thread.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::telemetry::latency::Latency;

/// One worker's counts since the start, and what it has at hand.
#[derive(Debug, Default)]
pub struct Meter {
    /// Bytes of messages that the Hub has handed over and the worker has not fanned out yet.
    undelivered_bytes: AtomicUsize,
    streams: AtomicUsize,
    delivered: AtomicU64,
    pub latency: Latency,
}

impl Meter {
    pub fn handed_over(&self, bytes: usize) {
        self.undelivered_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn fanned_out(&self, bytes: usize) {
        self.undelivered_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub fn undelivered_bytes(&self) -> usize {
        self.undelivered_bytes.load(Ordering::Relaxed)
    }

    pub fn opened(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub fn closed(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }

    /// Streams that are open or being opened.
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    pub fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages handed to sockets.
    pub fn delivered_total(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }
}
