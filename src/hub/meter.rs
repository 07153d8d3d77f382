//! What one worker counts, readable from any thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::domain::message::Transport;
use crate::domain::outbox::Outgoing;
use crate::domain::time::Now;
use crate::telemetry::delivered::{Delivered, Growing};
use crate::telemetry::latency::Latency;

/// One worker's counts since the start, and what it has at hand.
#[derive(Debug, Default)]
pub struct Meter {
    /// Bytes of messages that the Hub has handed over and the worker has not fanned out yet.
    undelivered_bytes: AtomicUsize,
    streams: AtomicUsize,
    patching: AtomicUsize,
    delivered: Growing,
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

    /// One more stream is sent what changes.
    pub fn patching_begins(&self) {
        self.patching.fetch_add(1, Ordering::Relaxed);
    }

    pub fn patching_ends(&self) {
        self.patching.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether any stream is sent what changes.
    pub fn is_patching(&self) -> bool {
        self.patching.load(Ordering::Relaxed) > 0
    }

    /// Streams that are open or being opened.
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Messages handed to sockets.
    pub fn delivered(&self) -> Delivered {
        self.delivered.now()
    }
}

/// What is handed to sockets in one go, at one time by the clock: counted here first, because a
/// count that other threads read costs more than all else there is to do for one delivery.
pub struct Pass<'a> {
    pub now: Now,
    meter: &'a Meter,
    delivered: Delivered,
    /// Messages that took as long as the one before, which those of one publish do.
    alike: u64,
    latency: Duration,
}

impl<'a> Pass<'a> {
    pub fn new(meter: &'a Meter, now: Now) -> Self {
        Self {
            now,
            meter,
            delivered: Delivered::default(),
            alike: 0,
            latency: Duration::ZERO,
        }
    }

    pub fn handed_over(&mut self, piece: &Outgoing, transport: Transport) {
        if let Some(priority) = piece.priority {
            self.delivered.count(transport, priority);
        }
        let Some(published_at) = piece.published_at else {
            return;
        };
        let latency = self.now.mono.saturating_sub(published_at);
        if latency != self.latency {
            self.tell_latency();
            self.latency = latency;
        }
        self.alike += 1;
    }

    fn tell_latency(&mut self) {
        if self.alike > 0 {
            let alike = std::mem::take(&mut self.alike);
            self.meter.latency.record_many(self.latency, alike);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.tell_latency();
        self.meter.delivered.add(&self.delivered);
    }
}
