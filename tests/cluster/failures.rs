//! What is broken on purpose, and for how long it was.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::record::Millis;

pub struct Failures {
    began: Instant,
    /// What is broken now, and since when.
    open: BTreeMap<String, Millis>,
    over: Vec<(Millis, Millis)>,
}

impl Failures {
    pub fn since(began: Instant) -> Self {
        Self {
            began,
            open: BTreeMap::new(),
            over: Vec::new(),
        }
    }

    pub fn now(&self) -> Millis {
        u64::try_from(self.began.elapsed().as_millis()).expect("a short time")
    }

    pub fn begins(&mut self, what: impl Into<String>) {
        let now = self.now();
        self.open.entry(what.into()).or_insert(now);
    }

    pub fn ends(&mut self, what: &str) {
        if let Some(since) = self.open.remove(what) {
            self.over.push((since, self.now()));
        }
    }

    /// One that is over at once.
    pub fn happens(&mut self) {
        let now = self.now();
        self.over.push((now, now));
    }

    /// Everything is mended.
    pub fn end_all(&mut self) {
        let now = self.now();
        let open = std::mem::take(&mut self.open);
        self.over
            .extend(open.into_values().map(|since| (since, now)));
    }

    /// From when to when.
    pub fn all(&self) -> &[(Millis, Millis)] {
        &self.over
    }
}
