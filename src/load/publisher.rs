//! What publishes: a few keep-alive HTTP connections in the readers' own loop.

use std::io::{self, Read, Write};

use anyhow::{Context, bail};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::clock::Clock;
use super::dialect::{self, Publication};
use super::endpoint::Endpoint;
use super::head::Answer;
use super::metrics::Metrics;
use super::payload::{Payload, Stamp};
use super::plan::{Pace, Plan};
use super::reader::is_too_early;
use super::socket::{self, Sources};

/// Fewest and most connections. A hub limits how much one user and one address may publish in a
/// second, so even messages that go out one by one go out over several.
const LANES_MIN: usize = 8;
const LANES_MAX: usize = 64;
/// How long nothing is published after the server has asked for a pause, in nanoseconds.
const PAUSE: u64 = 100_000_000;
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The connections, taken in turn.
#[derive(Debug)]
pub struct Publisher<'p> {
    plan: &'p Plan,
    sources: Sources,
    first_token: usize,
    lanes: Vec<Lane>,
    /// Where to look for a free one first.
    turn: usize,
    paused_until: u64,
}

/// One connection: a request, then its answer, then the next.
#[derive(Debug)]
struct Lane {
    stream: Option<TcpStream>,
    publication: Publication,
    written: usize,
    answer: Vec<u8>,
    /// The message that it is busy with.
    number: Option<u32>,
    /// Whether that was sent over another connection before, which turned out to be closed.
    repeated: bool,
}

/// What a server made of a message.
#[derive(Debug)]
pub struct Answered {
    pub number: u32,
    pub verdict: Verdict,
}

#[derive(Debug)]
pub enum Verdict {
    /// The body of the answer may hold the message's id.
    Taken(Vec<u8>),
    /// It has too much to do at the moment.
    Later,
}

impl<'p> Publisher<'p> {
    pub fn new(plan: &'p Plan, payload: &Payload, sources: Sources, first_token: usize) -> Self {
        let wanted = match plan.pace {
            Pace::Rate(_) => LANES_MIN,
            Pace::InFlight(count) => count,
        };
        let lanes = wanted.clamp(LANES_MIN, LANES_MAX);
        Self {
            plan,
            sources,
            first_token,
            lanes: match &plan.publish {
                Some(to) => (0..lanes)
                    .map(|nth| Lane::new(plan, to, payload, nth))
                    .collect(),
                None => Vec::new(),
            },
            turn: 0,
            paused_until: 0,
        }
    }

    /// Opens the connections, so that the first message does not wait for that.
    pub fn connect(&mut self, registry: &Registry) -> anyhow::Result<()> {
        for nth in 0..self.lanes.len() {
            self.connect_lane(nth, registry)?;
        }
        Ok(())
    }

    fn connect_lane(&mut self, nth: usize, registry: &Registry) -> anyhow::Result<()> {
        let endpoint = self.plan.publish.as_ref();
        let address = endpoint.context("nowhere to publish")?.address;
        let lane = &mut self.lanes[nth];
        let connected = self
            .sources
            .connect_apart(address, nth)
            .and_then(|mut stream| {
                let token = Token(self.first_token + nth);
                registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
                Ok(stream)
            });
        let connected = connected.map_err(socket::explain);
        lane.stream = Some(connected.with_context(|| format!("publishing at {address}"))?);
        lane.answer.clear();
        Ok(())
    }

    /// Whether a message could go out now.
    pub fn is_free(&self, now: u64) -> bool {
        now >= self.paused_until && self.lanes.iter().any(Lane::is_free)
    }

    /// Sends a message over a free connection. Its time is taken just before it is written.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn publish(
        &mut self,
        number: u32,
        clock: &Clock,
        registry: &Registry,
    ) -> anyhow::Result<()> {
        let count = self.lanes.len();
        let in_turn = (self.turn..self.turn + count).map(|nth| nth % count);
        let Some(nth) = in_turn.into_iter().find(|nth| self.lanes[*nth].is_free()) else {
            bail!("no connection is free to publish");
        };
        self.turn = nth + 1;
        self.lanes[nth].number = Some(number);
        self.lanes[nth].repeated = false;
        self.write(nth, clock, registry)
    }

    fn write(&mut self, nth: usize, clock: &Clock, registry: &Registry) -> anyhow::Result<()> {
        if self.lanes[nth].stream.is_none() {
            self.connect_lane(nth, registry)?;
        }
        self.lanes[nth].written = 0;
        let metrics = &self.plan.metrics;
        match self.lanes[nth].write(clock, metrics) {
            Err(_) if self.lanes[nth].may_be_stale() => {
                self.lanes[nth].repeated = true;
                self.connect_lane(nth, registry)?;
                self.lanes[nth].write(clock, metrics).context("publishing")
            }
            result => result.context("publishing"),
        }
    }

    /// Something has happened to the socket of a connection.
    ///
    /// # Errors
    /// The server does not take messages, for a reason that time will not mend.
    pub fn event(
        &mut self,
        token: usize,
        event: &Event,
        clock: &Clock,
        registry: &Registry,
    ) -> anyhow::Result<Option<Answered>> {
        let nth = token - self.first_token;
        let Some(lane) = self.lanes.get_mut(nth) else {
            return Ok(None);
        };
        let closing = event.is_read_closed() || event.is_error();
        let written = lane.write(clock, &self.plan.metrics);
        let ended = match written.and_then(|()| lane.read(closing)) {
            Ok(ended) => ended,
            Err(_) if lane.may_be_stale() => true,
            Err(error) => return Err(socket::explain(error).context("publishing")),
        };
        if let Some((number, answer)) = lane.take_answer(ended).context("publishing")? {
            return self.judge(number, answer, clock.now()).map(Some);
        }
        match lane.number {
            // The next message opens it again. Before closing, some say that they waited too long.
            None if ended || !lane.answer.is_empty() => lane.stream = None,
            None => {}
            Some(_) if !ended => {}
            Some(_) if lane.may_be_stale() => {
                lane.repeated = true;
                lane.stream = None;
                self.write(nth, clock, registry)?;
            }
            Some(_) => bail!("publishing: the server closed the connection instead of answering"),
        }
        Ok(None)
    }

    fn judge(&mut self, number: u32, answer: Answer, now: u64) -> anyhow::Result<Answered> {
        let verdict = match answer.head.status {
            200..300 => Verdict::Taken(answer.body),
            429 | 503 => {
                self.paused_until = now + PAUSE;
                Verdict::Later
            }
            status => bail!(
                "the server did not take a message: {}{}",
                answer.words(),
                what_to_do(status)
            ),
        };
        Ok(Answered { number, verdict })
    }
}

impl Lane {
    fn new(plan: &Plan, to: &Endpoint, payload: &Payload, nth: usize) -> Self {
        let publication = dialect::publication(plan, to, payload, nth);
        Self {
            stream: None,
            written: publication.request.len(),
            publication,
            answer: Vec::new(),
            number: None,
            repeated: false,
        }
    }

    fn is_free(&self) -> bool {
        self.number.is_none()
    }

    /// Whether an end of the connection is no failure: servers close what is idle, and may do so
    /// just as the next request is on its way, which they then have not read.
    fn may_be_stale(&self) -> bool {
        self.number.is_none() || !self.repeated && self.answer.is_empty()
    }

    /// Writes what is left of the request, if there is one.
    fn write(&mut self, clock: &Clock, metrics: &Metrics) -> io::Result<()> {
        let (Some(stream), Some(number)) = (&mut self.stream, self.number) else {
            return Ok(());
        };
        let Publication {
            request,
            name_at,
            stamp_at,
        } = &mut self.publication;
        while self.written < request.len() {
            if self.written == 0 {
                if let Some(at) = *name_at {
                    let name = metrics.name(metrics.of_message(number));
                    request[at..at + name.len()].copy_from_slice(name.as_bytes());
                }
                let sent_at = clock.now();
                let stamp = Stamp { number, sent_at };
                Payload::stamp(&mut request[*stamp_at..], stamp);
            }
            match stream.write(&request[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if is_too_early(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what there is; whether the server has closed.
    fn read(&mut self, closing: bool) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        while let Some(stream) = &mut self.stream {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(length) => {
                    if self.answer.len() < ANSWER_BYTES_MAX {
                        self.answer.extend_from_slice(&buffer[..length]);
                    }
                    if length < buffer.len() && !closing {
                        return Ok(false);
                    }
                }
                Err(error) if is_too_early(&error) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// The answer to the message that it is busy with, once it is whole.
    fn take_answer(&mut self, ended: bool) -> anyhow::Result<Option<(u32, Answer)>> {
        let Some(number) = self.number else {
            return Ok(None);
        };
        let Some(answer) = Answer::read(&self.answer, ended)? else {
            return Ok(None);
        };
        self.answer.clear();
        self.number = None;
        if ended || answer.head.closes {
            self.stream = None;
        }
        Ok(Some((number, answer)))
    }
}

fn what_to_do(status: u16) -> &'static str {
    match status {
        401 => " (sign with the secret of that hub, or give --token; see `statshub check-token`)",
        403 => " (the token's role may not publish)",
        404 => " (is this the address of a hub? see --url, --publish-url)",
        413 => " (give a smaller --size, or raise http.message_bytes_max at the hub)",
        _ => "",
    }
}
