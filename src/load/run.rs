//! The loop that everything happens in, and what the modes are made of.

use std::io;
use std::time::Duration;

use anyhow::{Context, bail};
use mio::{Events, Poll, Token};

use super::clock::{Clock, Effort, nanos, seconds};
use super::dialect;
use super::pace::Pacer;
use super::payload::Payload;
use super::plan::{Dialect, Mode, Plan};
use super::publisher::{Answered, Publisher, Verdict};
use super::reader::{Rules, Tools};
use super::readers::Readers;
use super::report::{Progress, Report, per_second};
use super::socket::{self, Sources};
use super::tally::Tally;

/// Room for what a socket has gathered: many messages, little enough to stay in the processor's
/// nearest cache, since every connection reads into the same.
const READ_BYTES: usize = 64 * 1024;
/// Sockets looked at before the time is; with the cost of a read, well below a millisecond.
const EVENTS: usize = 256;
/// How long arrivals may gather. With what the kernel adds it is a tenth of a millisecond, by which
/// latencies may be told too high.
const GATHERING: Duration = Duration::from_micros(50);
/// Only while a message is still awaited by more connections than a server can reach meanwhile, so
/// that the last of them is seen at once and the next message goes out.
const AWAITED_MANY: u32 = 250;
/// When so many sockets have something at a time, there is no need to wait.
const GATHERED_ENOUGH: usize = 32;
/// What is told on the way is told so often, in nanoseconds.
const TOLD_EVERY: u64 = 250_000_000;
/// After so long without any arrival nothing comes any more, in nanoseconds.
const SILENCE_MAX: u64 = 5_000_000_000;
/// Longest that a few messages may take to be published one by one, in nanoseconds.
const ANSWER_MAX: u64 = 30_000_000_000;
/// Between opening and publishing, so that a server has done what it does for a new connection.
const SETTLING: Duration = Duration::from_millis(300);
/// While there is nothing but time-outs to look after.
const IDLE_WAIT: Duration = Duration::from_millis(20);

/// A run, from its first connection to its report.
pub struct Run<'p> {
    pub(super) plan: &'p Plan,
    poll: Poll,
    events: Events,
    pub(super) tools: Tools,
    pub(super) readers: Readers<'p>,
    pub(super) publisher: Publisher<'p>,
    pub(super) report: Report,
    /// The id that the server gave the message it took last.
    pub(super) last_id: Option<String>,
    /// Sockets that had something at the last turn.
    gathered: usize,
    observer: &'p mut dyn FnMut(Progress),
    told_at: u64,
}

impl<'p> Run<'p> {
    /// Takes what the run needs of the machine.
    ///
    /// # Errors
    /// Not enough descriptors.
    pub fn new(plan: &'p Plan, observer: &'p mut dyn FnMut(Progress)) -> anyhow::Result<Self> {
        socket::raise_descriptor_limit(plan.connections)?;
        let run = rand::random();
        let sources = Sources::new(run);
        let payload = Payload::new(run, plan.bytes);
        let publisher = Publisher::new(plan, &payload, sources, plan.connections);
        let rules = Rules {
            dialect: plan.dialect,
            transport: plan.transport,
            clock: Clock::start(),
            payload,
            joining: dialect::joining(plan),
            wants_token: plan.mode == Mode::Reconnect && plan.dialect == Dialect::Statshub,
        };
        Ok(Self {
            plan,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            tools: Tools {
                rules,
                tally: Tally::new(plan.readers()),
                buffer: vec![0; READ_BYTES],
            },
            readers: Readers::new(plan, sources),
            publisher,
            report: Report::new(plan),
            last_id: None,
            gathered: 0,
            observer,
            told_at: 0,
        })
    }

    pub(super) fn now(&self) -> u64 {
        self.tools.rules.clock.now()
    }

    /// Waits for what happens, at most so long, and deals with it.
    pub(super) fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        self.let_gather();
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result.context("waiting for the sockets")?,
        }
        let registry = self.poll.registry();
        self.gathered = 0;
        for event in &self.events {
            let Token(token) = event.token();
            self.gathered += 1;
            if token < self.readers.count() {
                self.readers
                    .event(token, event, &mut self.tools, registry)?;
                continue;
            }
            let clock = self.tools.rules.clock;
            match self.publisher.event(token, event, &clock, registry)? {
                None => {}
                Some(Answered { number, verdict }) => match verdict {
                    Verdict::Taken(body) => {
                        self.tools.tally.answered(number);
                        if self.tools.rules.wants_token {
                            self.last_id = dialect::message_id(&body);
                        }
                    }
                    Verdict::Later => {
                        self.tools.tally.withdraw(number);
                        self.report.refused += 1;
                    }
                },
            }
        }
        Ok(())
    }

    /// Where a message is on its way to many connections and arrives at one after the other, waits a
    /// moment. To be woken for every single arrival is dear, also for the server that wakes, which
    /// no client on another machine would make it do: with 9,000 connections and a bare loop as the
    /// server a delivery cost 7 us here and 9.5 us there, and with this 4.4 us and 6.7 us.
    fn let_gather(&self) {
        if self.gathered < GATHERED_ENOUGH && self.tools.tally.awaited() > AWAITED_MANY {
            std::thread::sleep(GATHERING);
        }
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        (self.observer)(progress);
        self.told_at = self.now();
    }

    fn tell_now_and_then(&mut self, now: u64, progress: impl FnOnce(&Self) -> Progress) {
        if now.saturating_sub(self.told_at) > TOLD_EVERY {
            let progress = progress(self);
            self.tell(progress);
        }
    }

    /// Opens all that wait to be opened; returns how long that took in seconds.
    pub(super) fn open_all(&mut self) -> anyhow::Result<f64> {
        let began = self.now();
        while !self.readers.are_settled() {
            let now = self.now();
            self.readers.begin(self.poll.registry(), now)?;
            self.turn(IDLE_WAIT)?;
            self.tell_now_and_then(now, |run| Progress::Opening {
                open: run.readers.open(),
                of: run.plan.connections,
            });
        }
        Ok(seconds(began, self.readers.opened_at))
    }

    /// Opens all for the first time.
    pub(super) fn connect(&mut self) -> anyhow::Result<()> {
        let connections = self.plan.connections;
        let effort = Effort::begin();
        let seconds = self.open_all()?;
        (self.report.client_cpu_seconds, self.report.client_cpu_share) = effort.since();
        self.report.connect_seconds = seconds;
        self.report.connects_per_second = per_second(connections as u64, seconds);
        self.report.seconds = seconds;
        self.tell(Progress::Connected {
            connections,
            seconds,
        });
        Ok(())
    }

    /// Makes ready to publish.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        self.publisher.connect(self.poll.registry())?;
        self.idle_for(SETTLING)
    }

    /// Only answers what servers ask now and then.
    pub(super) fn idle_for(&mut self, duration: Duration) -> anyhow::Result<()> {
        let (began, of) = (self.now(), duration.as_secs_f64());
        loop {
            let now = self.now();
            if now.saturating_sub(began) >= nanos(duration) {
                return Ok(());
            }
            self.turn(IDLE_WAIT)?;
            self.tell_now_and_then(now, |run| Progress::Running {
                seconds: seconds(began, now),
                of,
                delivered: run.tools.tally.delivered,
            });
        }
    }

    /// Publishes at the plan's pace for a while.
    pub(super) fn publish_for(&mut self, duration: Duration) -> anyhow::Result<()> {
        let (began, of) = (self.now(), duration.as_secs_f64());
        let mut pacer = Pacer::new(self.plan.pace, began);
        loop {
            let mut now = self.now();
            if now.saturating_sub(began) >= nanos(duration) {
                break;
            }
            while pacer.is_due(now, self.tools.tally.in_flight()) && self.publisher.is_free(now) {
                self.publish()?;
                pacer.gone(now);
                now = self.now();
            }
            self.turn(pacer.wait(now))?;
            self.give_up_what_never_comes();
            self.tell_now_and_then(now, |run| Progress::Running {
                seconds: seconds(began, now),
                of,
                delivered: run.tools.tally.delivered,
            });
        }
        self.report.behind_ms = pacer.behind as f64 / 1e6;
        Ok(())
    }

    /// Publishes one message, for which a connection must be free.
    pub(super) fn publish(&mut self) -> anyhow::Result<()> {
        let number = self.tools.tally.depart(self.tools.rules.clock.now());
        let clock = self.tools.rules.clock;
        self.publisher.publish(number, &clock, self.poll.registry())
    }

    /// Publishes so many, each when the server has answered the one before.
    pub(super) fn publish_in_turn(&mut self, count: u64) -> anyhow::Result<()> {
        let began = self.now();
        let wanted = self.tools.tally.published() + count;
        while self.tools.tally.published() < wanted || !self.tools.tally.is_answered() {
            let now = self.now();
            if now.saturating_sub(began) > ANSWER_MAX {
                bail!("the server does not answer what is published");
            }
            if self.tools.tally.is_answered() && self.publisher.is_free(now) {
                self.publish()?;
            }
            self.turn(IDLE_WAIT)?;
        }
        Ok(())
    }

    /// Reads until nothing is in flight, or nothing has come for too long.
    pub(super) fn drain(&mut self) -> anyhow::Result<()> {
        while self.tools.tally.in_flight() > 0 {
            self.turn(IDLE_WAIT)?;
            self.give_up_what_never_comes();
        }
        Ok(())
    }

    fn give_up_what_never_comes(&mut self) {
        let tally = &mut self.tools.tally;
        let now = self.tools.rules.clock.now();
        if tally.in_flight() > 0 && now.saturating_sub(tally.quiet_since) > SILENCE_MAX {
            tally.give_up_oldest(now);
        }
    }
}
