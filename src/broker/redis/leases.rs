//! Which sources this hub reads: each is read by one hub at a time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The right to read a source, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Above that of everybody who read it before.
    pub fence: u64,
    /// When it was last read, by whomever; `None`: never.
    pub read_at: Option<Instant>,
    ends: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The hub stops, and says no more that it is there.
    is_stopped: bool,
    wanted: Vec<String>,
    /// Results that are told by one hub.
    results: Vec<String>,
    /// Wanted whatever the sources are.
    always: Vec<String>,
    held: HashMap<String, Lease>,
}

impl Leases {
    /// From now on these are wanted.
    pub fn want(&self, sources: Vec<String>) {
        self.lock().wanted = sources;
    }

    /// And of the results these.
    pub fn want_results(&self, metrics: Vec<String>) {
        self.lock().results = metrics;
    }

    /// And this, besides.
    pub fn want_always(&self, what: &str) {
        self.lock().always.push(what.to_owned());
    }

    pub fn wanted(&self) -> Vec<String> {
        let inner = self.lock();
        let wanted = inner.wanted.iter().chain(&inner.results);
        wanted.chain(&inner.always).cloned().collect()
    }

    /// What Redis said about each: the fence, 0 where another hub has it, and how many milliseconds ago it was
    /// read.
    pub fn renewed(&self, sources: &[String], numbers: &[i64], ends: Instant) {
        let now = Instant::now();
        let lease = |pair: &[i64]| {
            let fence = u64::try_from(*pair.first()?)
                .ok()
                .filter(|fence| *fence > 0)?;
            let ago = u64::try_from(*pair.get(1)?).ok().map(Duration::from_millis);
            Some(Lease {
                fence,
                read_at: ago.and_then(|ago| now.checked_sub(ago)),
                ends,
            })
        };
        let held = sources.iter().zip(numbers.chunks(2));
        let held = held.filter_map(|(source, pair)| Some((source.clone(), lease(pair)?)));
        self.lock().held = held.collect();
    }

    /// Nothing is held any more once what is held has run out: Redis cannot be asked.
    pub fn lost(&self) {
        let now = Instant::now();
        self.lock().held.retain(|_, lease| lease.ends > now);
    }

    /// From now on nothing is held nor wanted.
    pub fn stop(&self) {
        *self.lock() = Inner {
            is_stopped: true,
            ..Inner::default()
        };
    }

    pub fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    /// The lease of a source, where this hub has it at this moment.
    pub fn held(&self, source: &str) -> Option<Lease> {
        let lease = self.lock().held.get(source).copied();
        lease.filter(|lease| lease.ends > Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
