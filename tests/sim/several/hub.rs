//! One hub of several: the real core, joined to the log as the real shell joins it.

use std::sync::Arc;
use std::time::Duration;

use statshub::domain::fanout::ConnectionKey;
use statshub::domain::history::{self, History, ReadIds};
use statshub::domain::hub::{Connect, HubState, Limits, Opening};
use statshub::domain::message::{MessageId, Transport};
use statshub::domain::notice::{Goodbye, Notice, Piece};
use statshub::domain::session::{Identity, Session, State};
use statshub::domain::time::Now;
use uuid::Uuid;

use super::Mistake;
use super::client::{Ask, Seen};
use super::log::{Joins, Log, Record, What};
use crate::names;
use crate::world::{Effect, Recorder};

const BACKLOG: usize = 8;

pub struct Hub {
    number: usize,
    state: HubState,
    read: ReadIds,
    last: Option<MessageId>,
    seen: MessageId,
    epoch: u64,
    server: u64,
    is_warming: bool,
    pub acknowledged: Option<(MessageId, u64)>,
    pub is_cut_off: bool,
    mono: Duration,
}

/// What came of reading.
#[derive(Default)]
pub struct Read {
    pub said: Vec<(Option<&'static str>, u64, Seen)>,
    pub closed: Vec<u64>,
}

fn limits() -> Limits {
    Limits {
        history: history::Limits {
            backlog_messages_max: BACKLOG,
            bytes_max: usize::MAX,
            user_bytes_max: usize::MAX,
            user_messages_max: usize::MAX,
            metrics_max: 100,
            counted_ids_max: 100_000,
        },
        connections_per_user_max: 10,
        connections_max: 100,
        away_max: 100,
        session_timeout: Duration::from_secs(1_000_000),
        metric_idle_timeout: Duration::from_secs(1_000_000),
        ttls: Vec::new(),
    }
}

impl Hub {
    pub fn new(number: usize) -> Self {
        let history = History::new(limits().history, MessageId::ZERO);
        Self {
            number,
            state: HubState::restored(limits(), history, []),
            read: ReadIds::new(1000, MessageId::ZERO),
            last: None,
            seen: MessageId::ZERO,
            epoch: 0,
            server: 0,
            is_warming: true,
            acknowledged: None,
            is_cut_off: false,
            mono: Duration::from_secs(1),
        }
    }

    /// All is gone; returns whose streams were here.
    pub fn die(&mut self) -> Vec<u64> {
        let live = self.live().into_iter();
        let key = |token| Some(self.state.session(&token)?.connection.key.number());
        let keys = live.filter_map(key).collect();
        let is_cut_off = self.is_cut_off;
        *self = Self::new(self.number);
        self.is_cut_off = is_cut_off;
        keys
    }

    /// Sessions with a stream.
    pub fn live(&self) -> Vec<Uuid> {
        self.state.positions().map(|(token, _)| token).collect()
    }

    /// As at each new connection, and once in a while: nothing new where all is as it was.
    pub fn join(&mut self, log: &mut Log, now_ms: u64) -> Option<&'static str> {
        if (self.epoch, self.server) == (log.epoch, log.server) && log.epoch != 0 {
            return None;
        }
        let joins = Joins {
            seen: self.seen,
            read: self.last.filter(|_| !self.is_warming),
            acknowledged: self.acknowledged,
        };
        let (reason, can_go_on) = log.join(&joins, now_ms);
        if self
            .acknowledged
            .is_some_and(|(_, epoch)| epoch != log.epoch)
        {
            self.acknowledged = None;
        }
        if self.epoch != log.epoch || !can_go_on {
            self.last = None;
        }
        (self.epoch, self.server) = (log.epoch, log.server);
        reason
    }

    pub fn read(&mut self, log: &Log, most: usize, step: u64, mistake: Mistake) -> Read {
        let mut read = Read::default();
        let mut effects = Recorder::default();
        if self.last.is_none() {
            self.warm(log);
            if mistake != Mistake::NotTold {
                self.state.tell_anew(&mut effects);
            }
        }
        let next = |last: MessageId| log.entries.iter().find(move |entry| entry.id > last);
        for _ in 0..most {
            let last = self.last.unwrap_or_default();
            let Some(entry) = next(last) else {
                break;
            };
            if entry.before != last && mistake != Mistake::NoChain {
                // The connection ends, and with the next one it joins again.
                self.last = None;
                self.server = 0;
                break;
            }
            self.move_to(entry.id);
            self.read.push(entry.id);
            match &entry.what {
                What::Message(message) => self.state.passed_on(message.clone(), &mut effects),
                What::Epoch => {
                    self.begin_anew(entry.id);
                    if mistake != Mistake::NotTold {
                        self.state.tell_anew(&mut effects);
                    }
                }
                What::Mark => self.state.pass(entry.id),
                What::Taken(token, by) => {
                    self.state.pass(entry.id);
                    if *by != self.number && mistake != Mistake::TwoOwners {
                        self.state.taken(*token, &mut effects);
                    }
                }
            }
        }
        self.carry_out(effects, step, &mut read);
        read
    }

    fn begin_anew(&mut self, origin: MessageId) {
        self.read.begin_anew(origin);
        self.state.begin_anew(origin);
    }

    fn move_to(&mut self, id: MessageId) {
        self.last = Some(id);
        self.seen = self.seen.max(id);
    }

    /// Reads the log from its beginning, as the past.
    fn warm(&mut self, log: &Log) {
        self.begin_anew(MessageId::ZERO);
        for entry in &log.entries {
            let is_epoch = matches!(entry.what, What::Epoch);
            if self.last != Some(entry.before) || is_epoch {
                self.begin_anew(if is_epoch { entry.id } else { entry.before });
            }
            self.move_to(entry.id);
            self.read.push(entry.id);
            match &entry.what {
                What::Message(message) => self.state.remember(message.clone()),
                _ => self.state.pass(entry.id),
            }
        }
        if self.last.unwrap_or_default() < log.last {
            self.move_to(log.last);
            self.begin_anew(log.last);
        }
        self.is_warming = false;
    }

    /// Every stream takes at once what it is sent, as far as the hub can see.
    fn carry_out(&mut self, effects: Recorder, step: u64, read: &mut Read) {
        for effect in effects.0 {
            match effect {
                Effect::Deliver(message) => {
                    for token in self.live() {
                        let Some(session) = self.state.session(&token) else {
                            continue;
                        };
                        let key = session.connection.key.number();
                        read.said.push((None, key, Seen::Message(message.id)));
                    }
                }
                Effect::CatchUp(key, pieces, _) => {
                    let told = seen(&pieces, step).into_iter();
                    let told = told.map(|seen| (Some("told of another log"), key.number(), seen));
                    read.said.extend(told);
                }
                Effect::Close(key, Goodbye::Replaced) => {
                    read.closed.push(key.number());
                }
                _ => {}
            }
        }
    }

    /// The stream has ended; the hub had sent everything that it had.
    pub fn end(&mut self, key: u64) {
        let position = self.state.history().last();
        self.mono += Duration::from_millis(1);
        let now = self.now(0);
        self.state
            .disconnected(ConnectionKey::new(0, key), position, now);
    }

    fn now(&self, wall_ms: u64) -> Now {
        Now {
            wall_ms,
            mono: self.mono,
        }
    }

    /// Writes its sessions where all find them, and lets go of those that are another hub's by now.
    pub fn save(&mut self, log: &mut Log, mistake: Mistake) -> Read {
        self.state.note_all();
        let changed = self.state.take_changed().into_iter();
        let changed: Vec<_> = changed
            .map(|(token, session)| (token, session.cloned()))
            .collect();
        let mut effects = Recorder::default();
        for (token, session) in changed {
            let owner = log.records.get(&token).map(|record| record.owner);
            match session {
                Some(session) if owner.is_none_or(|owner| owner == self.number) => {
                    let record = Record {
                        owner: self.number,
                        position: session.position(),
                        session: Some(session),
                    };
                    log.records.insert(token, record);
                }
                Some(_) if mistake != Mistake::TwoOwners => self.state.taken(token, &mut effects),
                _ => {}
            }
        }
        let mut read = Read::default();
        self.carry_out(effects, 0, &mut read);
        read
    }

    /// Whether this hub has read what the client may have. Otherwise it waits.
    pub fn admits(&mut self, ask: &Ask, log: &mut Log, now_ms: u64) -> bool {
        let saved = ask.token.and_then(|token| log.records.get(&token));
        let wanted = ask.position.or(saved.map(|record| record.position));
        if wanted.is_some_and(|wanted| wanted > log.last) {
            log.mark(wanted.unwrap_or_default(), now_ms);
        }
        let has_read = self.last.unwrap_or_default();
        self.last.is_some() && (wanted.is_none() || has_read >= log.last)
    }

    pub fn open(
        &mut self,
        ask: &Ask,
        log: &mut Log,
        (now_ms, step): (u64, u64),
        mistake: Mistake,
    ) -> Option<(Vec<Seen>, &'static str)> {
        let mut position = ask.position;
        let mut saved = None;
        if let Some(token) = ask.token {
            let record = log.records.get_mut(&token)?;
            if record.owner != self.number {
                saved = Some((record.session.clone()?, record.position));
                record.owner = self.number;
                log.taken(token, self.number, now_ms);
            }
        }
        let wanted = position.or(saved.as_ref().map(|(_, position)| *position));
        let is_known = wanted.is_none_or(|wanted| self.read.knows(wanted));
        if !is_known && mistake != Mistake::AnyPosition {
            position = Some(MessageId::ZERO);
        }
        if let Some((session, position)) = saved {
            self.state.adopt(away(session, position, self.mono));
        }
        let connect = self.connect(ask, position);
        let mut effects = Recorder::default();
        let now = self.now(now_ms);
        let token = self.state.connect(connect, now, &mut effects).ok()?;
        let record = Record {
            owner: self.number,
            session: self.state.session(&token).cloned(),
            position: self.state.history().last(),
        };
        log.records.entry(token).or_insert(record);
        let mut opening = Vec::new();
        for effect in effects.0 {
            if let Effect::Attach(attach) = effect {
                opening = seen(&attach.opening, step);
            }
        }
        let corner = match opening.first() {
            Some(Seen::Resumed(_)) if ask.token.is_some() => "resumed",
            Some(Seen::Resumed(_)) => "resumed by position",
            _ if ask.position.is_some() => "resumed with a snapshot",
            _ => "new",
        };
        Some((opening, corner))
    }

    fn connect(&self, ask: &Ask, position: Option<MessageId>) -> Connect {
        let identity = Arc::new(Identity {
            user: names::user(ask.user),
            role: "platform_admin".into(),
            expires_at_ms: u64::MAX,
            issued_at_ms: None,
            token_id: None,
        });
        let opening = match ask.token {
            Some(token) => Opening::Resume {
                identity,
                token,
                ticket: None,
            },
            None => Opening::New {
                identity,
                selectors: Vec::new(),
                ticket: None,
            },
        };
        Connect {
            key: ConnectionKey::new(0, ask.key),
            transport: Transport::Sse,
            opening,
            last_event_id: position,
            progress: Arc::default(),
            remote: [192, 0, 2, 1].into(),
            user_agent: "sim".into(),
            fresh_token: ask.fresh_token,
            fresh_connection_id: ask.fresh_token,
        }
    }
}

fn away(mut session: Session, position: MessageId, since: Duration) -> Session {
    session.state = State::Away { since, position };
    session.connection.opened_at = position;
    session.connection.progress = Arc::default();
    session.carried = None;
    session
}

fn seen(pieces: &[Piece], step: u64) -> Vec<Seen> {
    let seen = |piece: &Piece| match piece {
        Piece::Message(message) => Some(Seen::Message(message.id)),
        Piece::Notice(Notice::InitialMetrics { position, .. }) => {
            Some(Seen::Snapshot(*position, step))
        }
        Piece::Notice(Notice::Established(established)) if established.resumed => {
            Some(Seen::Resumed(established.receipt.dropped.total()))
        }
        Piece::Notice(Notice::Dropped(receipt)) => Some(Seen::Dropped(receipt.dropped.total())),
        Piece::Notice(_) => None,
    };
    pieces.iter().filter_map(seen).collect()
}
