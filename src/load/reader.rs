//! One connection that subscribes: from the request to the end of its stream.

use std::io::{self, Read, Write};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use uuid::Uuid;

use super::clock::Clock;
use super::dialect::{self, engine_io, pusher};
use super::frames;
use super::framing::{Framing, Malformed, Piece};
use super::head::{Answer, Head, header};
use super::payload::{Carry, Payload};
use super::plan::{Dialect, Transport};
use super::received::Received;
use super::tally::Tally;
use super::unpacked::Unpacked;

/// Longest opening of a stream that is searched for a reconnect token, in bytes.
const OPENING_BYTES_MAX: usize = 64 * 1024;

/// There are tens of thousands of these, so what is needed only while opening is in a box.
#[derive(Debug)]
pub struct Reader {
    stream: Option<TcpStream>,
    state: State,
    framing: Framing,
    /// Where the server compresses.
    unpacked: Option<Box<Unpacked>>,
    carry: Carry,
    pub received: Received,
    /// What its session can be resumed with, where that was asked for.
    pub resume_token: Option<Uuid>,
}

#[derive(Debug)]
enum State {
    Away,
    Opening(Box<Opening>),
    /// Upgraded, but the dialect wants a few words first.
    Joining,
    Open,
}

#[derive(Debug)]
struct Opening {
    request: Vec<u8>,
    written: usize,
    answer: Vec<u8>,
}

/// What all connections of a run read with.
#[derive(Debug)]
pub struct Tools {
    pub rules: Rules,
    pub tally: Tally,
    /// Room for one read.
    pub buffer: Vec<u8>,
}

/// How what comes is to be understood.
#[derive(Debug)]
pub struct Rules {
    pub dialect: Dialect,
    pub transport: Transport,
    pub clock: Clock,
    pub payload: Payload,
    /// See [`dialect::joining`].
    pub joining: Vec<u8>,
    /// Whether a connection is open only once its reconnect token is known.
    pub wants_token: bool,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum End {
    #[error("the server answered {words}")]
    Refused { status: u16, words: String },
    #[error("the server ended the stream")]
    Closed,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Reader {
    pub fn away() -> Self {
        Self {
            stream: None,
            state: State::Away,
            framing: Framing::Plain,
            unpacked: None,
            carry: Carry::default(),
            received: Received::default(),
            resume_token: None,
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Sends `request` over `stream`, which may still be connecting.
    pub fn open(
        &mut self,
        mut stream: TcpStream,
        request: Vec<u8>,
        token: Token,
        registry: &Registry,
    ) -> Result<(), End> {
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.stream = Some(stream);
        self.state = State::Opening(Box::new(Opening {
            request,
            written: 0,
            answer: Vec::new(),
        }));
        self.carry = Carry::default();
        // To this machine it is connected by now, as a rule.
        self.ask()
    }

    /// Drops the connection; what it has received is still known.
    pub fn hang_up(&mut self) {
        self.stream = None;
        self.state = State::Away;
    }

    /// Reads nothing from now on.
    pub fn stall(&mut self, registry: &Registry) -> io::Result<()> {
        self.stream
            .as_mut()
            .map_or(Ok(()), |it| registry.deregister(it))
    }

    /// Something has happened to its socket. Events come once, so all there is must be read.
    ///
    /// # Errors
    /// It has ended.
    #[inline]
    pub fn event(&mut self, event: &Event, tools: &mut Tools) -> Result<(), End> {
        if let State::Opening(_) = self.state {
            self.ask()?;
        }
        let closing = event.is_read_closed() || event.is_error();
        let Tools {
            rules,
            tally,
            buffer,
        } = tools;
        while let Some(stream) = &mut self.stream {
            match stream.read(buffer) {
                Ok(0) => return Err(self.closed()),
                Ok(length) => {
                    let now = rules.clock.now();
                    tally.received_bytes += length as u64;
                    self.take(&buffer[..length], now, rules, tally)?;
                    // Less than there is room for was all there is: one system call less. Only what
                    // has ended has its end still to be read.
                    if length < buffer.len() && !closing {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    #[inline]
    fn take(
        &mut self,
        bytes: &[u8],
        now: u64,
        rules: &Rules,
        tally: &mut Tally,
    ) -> Result<(), End> {
        match &mut self.state {
            State::Open | State::Joining => self.content(bytes, now, rules, tally),
            State::Away => Ok(()),
            State::Opening(opening) => {
                opening.answer.extend_from_slice(bytes);
                match self.answered(rules)? {
                    Some(rest) => self.content(&rest, now, rules, tally),
                    None => Ok(()),
                }
            }
        }
    }

    fn content(
        &mut self,
        mut bytes: &[u8],
        now: u64,
        rules: &Rules,
        tally: &mut Tally,
    ) -> Result<(), End> {
        while let Some(piece) = self.framing.next(&mut bytes)? {
            match piece {
                Piece::Content { bytes, first } => {
                    match rules.dialect {
                        Dialect::SocketIo if first => self.packet(bytes[0], rules)?,
                        Dialect::Pusher if first => self.event_of_pusher(bytes, rules)?,
                        _ => {}
                    }
                    let bytes = match &mut self.unpacked {
                        Some(unpacked) => unpacked.take(bytes)?,
                        None => bytes,
                    };
                    let received = &mut self.received;
                    rules.payload.scan(&mut self.carry, bytes, |stamp| {
                        tally.arrive(received, stamp, now);
                    });
                }
                Piece::Ping(payload) => self.say(&frames::pong(&payload))?,
                Piece::End => return Err(End::Closed),
            }
        }
        Ok(())
    }

    /// What Engine.IO wants to hear.
    fn packet(&mut self, kind: u8, rules: &Rules) -> Result<(), End> {
        match (kind, &self.state) {
            (engine_io::PING, _) => self.say(&frames::text(engine_io::PONG)),
            (engine_io::OPEN, State::Joining) => self.say(&frames::text(&rules.joining)),
            (engine_io::MESSAGE, State::Joining) => {
                self.state = State::Open;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What Pusher's protocol wants to hear.
    fn event_of_pusher(&mut self, bytes: &[u8], rules: &Rules) -> Result<(), End> {
        let says = |what| memchr::memmem::find(bytes, what).is_some();
        match self.state {
            State::Joining if says(pusher::ESTABLISHED) => self.say(&frames::text(&rules.joining)),
            State::Joining if says(pusher::SUBSCRIBED) => {
                self.state = State::Open;
                Ok(())
            }
            State::Joining if says(pusher::REFUSED) => {
                Err(Malformed("an error instead of a subscription").into())
            }
            _ if bytes.starts_with(pusher::PING) => self.say(&frames::text(pusher::PONG)),
            _ => Ok(()),
        }
    }

    /// A few bytes always fit into a socket that nothing waits in.
    fn say(&mut self, frame: &[u8]) -> Result<(), End> {
        match &mut self.stream {
            Some(stream) => Ok(stream.write_all(frame)?),
            None => Ok(()),
        }
    }

    /// Writes what is left of the request.
    fn ask(&mut self) -> Result<(), End> {
        let (Some(stream), State::Opening(opening)) = (&mut self.stream, &mut self.state) else {
            return Ok(());
        };
        while opening.written < opening.request.len() {
            match stream.write(&opening.request[opening.written..]) {
                Ok(length) => opening.written += length,
                Err(error) if is_too_early(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Judges the answer that has come so far. When it is a stream, what of it is behind the head.
    fn answered(&mut self, rules: &Rules) -> Result<Option<Vec<u8>>, End> {
        let State::Opening(opening) = &mut self.state else {
            return Ok(None);
        };
        let answer = &opening.answer;
        let Some(head) = Head::read(answer)? else {
            return Ok(None);
        };
        let expected = match rules.transport {
            Transport::Sse => 200,
            Transport::WebSocket => 101,
        };
        if head.status != expected {
            return match Answer::read(answer, false)? {
                Some(answer) => Err(refused(&answer)),
                None => Ok(None),
            };
        }
        if rules.wants_token && self.resume_token.is_none() {
            let from_header = header(&answer[..head.bytes], "x-reconnect-token");
            let from_header = from_header.and_then(|text| Uuid::try_parse(text).ok());
            self.resume_token = from_header.or_else(|| dialect::resume_token(answer));
            if self.resume_token.is_none() {
                return match answer.len() {
                    0..OPENING_BYTES_MAX => Ok(None),
                    _ => Err(Malformed("a stream without a reconnect token").into()),
                };
            }
        }
        let encoding = header(&answer[..head.bytes], "content-encoding");
        let is_gzip = encoding.is_some_and(|it| it.eq_ignore_ascii_case("gzip"));
        self.unpacked = is_gzip.then(Box::default);
        let rest = opening.answer.split_off(head.bytes);
        self.framing = Framing::behind(&head);
        self.state = match rules.dialect {
            Dialect::SocketIo | Dialect::Pusher => State::Joining,
            Dialect::Statshub | Dialect::Plain => State::Open,
        };
        Ok(Some(rest))
    }

    /// The server has closed; perhaps after saying why.
    fn closed(&self) -> End {
        let State::Opening(opening) = &self.state else {
            return End::Closed;
        };
        match Answer::read(&opening.answer, true) {
            Ok(Some(answer)) => refused(&answer),
            _ => End::Closed,
        }
    }
}

fn refused(answer: &Answer) -> End {
    End::Refused {
        status: answer.head.status,
        words: answer.words(),
    }
}

/// Not connected yet, or no room yet; both are told by an event.
pub fn is_too_early(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tens_of_thousands_take_little_memory() {
        let bytes = size_of::<Reader>();
        assert!(bytes <= 200, "{bytes}");
    }
}
