//! The limit: the least that a server of live streams can do on this machine.
//!
//! One thread and one epoll. It takes event streams and WebSocket connections, and what is posted to
//! `/publish` it writes to every one of them, one system call each. No sessions, no resuming, no
//! credentials, no backlog, no heartbeats: whoever falls behind by a whole socket buffer is cut. What a
//! server takes beyond this is the price of what it does beyond this.
//!
//! `cargo run --release --example limit -- 7401`, or `benches/compare/run`, which measures it too.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use actix_http::ws::hash_key;
use anyhow::{Context, Result, bail};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

/// Connections that may wait to be accepted: what Linux grants at most, unless told otherwise.
const BACKLOG: i32 = 4096;
/// Largest request, its body included.
const REQUEST_BYTES_MAX: usize = 256 * 1024;
const LISTENER: Token = Token(usize::MAX);

fn main() -> Result<()> {
    let port = std::env::args().nth(1).context("usage: limit PORT")?;
    let port = port.parse().context("the port is a number")?;
    Limit::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?.run()
}

struct Limit {
    poll: Poll,
    listener: TcpListener,
    /// By the number of their token.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Messages published, for their ids.
    published: u64,
}

struct Connection {
    stream: TcpStream,
    kind: Kind,
    /// What has arrived of a request.
    request: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Requests,
    EventStream,
    WebSocket,
}

/// What is to become of a connection.
#[derive(PartialEq)]
enum Fate {
    Stays,
    Ends,
}

impl Limit {
    fn bind(address: SocketAddr) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket
            .bind(&address.into())
            .with_context(|| format!("{address} cannot be had"))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(socket.into());
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            published: 0,
        })
    }

    fn run(mut self) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(number) => self.read(number, &mut buffer),
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => bail!("accepting failed: {error}"),
            };
            stream.set_nodelay(true)?;
            let number = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.poll
                .registry()
                .register(&mut stream, Token(number), Interest::READABLE)?;
            self.connections[number] = Some(Connection {
                stream,
                kind: Kind::Requests,
                request: Vec::new(),
            });
        }
    }

    /// Reads all there is: epoll tells of it once.
    fn read(&mut self, number: usize, buffer: &mut [u8]) {
        loop {
            let Some(connection) = &mut self.connections[number] else {
                return;
            };
            let fate = match connection.stream.read(buffer) {
                Ok(0) => Fate::Ends,
                // Nothing that a subscriber may say is of interest.
                Ok(_) if connection.kind != Kind::Requests => Fate::Stays,
                Ok(length) => {
                    connection.request.extend_from_slice(&buffer[..length]);
                    self.answer(number)
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => Fate::Ends,
            };
            if fate == Fate::Ends {
                self.end(number);
            }
        }
    }

    /// Answers what has arrived whole; a publisher may send the next before it has the answer.
    fn answer(&mut self, number: usize) -> Fate {
        loop {
            let Some(connection) = &mut self.connections[number] else {
                return Fate::Ends;
            };
            let arrived = &mut connection.request;
            let Some(request) = Request::parse(arrived) else {
                let too_large = arrived.len() > REQUEST_BYTES_MAX;
                return if too_large { Fate::Ends } else { Fate::Stays };
            };
            if !request.publishes {
                connection.request = Vec::new();
                let (kind, head) = match request.websocket_key {
                    Some(key) => (Kind::WebSocket, websocket_head(key.as_bytes())),
                    None => (Kind::EventStream, EVENT_STREAM_HEAD.to_owned()),
                };
                connection.kind = kind;
                return self.write(number, head.as_bytes());
            }
            let rest = arrived.split_off(request.end);
            let publication = std::mem::replace(arrived, rest);
            self.publish(&publication[request.head..]);
            if self.write(number, ACCEPTED) == Fate::Ends {
                return Fate::Ends;
            }
        }
    }

    /// The bytes are those of statshub: the same envelope, made once.
    fn publish(&mut self, data: &[u8]) {
        self.published += 1;
        let id = format!("1769860800000-{}", self.published);
        let open = br#"{"type":"metrics_update","data":{"bench":"#;
        let close = format!(
            r#"}},"timestamp":"2026-01-31T12:00:00.000Z","messageId":"{id}","priority":"normal"}}"#
        );
        let json = [&open[..], data, close.as_bytes()].concat();
        let event = [format!("id: {id}\ndata: ").as_bytes(), &json, b"\n\n"].concat();
        let frame = [&frame_head(json.len())[..], &json].concat();
        for number in 0..self.connections.len() {
            let fate = match self.connections[number].as_ref().map(|one| one.kind) {
                Some(Kind::EventStream) => self.write(number, &event),
                Some(Kind::WebSocket) => self.write(number, &frame),
                Some(Kind::Requests) | None => Fate::Stays,
            };
            if fate == Fate::Ends {
                self.end(number);
            }
        }
    }

    /// Whole, or the connection ends.
    fn write(&mut self, number: usize, bytes: &[u8]) -> Fate {
        let written: io::Result<usize> = match &mut self.connections[number] {
            Some(connection) => connection.stream.write(bytes),
            None => return Fate::Ends,
        };
        match written {
            Ok(length) if length == bytes.len() => Fate::Stays,
            _ => Fate::Ends,
        }
    }

    fn end(&mut self, number: usize) {
        if self.connections[number].take().is_some() {
            self.free.push(number);
        }
    }
}

const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
const EVENT_STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\n\
    Content-Type: text/event-stream\r\n\
    Cache-Control: no-cache\r\n\
    Connection: close\r\n\r\n";

fn websocket_head(key: &[u8]) -> String {
    let accept = hash_key(key);
    let accept = String::from_utf8_lossy(&accept);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// Of one unfragmented text frame from a server (RFC 6455, 5.2).
fn frame_head(length: usize) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..126), _) => vec![0x81, short],
        (_, Ok(medium)) => [&[0x81, 126], &medium.to_be_bytes()[..]].concat(),
        _ => [&[0x81, 127], &(length as u64).to_be_bytes()[..]].concat(),
    }
}

/// A request that has arrived whole.
struct Request {
    publishes: bool,
    websocket_key: Option<String>,
    /// Where the head ends and the body begins.
    head: usize,
    /// Where the body ends.
    end: usize,
}

impl Request {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&bytes[..head]);
        let field = |wanted: &str| {
            let mut fields = text.lines().filter_map(|line| line.split_once(':'));
            let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim().to_owned())
        };
        let length: usize = field("content-length").map_or(Some(0), |text| text.parse().ok())?;
        let end = head.checked_add(length)?;
        (bytes.len() >= end).then(|| Self {
            publishes: text.starts_with("POST "),
            websocket_key: field("sec-websocket-key"),
            head,
            end,
        })
    }
}
