//! The handle that everybody records through, and the thread that writes.
//!
//! A mutex held for one push, rather than a channel: so the queue, what it lost and the wish to
//! reopen or close change together, and the line that tells of a loss stands just where it happened.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::event::{Action, Event, Record};
use super::queue::Queue;
use super::repeats::Shares;
use super::sink::Sink;
use crate::config;

/// Events that wait to be written; one more is counted as lost.
pub const QUEUE_EVENTS_MAX: usize = 8192;
/// How long after a failure writing is tried again. Meanwhile events wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Keeps the trail once more, elsewhere than in its file. What ails the one is nothing to the other.
pub trait Keeper: Debug + Send {
    /// Takes the first of `records`, as many as there is room for, without waiting. Returns how many.
    fn keep(&self, records: Vec<Record>) -> usize;
}

/// What the trail has to say about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditState {
    /// Lines written since the start.
    pub written: u64,
    /// Events that were not kept: the queue was full, or the trail was closed.
    pub lost: u64,
    /// Failed attempts to write or open.
    pub errors: u64,
    /// Why nothing can be written just now; `None` while all is well.
    pub last_error: Option<String>,
    /// Events that the keeper did not take. The next that it takes tells of them.
    pub not_kept: u64,
}

/// A handle on the audit trail. Clones record to the same trail.
#[derive(Debug, Clone)]
pub struct Audit {
    /// `None`: switched off.
    trail: Option<Arc<Trail>>,
}

#[derive(Debug)]
struct Trail {
    capacity: usize,
    queue: Mutex<Queue>,
    wake: Condvar,
    ended: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Opens the file and starts the writer. Switched off, it records nothing and all is well.
    ///
    /// # Errors
    /// The file cannot be opened (the text names it), or the thread not started. A failure later on
    /// is no error to anybody: it shows in [`Audit::state`] and, once, in the log.
    pub fn start(settings: &config::Audit) -> io::Result<Self> {
        if !settings.enabled {
            return Ok(Self::disabled());
        }
        let sink = Sink::open(settings.file.clone())?;
        let audit = Self::waiting(QUEUE_EVENTS_MAX, settings.into());
        audit.write_to(sink)?;
        Ok(audit)
    }

    /// Records nothing.
    pub fn disabled() -> Self {
        Self { trail: None }
    }

    /// Takes events, and writes none before [`Audit::write_to`].
    fn waiting(capacity: usize, shares: Shares) -> Self {
        Self {
            trail: Some(Arc::new(Trail {
                capacity,
                queue: Mutex::new(Queue::new(shares)),
                wake: Condvar::new(),
                ended: Condvar::new(),
                thread: Mutex::default(),
            })),
        }
    }

    fn write_to(&self, sink: Sink) -> io::Result<()> {
        let Some(trail) = &self.trail else {
            return Ok(());
        };
        let writer = Writer {
            trail: trail.clone(),
            sink,
            pending: VecDeque::new(),
            pending_lost: 0,
            keeper: None,
            not_kept: 0,
            failed_at: None,
        };
        let thread = std::thread::Builder::new().name("audit".into());
        let thread = thread.spawn(move || writer.run())?;
        *trail.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Hands the event over; never waits for the disk and never fails. When the queue is full, or
    /// the trail closed, the event is counted as lost. What somebody does very often becomes part of a sum.
    pub fn record(&self, event: Event) {
        let Some(trail) = &self.trail else {
            return;
        };
        let now = Instant::now();
        let mut queue = trail.lock();
        if event.action == Action::Stop {
            // What came before it stands before it.
            queue.tell_all(now);
        }
        queue.push(event, trail.capacity, now);
        let is_idle = queue.is_idle();
        drop(queue);
        // Sums are told when they are due, without a word.
        if !is_idle {
            trail.wake.notify_one();
        }
    }

    /// From now on everything goes to `keeper` too.
    pub fn keep_in(&self, keeper: impl Keeper + 'static) {
        if let Some(trail) = &self.trail {
            trail.lock().keeper = Some(Box::new(keeper));
            trail.wake.notify_one();
        }
    }

    /// Opens the file anew, for whoever rotates it and says so by SIGHUP. (One who does not is
    /// noticed at the next event.) Also ends the wait after a failure.
    pub fn reopen(&self) {
        if let Some(trail) = &self.trail {
            trail.lock().reopen = true;
            trail.wake.notify_one();
        }
    }

    /// For health and metrics.
    pub fn state(&self) -> AuditState {
        let trail = self.trail.as_ref();
        trail.map_or_else(AuditState::default, |trail| trail.lock().state.clone())
    }

    /// Writes what waits, syncs it to the disk and ends the thread. Blocks for at most `limit`;
    /// false when that was not enough. Later events are counted as lost.
    pub fn close(&self, limit: Duration) -> bool {
        let Some(trail) = &self.trail else {
            return true;
        };
        let mut queue = trail.lock();
        queue.tell_all(Instant::now());
        queue.closing = true;
        trail.wake.notify_one();
        let waited = trail
            .ended
            .wait_timeout_while(queue, limit, |queue| !queue.ended);
        let ended = waited.unwrap_or_else(PoisonError::into_inner).0.ended;
        let mut thread = trail.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take_if(|_| ended) {
            let _ = thread.join();
        }
        ended
    }
}

impl Trail {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's own side. What it has taken and could not write stays `pending` and is tried again.
struct Writer {
    trail: Arc<Trail>,
    sink: Sink,
    /// Lines for the sink, each with how many events it stands for.
    pending: VecDeque<(String, u64)>,
    /// Events behind them, for which there was no more room.
    pending_lost: u64,
    keeper: Option<Box<dyn Keeper>>,
    /// Events that the keeper has not taken, and was not told of yet.
    not_kept: u64,
    /// When writing to the sink failed; [`RETRY_AFTER`] later is the next attempt.
    failed_at: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        loop {
            let (closing, reopened) = self.take();
            if closing || reopened || self.retry_in().is_none_or(|wait| wait.is_zero()) {
                let failed = self.write().err();
                self.failed_at = failed.as_ref().map(|_| Instant::now());
                self.tell(failed.as_ref());
            }
            if closing && (self.failed_at.is_some() || self.trail.lock().is_empty()) {
                break;
            }
        }
        if let Err(error) = self.sink.sync() {
            self.tell(Some(&error));
        }
    }

    /// How long to wait before the sink is tried again; `None`: it works.
    fn retry_in(&self) -> Option<Duration> {
        let failed_at = self.failed_at?;
        Some(RETRY_AFTER.saturating_sub(failed_at.elapsed()))
    }

    /// Waits for something to do and takes it over, for the sink and for the keeper. True when the trail
    /// is to be closed, and when the file is to be opened anew.
    fn take(&mut self) -> (bool, bool) {
        let trail = self.trail.clone();
        let queue = trail.lock();
        let untold = (self.not_kept > 0).then_some(RETRY_AFTER);
        let retry = self.retry_in().or(untold).unwrap_or(Duration::MAX);
        let wait = retry.min(queue.repeats.due_in(Instant::now()));
        let idle = |queue: &mut Queue| queue.is_idle();
        let waited = trail.wake.wait_timeout_while(queue, wait, idle);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        queue.tell_due(Instant::now());
        if let Some(keeper) = queue.keeper.take() {
            self.keeper = Some(keeper);
        }
        let reopened = std::mem::take(&mut queue.reopen);
        if reopened {
            self.sink.forget();
        }
        let events = std::mem::take(&mut queue.events);
        let lost = std::mem::take(&mut queue.lost_untold);
        let closing = queue.closing;
        drop(queue);
        self.hand_out(&events, lost);
        (closing, reopened)
    }

    /// To the sink and to the keeper: `events`, and behind them that so many more are lost, which came
    /// after all that was in the full queue.
    fn hand_out(&mut self, events: &VecDeque<(Event, u64)>, lost: u64) {
        let has_keeper = self.keeper.is_some();
        let mut records = Vec::new();
        // How many events each of the records stands for that would be missing without it.
        let mut stands_for = Vec::new();
        if has_keeper && self.not_kept > 0 {
            let lost = lost_now(self.not_kept);
            records.push(lost.record(&lost.line()));
            stands_for.push(0);
        }
        let told = records.len();
        for (event, count) in events {
            let line = event.line();
            if has_keeper {
                records.push(event.record(&line));
                stands_for.push(*count);
            }
            if !self.pend(line, *count) {
                self.pending_lost += count;
                self.trail.lock().state.lost += count;
            }
        }
        if lost > 0 {
            let event = lost_now(lost);
            let line = event.line();
            if has_keeper {
                records.push(event.record(&line));
                stands_for.push(lost);
            }
            if !self.pend(line, 0) {
                self.pending_lost += lost;
            }
        }
        let Some(keeper) = self.keeper.as_ref().filter(|_| !records.is_empty()) else {
            return;
        };
        let kept = keeper.keep(records);
        if kept >= told {
            self.not_kept = 0;
        }
        let refused: u64 = stands_for.iter().skip(kept).sum();
        self.not_kept += refused;
        self.trail.lock().state.not_kept += refused;
    }

    /// A line for the sink, behind what is known to be lost before it. False: there is no room.
    fn pend(&mut self, line: String, stands_for: u64) -> bool {
        let room = self.trail.capacity.saturating_sub(self.pending.len());
        if room < 1 + usize::from(self.pending_lost > 0) {
            return false;
        }
        if self.pending_lost > 0 {
            let lost = lost_now(std::mem::take(&mut self.pending_lost));
            self.pending.push_back((lost.line(), 0));
        }
        self.pending.push_back((line, stands_for));
        true
    }

    fn write(&mut self) -> io::Result<()> {
        self.sink.refresh()?;
        while let Some((line, _)) = self.pending.front() {
            self.sink.append(line)?;
            self.pending.pop_front();
            self.trail.lock().state.written += 1;
        }
        if self.pending_lost > 0 {
            self.sink.append(&lost_now(self.pending_lost).line())?;
            self.pending_lost = 0;
            self.trail.lock().state.written += 1;
        }
        Ok(())
    }

    /// Notes how writing went; one line in the log when that changes.
    fn tell(&self, failed: Option<&io::Error>) {
        let mut queue = self.trail.lock();
        queue.state.errors += u64::from(failed.is_some());
        let before = queue.state.last_error.take();
        queue.state.last_error = failed.map(ToString::to_string);
        drop(queue);
        match (before, failed) {
            (None, Some(error)) => log::error!("the audit trail cannot be written: {error}"),
            (Some(_), None) => log::info!("the audit trail is written again"),
            _ => {}
        }
    }
}

fn lost_now(events: u64) -> Event {
    Event::lost(events, Timestamp::now())
}

impl Drop for Writer {
    /// Here, so that a panic too lets [`Audit::close`] return and counts what was left.
    fn drop(&mut self) {
        let mut queue = self.trail.lock();
        queue.closing = true;
        queue.ended = true;
        let events: u64 = queue.events.drain(..).map(|(_, count)| count).sum();
        let pending: u64 = self.pending.iter().map(|(_, count)| count).sum();
        queue.state.lost += pending + events + queue.repeats.untold();
        self.trail.ended.notify_all();
    }
}

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
