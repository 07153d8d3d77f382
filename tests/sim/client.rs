//! Clients: they come, read as they please, break, and come back by every way there is.

use statshub::domain::fanout::ConnectionKey;
use statshub::domain::hub::Refusal;
use statshub::domain::message::{MessageId, Transport};
use statshub::domain::session::TicketHash;
use uuid::Uuid;

use crate::rng::Rng;
use crate::simulation::Simulation;
use crate::worker::{Pace, Socket};
use crate::world::{Ask, Report, Request, Seen};

#[derive(Debug)]
pub struct Client {
    pub user: usize,
    transport: Transport,
    link: Link,
    /// The session it last had, and the ticket that opened it.
    token: Option<Uuid>,
    ticket: Option<TicketHash>,
    /// The newest id that has arrived.
    last_id: Option<MessageId>,
    /// The newest message that has arrived: none comes again, and none that is older.
    arrived: MessageId,
    opened: bool,
    /// The hub went on from a log, and may know of an earlier position than the client has.
    may_get_again: bool,
    pub was_refused_for_room: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    None,
    Asked(ConnectionKey),
    Open(ConnectionKey),
}

impl Client {
    pub fn new(user: usize, rng: &mut Rng) -> Self {
        Self {
            user,
            transport: rng.pick(&[Transport::Sse, Transport::Websocket]),
            link: Link::None,
            token: None,
            ticket: None,
            last_id: None,
            arrived: MessageId::ZERO,
            opened: false,
            may_get_again: false,
            was_refused_for_room: false,
        }
    }

    pub fn has_stream(&self) -> bool {
        matches!(self.link, Link::Open(_))
    }

    pub fn lost_its_stream(&mut self) {
        self.link = Link::None;
    }

    pub fn may_get_again(&mut self) {
        self.may_get_again = true;
    }

    fn key(&self) -> Option<ConnectionKey> {
        match self.link {
            Link::None => None,
            Link::Asked(key) | Link::Open(key) => Some(key),
        }
    }
}

impl Simulation {
    /// What a client does of its own accord.
    pub fn act(&mut self, index: usize) {
        let rates = self.weather.rates.clone();
        match self.clients[index].link {
            Link::None => {
                if self.quiet || self.rng.per_mille(rates.connect) {
                    self.come(index);
                }
            }
            Link::Asked(key) => {
                if !self.quiet && self.rng.per_mille(rates.drop) {
                    self.break_off(index, key);
                }
            }
            Link::Open(key) => {
                self.change_pace(key);
                if self.quiet {
                    // It has all it wants.
                } else if self.rng.per_mille(rates.drop) {
                    self.break_off(index, key);
                } else if self.rng.per_mille(rates.replace) {
                    // The old stream stays open for all the server knows.
                    self.clients[index].link = Link::None;
                    self.come(index);
                } else if self.rng.per_mille(rates.resubscribe) {
                    let (change, patterns) = self.some_change();
                    self.report(
                        usize::from(key.worker()),
                        Report::Change(key, change, patterns),
                    );
                } else if self.rng.per_mille(rates.refresh) {
                    self.ask_refresh(index, key);
                }
            }
        }
        self.notice_breaks(index);
    }

    fn ask_refresh(&mut self, index: usize, key: ConnectionKey) {
        let Some(token) = self.clients[index].token else {
            return;
        };
        let user = if self.rng.per_mille(100) {
            self.rng.below(self.weather.users)
        } else {
            self.clients[index].user
        };
        let expires = self.some_expiry();
        self.report(
            usize::from(key.worker()),
            Report::Refresh(token, user, expires),
        );
    }

    fn some_expiry(&mut self) -> u64 {
        let short = !self.quiet && self.rng.per_mille(self.weather.rates.short_token);
        self.wall_ms
            + if short {
                self.rng.between(1, 600) as u64
            } else {
                100_000_000 + self.rng.below(1000) as u64
            }
    }

    fn socket(&mut self, key: ConnectionKey) -> Option<&mut Socket> {
        self.workers[usize::from(key.worker())]
            .sockets
            .get_mut(&key)
    }

    fn change_pace(&mut self, key: ConnectionKey) {
        let (quiet, step, rates) = (self.quiet, self.step, self.weather.rates.clone());
        let (stall, recover) = (
            self.rng.per_mille(rates.stall),
            self.rng.per_mille(rates.recover),
        );
        let slow = self.rng.per_mille(500);
        let Some(socket) = self.socket(key) else {
            return;
        };
        if socket.pace == Pace::Fast && stall && !quiet {
            socket.pace = if slow { Pace::Slow } else { Pace::Stalled };
        } else if socket.pace != Pace::Fast && (recover || quiet) {
            socket.pace = Pace::Fast;
            socket.fast_since = step;
        }
    }

    /// The connection breaks; what is on the wire is lost.
    fn break_off(&mut self, index: usize, key: ConnectionKey) {
        self.clients[index].link = Link::None;
        if let Some(socket) = self.socket(key) {
            socket.is_broken = true;
            socket.wire.clear();
        }
    }

    /// Sooner or later the server notices that nobody is there any more.
    fn notice_breaks(&mut self, index: usize) {
        let rate = self.weather.rates.notice;
        let own = self.clients[index].key();
        for worker in &mut self.workers {
            for (key, socket) in &mut worker.sockets {
                if socket.client == index && !socket.ended && Some(*key) != own {
                    let breaks = self.rng.per_mille(rate);
                    socket.is_broken |= breaks;
                    socket.is_noticed |= breaks;
                }
            }
        }
    }

    fn come(&mut self, index: usize) {
        let rates = self.weather.rates.clone();
        let key = self.key();
        let (fresh_token, fresh_connection_id) = (self.uuid(), self.uuid());
        let honest = self.quiet || self.rng.per_mille(rates.honest);
        let mut last = self.clients[index].last_id.filter(|_| honest);
        let fresh_ticket = self.rng.per_mille(300).then(|| self.some_ticket());
        let fresh = !self.quiet && self.rng.per_mille(rates.fresh_session);
        let by_ticket = !self.quiet && self.rng.per_mille(rates.by_ticket);
        let other = self.someone_elses_token(index);
        let client = &mut self.clients[index];
        // In the end nobody fights for a session that another tab has taken over.
        let replaced = client
            .token
            .is_some_and(|token| self.holders.get(&token) != Some(&index));
        if self.rng.per_mille(100) {
            client.transport = self.rng.pick(&[Transport::Sse, Transport::Websocket]);
        }
        let ask = match (client.token, client.ticket) {
            _ if other.is_some() => {
                let token = other.expect("checked");
                last = None;
                Ask::Token {
                    token,
                    ticket: None,
                }
            }
            (Some(token), Some(ticket)) if by_ticket => {
                let token = self.rng.per_mille(500).then_some(token);
                Ask::Ticket { ticket, token }
            }
            (Some(token), _) if !(fresh || self.quiet && replaced) => Ask::Token {
                token,
                ticket: fresh_ticket,
            },
            _ => {
                let patterns = self.some_patterns(4);
                Ask::New {
                    patterns,
                    ticket: fresh_ticket,
                }
            }
        };
        let expires_at_ms = self.some_expiry();
        let client = &mut self.clients[index];
        client.link = Link::Asked(key);
        client.opened = false;
        let request = Request {
            key,
            user: client.user,
            transport: client.transport,
            ask,
            last,
            expires_at_ms,
            fresh_token,
            fresh_connection_id,
        };
        let socket = Socket::new(index, self.weather.queue, Pace::Fast, self.step);
        self.workers[usize::from(key.worker())]
            .sockets
            .insert(key, socket);
        self.report(usize::from(key.worker()), Report::Connect(request));
    }

    fn some_ticket(&mut self) -> TicketHash {
        let mut ticket = TicketHash::default();
        ticket[..8].copy_from_slice(&self.rng.next().to_be_bytes());
        ticket
    }

    /// Another user's token, which must not work, or one of the same user in another tab.
    fn someone_elses_token(&mut self, index: usize) -> Option<Uuid> {
        if self.quiet {
            return None;
        }
        let other = self.rng.below(self.clients.len());
        let same_user = self.clients[other].user == self.clients[index].user;
        let rate = if same_user {
            self.weather.rates.steal
        } else {
            self.weather.rates.wrong_user
        };
        let tries = self.rng.per_mille(rate) && other != index;
        self.clients[other].token.filter(|_| tries)
    }

    /// The hub has answered a request.
    pub fn answered(&mut self, request: &Request, result: Result<Uuid, Refusal>) {
        let worker = &mut self.workers[usize::from(request.key.worker())];
        let index = worker.sockets[&request.key].client;
        if result.is_err() {
            worker.sockets.remove(&request.key);
        }
        let client = &mut self.clients[index];
        let held_before = match result {
            Ok(token) => self.holders.insert(token, index) == Some(index),
            Err(_) => true,
        };
        if client.link != Link::Asked(request.key) {
            // A request that it has given up took over its session all the same, from a position
            // that may be an old one: who does not say what it has gets it again.
            if result.is_ok_and(|token| client.token == Some(token)) {
                client.arrived = MessageId::ZERO;
            }
            return;
        }
        client.was_refused_for_room =
            matches!(result, Err(Refusal::ConnectionLimit | Refusal::HubFull));
        match result {
            Ok(token) => {
                if !held_before {
                    // In another tab's session what this one has got does not count.
                    client.arrived = MessageId::ZERO;
                    client.last_id = request.last;
                }
                if std::mem::take(&mut client.may_get_again) && request.last.is_none() {
                    client.arrived = MessageId::ZERO;
                }
                client.link = Link::Open(request.key);
                if client.token != Some(token) {
                    client.ticket = None;
                }
                client.token = Some(token);
                if let Ask::New {
                    ticket: Some(ticket),
                    ..
                }
                | Ask::Token {
                    ticket: Some(ticket),
                    ..
                } = &request.ask
                {
                    client.ticket = Some(*ticket);
                }
            }
            Err(refusal) => {
                client.link = Link::None;
                match refusal {
                    Refusal::UnknownToken => client.token = None,
                    Refusal::UnknownTicket => client.ticket = None,
                    _ => {}
                }
            }
        }
    }

    /// What arrives at a client.
    pub fn read(&mut self, index: usize) {
        let Link::Open(key) = self.clients[index].link else {
            return;
        };
        let (step, delay, flows) = (
            self.step,
            self.weather.delay_max,
            self.rng.per_mille(self.weather.rates.flow),
        );
        let Some(socket) = self.socket(key) else {
            return;
        };
        let mut arrived = Vec::new();
        while let Some((sent, _)) = socket.wire.front() {
            if !flows && step - sent < delay {
                break;
            }
            arrived.extend(
                socket
                    .wire
                    .pop_front()
                    .map(|(_, bytes)| Seen::from_bytes(&bytes)),
            );
        }
        let over = socket.ended && socket.wire.is_empty();
        for seen in arrived {
            self.see(index, key, seen);
        }
        if over {
            self.clients[index].link = Link::None;
        }
    }

    fn see(&mut self, index: usize, key: ConnectionKey, seen: Seen) {
        self.note(key.number());
        let client = &mut self.clients[index];
        assert!(client.opened || matches!(seen, Seen::Established | Seen::Goodbye));
        match seen {
            Seen::Established => client.opened = true,
            Seen::Notice | Seen::Goodbye => {}
            Seen::Snapshot(id) => client.last_id = Some(id),
            // Only EventSource keeps the position of what is no message.
            Seen::Cursor(id) if client.transport == Transport::Sse => client.last_id = Some(id),
            Seen::Cursor(_) => {}
            Seen::Replayed(id) | Seen::Live(id) => {
                assert!(
                    id > client.arrived,
                    "{id:?} arrives after {:?}",
                    client.arrived
                );
                // What still comes on a stream that was replaced meanwhile, comes again to who does
                // not say that it has it.
                if self.oracle.is_newest_stream(key) {
                    client.arrived = id;
                }
                client.last_id = Some(id);
                self.note(id.to_bits());
            }
        }
    }
}
