//! All connections that subscribe: opening them so many at a time, and what becomes of them.

use std::collections::VecDeque;
use std::io;

use anyhow::{anyhow, bail};
use mio::event::Event;
use mio::{Registry, Token};

use super::dialect::{self, Resume};
use super::plan::Plan;
use super::reader::{End, Reader, Tools};
use super::socket::{self, Sources};

/// Connections begun before the sockets are looked at again.
const BEGUN_AT_ONCE: usize = 64;
/// How long a connection waits that was turned away, in nanoseconds.
const RETRY_AFTER: u64 = 200_000_000;
/// Without one connection more being open for this long, in nanoseconds, the rest never will.
const PATIENCE: u64 = 30_000_000_000;

/// The connections, by number.
#[derive(Debug)]
pub struct Readers<'p> {
    plan: &'p Plan,
    sources: Sources,
    all: Vec<Reader>,
    /// Numbers of those that are to be opened, and not before when.
    waiting: VecDeque<(u64, usize)>,
    opening: usize,
    open: usize,
    /// Connections that may be on their way at a time, and whether one that is told to come later does.
    opening_max: usize,
    comes_later: bool,
    /// What they come back with, once they do.
    last_event_id: Option<String>,
    /// When the latest one was open.
    pub opened_at: u64,
    /// Connections that ended after they were open, and tries that had to be repeated.
    pub lost: usize,
    pub retries: u64,
    trouble: Option<End>,
}

impl<'p> Readers<'p> {
    pub fn new(plan: &'p Plan, sources: Sources) -> Self {
        Self {
            plan,
            sources,
            all: (0..plan.connections).map(|_| Reader::away()).collect(),
            waiting: (0..plan.connections).map(|index| (0, index)).collect(),
            opening: 0,
            open: 0,
            opening_max: plan.opening_max,
            comes_later: false,
            last_event_id: None,
            opened_at: 0,
            lost: 0,
            retries: 0,
            trouble: None,
        }
    }

    pub fn count(&self) -> usize {
        self.all.len()
    }

    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether nothing is on its way to being open.
    pub fn are_settled(&self) -> bool {
        self.opening == 0 && self.waiting.is_empty()
    }

    /// What went wrong last.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.as_ref().map(ToString::to_string)
    }

    /// Begins to open some of those that wait.
    ///
    /// # Errors
    /// They cannot be opened, or none has been for too long.
    pub fn begin(&mut self, registry: &Registry, now: u64) -> anyhow::Result<()> {
        for _ in 0..BEGUN_AT_ONCE.min(self.opening_max - self.opening) {
            match self.waiting.front() {
                Some((not_before, index)) if *not_before <= now => {
                    let index = *index;
                    self.waiting.pop_front();
                    self.begin_one(index, registry, now)?;
                }
                _ => break,
            }
        }
        if now.saturating_sub(self.opened_at) > PATIENCE && !self.are_settled() {
            let missing = self.count() - self.open;
            let trouble = self.trouble().unwrap_or("no answer came".into());
            bail!(
                "{missing} of {} connections cannot be opened: {trouble}",
                self.count()
            );
        }
        Ok(())
    }

    fn begin_one(&mut self, index: usize, registry: &Registry, now: u64) -> anyhow::Result<()> {
        let plan = self.plan;
        let token = self.all[index].resume_token;
        let resume = token.zip(self.last_event_id.as_deref());
        let (endpoint, resume) = match resume {
            None => (&plan.stream, None),
            Some((token, last_event_id)) => {
                let resume = Resume {
                    token,
                    last_event_id,
                };
                (plan.resume.as_ref().unwrap_or(&plan.stream), Some(resume))
            }
        };
        let request = dialect::opening(plan, index, resume);
        self.opening += 1;
        let begun = match self.sources.connect(endpoint.address, index) {
            Ok(stream) => self.all[index].open(stream, request, Token(index), registry),
            Err(error) => Err(error.into()),
        };
        match begun {
            Ok(()) => Ok(()),
            Err(end) => self.not_opened(index, end, now),
        }
    }

    /// Something has happened to the socket of connection `index`.
    ///
    /// # Errors
    /// It could not be opened, and another try would not help.
    #[inline]
    pub fn event(
        &mut self,
        index: usize,
        event: &Event,
        tools: &mut Tools,
        registry: &Registry,
    ) -> anyhow::Result<()> {
        let reader = &mut self.all[index];
        let was_open = reader.is_open();
        match reader.event(event, tools) {
            Ok(()) if was_open || !reader.is_open() => Ok(()),
            Ok(()) => {
                self.opening -= 1;
                self.open += 1;
                self.opened_at = tools.rules.clock.now();
                if index < self.plan.stalled {
                    self.all[index].stall(registry)?;
                }
                Ok(())
            }
            Err(end) if was_open => {
                self.open -= 1;
                self.lost += 1;
                self.trouble = Some(end);
                self.all[index].hang_up();
                let metrics = &self.plan.metrics;
                let had = |nth| metrics.reach(index, nth);
                tools.tally.forsake(&self.all[index].received, had);
                Ok(())
            }
            Err(end) => self.not_opened(index, end, tools.rules.clock.now()),
        }
    }

    fn not_opened(&mut self, index: usize, end: End, now: u64) -> anyhow::Result<()> {
        self.opening -= 1;
        self.all[index].hang_up();
        if !self.is_worth_another_try(&end) {
            let (nth, of) = (index + 1, self.count());
            return Err(match end {
                End::Io(error) => socket::explain(error),
                end => anyhow!("{end}{}", what_to_do(&end)),
            }
            .context(format!("connection {nth} of {of} cannot be opened")));
        }
        self.retries += 1;
        self.trouble = Some(end);
        self.waiting.push_back((now + RETRY_AFTER, index));
        Ok(())
    }

    fn is_worth_another_try(&self, end: &End) -> bool {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut};
        match end {
            End::Refused { status, .. } => self.comes_later && matches!(status, 429 | 503),
            End::Closed => true,
            End::Malformed(_) => false,
            End::Io(error) => match error.kind() {
                ConnectionReset | ConnectionAborted | TimedOut => true,
                ConnectionRefused => self.comes_later,
                _ => false,
            },
        }
    }

    /// Drops every connection at once, to come back at once. `last_event_id` is the last message
    /// that all of them have received, where there is one.
    pub fn drop_all(&mut self, last_event_id: Option<String>) {
        self.all.iter_mut().for_each(Reader::hang_up);
        self.open = 0;
        self.opening = 0;
        self.last_event_id = last_event_id;
    }

    /// Makes all of them want back in, none waiting for another.
    pub fn come_back(&mut self, now: u64) {
        self.waiting = (0..self.count()).map(|index| (now, index)).collect();
        self.opening_max = self.count();
        self.comes_later = true;
        self.opened_at = now;
    }
}

fn what_to_do(end: &End) -> &'static str {
    match end {
        End::Refused { status: 401, .. } => {
            " (sign with the secret of that hub, or give --token; see `statshub check-token`)"
        }
        End::Refused { status: 404, .. } => {
            " (is this the address of a hub? see --url, --stream-url)"
        }
        End::Refused { status: 429, .. } => {
            " (raise sessions.connections_per_user_max or limits.per_ip_per_second at the hub)"
        }
        End::Refused { status: 503, .. } => {
            " (raise sessions.connections_max, http.sockets_max and the limit of descriptors at the hub)"
        }
        _ => "",
    }
}
