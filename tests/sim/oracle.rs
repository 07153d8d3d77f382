//! What every session is owed, worked out independently and checked at every step.
//!
//! The oracle writes down for each session everything published to it, by trying the session's
//! patterns at the moment of publication, and follows what is taken from its queues. It knows
//! nothing of rings, cursors, carried counts or routes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use statshub::domain::backlog::Receipt;
use statshub::domain::fanout::ConnectionKey;
use statshub::domain::hub::{self, Refusal};
use statshub::domain::message::{Message, MessageId, Topic, Transport, UserId};
use statshub::domain::notice::{Established, Goodbye, Notice, Piece};
use statshub::domain::session::TicketHash;
use uuid::Uuid;

use crate::log::Log;
use crate::names;
use crate::weather::Weather;
use crate::world::{Ask, Attach, Effect, Request, Seen};

/// Matches whatever happens, like alerts.
const ALWAYS: u64 = 0;

/// Something published to a session, and by which of its patterns.
pub struct Owed {
    pub index: usize,
    pub id: MessageId,
    by: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Connected { key: ConnectionKey, closing: bool },
    Away { since: Duration },
    Forgotten,
}

pub struct Session {
    pub token: Uuid,
    pub user: UserId,
    pub transport: Transport,
    pub place: Place,
    pub expires_at_ms: u64,
    pub ticket: Option<TicketHash>,
    connection_id: Uuid,
    /// Pattern and the number it got when it was added.
    patterns: Vec<(u64, usize)>,
    unnamed: Option<u64>,
    tests_by: u64,
    began: MessageId,
    pub owed: Vec<Owed>,
    /// The client has been sent everything up to somewhere between these two: what lies between
    /// was reported as dropped.
    sent_low: MessageId,
    sent_high: MessageId,
    snapshot_pending: bool,
    newest_stream: ConnectionKey,
}

/// One stream, from the worker's side.
pub struct Stream {
    pub session: usize,
    /// Everything owed up to here was sent, or reported as dropped.
    pub accounted: MessageId,
    last_id: MessageId,
    /// Numbered pieces of the opening or catch-up not taken yet.
    untaken: usize,
    opened: bool,
}

pub struct Oracle {
    pub log: Log,
    pub limits: hub::Limits,
    counts_forgotten: bool,
    literal: bool,
    exact_split: bool,
    pub sessions: Vec<Session>,
    /// Indexes of sessions that are not forgotten.
    known: Vec<usize>,
    pub streams: BTreeMap<ConnectionKey, Stream>,
    pub draining: bool,
    next_pattern: u64,
    /// The corners that the history has come through, to see that it comes through all.
    pub visited: BTreeMap<&'static str, u64>,
}

impl Oracle {
    pub fn visit(&mut self, corner: &'static str) {
        *self.visited.entry(corner).or_default() += 1;
    }

    pub fn new(weather: &Weather, origin: MessageId) -> Self {
        let gauges = weather.gauges.contains(&true);
        Self {
            log: Log::new(weather.limits.history.clone(), origin),
            limits: weather.limits.clone(),
            counts_forgotten: weather.forgets_counts(),
            literal: !weather.is_bounded_in_bytes() && !(gauges && weather.gauges_mixed),
            exact_split: !(weather.forgets_counts() && gauges),
            sessions: Vec::new(),
            known: Vec::new(),
            streams: BTreeMap::new(),
            draining: false,
            next_pattern: ALWAYS + 1,
            visited: BTreeMap::new(),
        }
    }

    pub fn known(&self) -> impl Iterator<Item = &Session> {
        self.known.iter().map(|index| &self.sessions[*index])
    }

    fn number(&mut self) -> u64 {
        self.next_pattern += 1;
        self.next_pattern
    }

    fn by_token(&self, token: &Uuid) -> Option<usize> {
        self.known
            .iter()
            .copied()
            .find(|index| self.sessions[*index].token == *token)
    }

    pub fn by_key(&self, key: ConnectionKey) -> Option<usize> {
        self.known.iter().copied().find(
            |i| matches!(self.sessions[*i].place, Place::Connected { key: own, .. } if own == key),
        )
    }

    pub fn live(&self) -> usize {
        self.known().filter(|session| session.is_live()).count()
    }

    pub fn live_of(&self, user: &UserId) -> usize {
        self.known()
            .filter(|session| session.is_live() && session.user == *user)
            .count()
    }

    pub fn audience(&self, topic: &Topic) -> usize {
        self.known()
            .filter(|s| s.is_live() && !s.wants(topic).is_empty())
            .count()
    }

    // What happens at the hub.

    pub fn published(&mut self, message: &Message, step: u64) {
        let index = self.log.push(message, step);
        for session in &self.known {
            let session = &mut self.sessions[*session];
            let by = session.wants(&message.topic);
            if !by.is_empty() {
                session.owed.push(Owed {
                    index,
                    id: message.id,
                    by,
                });
            }
        }
    }

    /// Checks the answer to a request and what the stream begins with.
    pub fn connected(
        &mut self,
        request: &Request,
        result: &Result<Uuid, Refusal>,
        effects: &[Effect],
        wall_ms: u64,
    ) {
        let expected = self.refusal(request, wall_ms);
        assert_eq!(result.as_ref().err(), expected.as_ref(), "{request:?}");
        self.visit(match result {
            Ok(_) if request.last.is_some() => "accepted with lastEventId",
            Ok(_) => "accepted",
            Err(Refusal::ConnectionLimit) => "connection limit",
            Err(Refusal::HubFull) => "hub full",
            Err(Refusal::UnknownToken) => "unknown token",
            Err(Refusal::UnknownTicket) => "unknown ticket",
            Err(Refusal::TooManyPatterns) => "too many patterns",
            Err(Refusal::Draining) => "draining",
        });
        let Ok(token) = result else {
            assert!(effects.is_empty(), "a refusal has no effects");
            return;
        };
        let (index, previous) = match &request.ask {
            Ask::New { .. } => {
                assert_eq!(*token, request.fresh_token);
                (self.begin_session(request), None)
            }
            Ask::Token { .. } | Ask::Ticket { .. } => {
                let index = self.by_token(token).expect("it was there, or refused");
                (index, Some(self.sessions[index].connection_id))
            }
        };
        let replaced = match self.sessions[index].place {
            Place::Connected {
                key,
                closing: false,
            } if previous.is_some() => Some((key, Goodbye::Replaced)),
            _ => None,
        };
        self.expect_closes(effects, replaced);
        let attach = effects.iter().find_map(|effect| match effect {
            Effect::Attach(attach) if attach.key == request.key => Some(attach),
            _ => None,
        });
        let attach = attach.expect("a stream that was accepted begins");
        let resumed = self.check_opening(index, request, previous, attach);
        self.visit(match (&request.ask, resumed) {
            (Ask::New { .. }, true) => "new session from a position",
            (Ask::New { .. }, false) => "new session",
            (Ask::Ticket { .. }, _) => "resumed by ticket",
            (Ask::Token { .. }, true) => "resumed",
            (Ask::Token { .. }, false) => "resumed with a snapshot",
        });
        if replaced.is_some() {
            self.visit("replaced");
        }

        let number = self.number();
        let session = &mut self.sessions[index];
        if session.transport != request.transport {
            session.transport = request.transport;
            session.tests_by = number;
        }
        if !matches!(request.ask, Ask::Ticket { .. }) {
            session.expires_at_ms = request.expires_at_ms;
        }
        if let Ask::Token {
            ticket: Some(ticket),
            ..
        } = &request.ask
        {
            session.ticket = Some(*ticket);
        }
        session.connection_id = request.fresh_connection_id;
        session.snapshot_pending = !resumed;
        session.newest_stream = request.key;
        session.place = Place::Connected {
            key: request.key,
            closing: false,
        };
        self.streams.insert(
            request.key,
            Stream {
                session: index,
                accounted: MessageId::ZERO,
                last_id: MessageId::ZERO,
                untaken: 0,
                opened: false,
            },
        );
    }

    fn refusal(&self, request: &Request, wall_ms: u64) -> Option<Refusal> {
        if self.draining {
            return Some(Refusal::Draining);
        }
        let mut user = names::user(request.user);
        let mut own = 0;
        match &request.ask {
            Ask::New { .. } => {}
            Ask::Token { token, .. } => match self.by_token(token) {
                Some(index) if self.sessions[index].user == user => {
                    own = usize::from(self.sessions[index].is_live());
                }
                _ => return Some(Refusal::UnknownToken),
            },
            Ask::Ticket { ticket, token } => {
                match self.known().find(|session| session.ticket == Some(*ticket)) {
                    Some(session)
                        if session.expires_at_ms > wall_ms
                            && token.is_none_or(|token| token == session.token) =>
                    {
                        own = usize::from(session.is_live());
                        user = session.user.clone();
                    }
                    _ => return Some(Refusal::UnknownTicket),
                }
            }
        }
        if self.live_of(&user) - own >= self.limits.connections_per_user_max {
            return Some(Refusal::ConnectionLimit);
        }
        (self.live() - own >= self.limits.connections_max).then_some(Refusal::HubFull)
    }

    fn begin_session(&mut self, request: &Request) -> usize {
        let Ask::New { patterns, ticket } = &request.ask else {
            unreachable!("only new sessions begin");
        };
        let began = request
            .last
            .filter(|id| self.log.covers(*id))
            .unwrap_or(self.log.last);
        let unnamed = patterns.is_empty().then(|| self.number());
        let mut distinct: Vec<usize> = Vec::new();
        patterns.iter().for_each(|p| {
            if !distinct.contains(p) {
                distinct.push(*p);
            }
        });
        let patterns = distinct.into_iter().map(|p| (self.number(), p)).collect();
        let mut session = Session {
            token: request.fresh_token,
            user: names::user(request.user),
            transport: request.transport,
            place: Place::Connected {
                key: request.key,
                closing: false,
            },
            expires_at_ms: request.expires_at_ms,
            ticket: *ticket,
            connection_id: request.fresh_connection_id,
            patterns,
            unnamed,
            tests_by: self.number(),
            began,
            owed: Vec::new(),
            sent_low: began,
            sent_high: began,
            snapshot_pending: false,
            newest_stream: request.key,
        };
        let start = self.log.all.partition_point(|message| message.id <= began);
        for index in start..self.log.all.len() {
            let by = session.wants(&self.log.all[index].topic);
            if !by.is_empty() {
                session.owed.push(Owed {
                    index,
                    id: self.log.all[index].id,
                    by,
                });
            }
        }
        self.sessions.push(session);
        self.known.push(self.sessions.len() - 1);
        self.sessions.len() - 1
    }

    fn check_opening(
        &mut self,
        index: usize,
        request: &Request,
        previous: Option<Uuid>,
        attach: &Attach,
    ) -> bool {
        let session = &self.sessions[index];
        assert_eq!(attach.through, self.log.last, "the stream goes on from now");
        assert_eq!(attach.user, session.user);
        assert_eq!(attach.transport, request.transport);
        let Some((Piece::Notice(Notice::Established(established)), rest)) =
            attach.opening.split_first()
        else {
            panic!("a stream begins with connection_established");
        };
        let Established {
            connection_id,
            reconnect_token,
            user,
            metrics,
            resumed,
            replayed,
            receipt,
            previous_connection_id,
        } = &**established;
        assert_eq!(*connection_id, request.fresh_connection_id);
        assert_eq!(*reconnect_token, session.token);
        assert_eq!(*user, session.user);
        assert_eq!(*previous_connection_id, previous);
        assert_eq!(
            metrics.iter().map(|p| p.as_str()).collect::<Vec<_>>(),
            session.pattern_names(),
            "the subscription as told"
        );
        let is_new = previous.is_none();
        if *resumed {
            let ids = ids(rest);
            assert_eq!(
                *replayed,
                ids.len(),
                "the count in the opening is what follows"
            );
            assert!(
                !(is_new && request.last.is_none()),
                "nothing to resume from"
            );
            let named = request.last;
            if let Some(named) = named {
                assert!(self.log.covers(named), "{named:?} is not of this log");
                assert!(named >= session.began, "before the session began");
            }
            assert!(
                named.is_some() || !session.snapshot_pending,
                "the snapshot was never sent"
            );
            let (low, high) = match named {
                Some(named) => (named, named),
                None => (session.sent_low, session.sent_high),
            };
            let (low, high) = self.check_backlog(index, low, high, &ids, Some(receipt));
            if receipt.dropped.total() > 0 {
                self.visit("resumed with something dropped");
            }
            if receipt.conflated > 0 {
                self.visit("conflated");
            }
            let session = &mut self.sessions[index];
            (session.sent_low, session.sent_high) = (low, high);
        } else {
            assert_eq!((*replayed, receipt), (0, &Receipt::default()));
            let must_know = match request.last {
                None if is_new => false,
                Some(named) => {
                    self.log.covers(named)
                        && named >= session.began
                        && !self.may_not_know(index, named)
                }
                None => {
                    session.sent_low >= self.log.origin
                        && session.sent_low >= session.began
                        && !session.snapshot_pending
                        && !self.may_not_know(index, session.sent_low)
                }
            };
            assert!(
                !must_know,
                "a resume that could have been served: {request:?}"
            );
            self.check_snapshot(index, rest);
            let session = &mut self.sessions[index];
            (session.sent_low, session.sent_high) = (self.log.last, self.log.last);
        }
        *resumed
    }

    /// Whether the hub may have forgotten what went for this session after `position`.
    fn may_not_know(&self, session: usize, position: MessageId) -> bool {
        let missed = self.missed(session, position).0;
        self.counts_forgotten && missed.iter().any(|index| !self.log.all[*index].kept)
    }

    fn check_snapshot(&self, index: usize, pieces: &[Piece]) {
        let session = &self.sessions[index];
        let [Piece::Notice(Notice::InitialMetrics { position, values })] = pieces else {
            panic!("a stream that is not resumed goes on with the snapshot alone");
        };
        assert_eq!(*position, self.log.last, "the snapshot is of now");
        let mut expected: BTreeMap<&str, MessageId> = BTreeMap::new();
        for (topic, newest) in &self.log.newest {
            if let Some(name) = topic.metric().filter(|_| !session.wants(topic).is_empty()) {
                let id = self.log.all[*newest].id;
                let value = expected.entry(name.as_str()).or_insert(id);
                *value = id.max(*value);
            }
        }
        let values: BTreeMap<&str, MessageId> = values
            .iter()
            .map(|(name, message)| (name.as_str(), message.id))
            .collect();
        assert_eq!(values, expected, "the snapshot holds the newest values");
    }

    /// What a session is owed after `position`, and how much more it was owed before it gave up
    /// patterns.
    fn missed(&self, session: usize, position: MessageId) -> (Vec<usize>, usize) {
        let session = &self.sessions[session];
        let start = session.owed.partition_point(|owed| owed.id <= position);
        let (mut missed, mut given_up) = (Vec::new(), 0);
        for owed in &session.owed[start..] {
            if session.still_wants(owed) {
                missed.push(owed.index);
            } else {
                given_up += 1;
            }
        }
        (missed, given_up)
    }

    /// Checks the backlog of a session whose client was sent everything up to `low`, or up to
    /// `high`. Returns between which two the client is taken to be. No receipt means that nothing
    /// was said, because nothing was dropped.
    fn check_backlog(
        &self,
        session: usize,
        low: MessageId,
        high: MessageId,
        sent: &[MessageId],
        receipt: Option<&Receipt>,
    ) -> (MessageId, MessageId) {
        let right = |from| self.backlog_error(session, from, sent, receipt);
        match (right(low), right(high)) {
            (None, None) => (low, high),
            (None, Some(_)) => (low, low),
            (Some(_), None) => (high, high),
            (Some(error), Some(_)) => panic!("backlog after {low:?}: {error}"),
        }
    }

    fn backlog_error(
        &self,
        session: usize,
        from: MessageId,
        sent: &[MessageId],
        receipt: Option<&Receipt>,
    ) -> Option<String> {
        let (missed, given_up) = self.missed(session, from);
        let fate = self.log.fate(&missed);
        if self.literal && from >= self.log.origin {
            assert_eq!(
                fate.sent,
                self.log.literal_buffer(&missed),
                "the two models agree"
            );
        }
        if fate.sent != sent {
            return Some(format!(
                "sent {sent:?}, not {:?} of {} missed",
                fate.sent,
                missed.len()
            ));
        }
        let expected = fate.dropped.total() + fate.conflated;
        assert_eq!(fate.sent.len() as u64 + expected, missed.len() as u64);
        let Some(receipt) = receipt else {
            return (fate.dropped.total() > 0).then(|| format!("{fate:?}, and nothing is said"));
        };
        let total = receipt.dropped.total() + receipt.conflated;
        if self.counts_forgotten && given_up > 0 {
            // What was counted early was counted under the subscription of that time.
            return (!(expected..=expected + given_up as u64).contains(&total))
                .then(|| format!("{total} not sent, {expected} and up to {given_up} are owed"));
        }
        if total != expected {
            return Some(format!("{total} not sent, {expected} are owed"));
        }
        let names: Vec<&str> = receipt.metrics.iter().map(|name| name.as_str()).collect();
        let split = (receipt.dropped, receipt.conflated) == (fate.dropped, fate.conflated);
        (self.exact_split && (!split || names != fate.metrics))
            .then(|| format!("told {receipt:?}, not {fate:?}"))
    }

    /// Checks what a lagging connection gets.
    pub fn drained(&mut self, key: ConnectionKey, effects: &[Effect]) {
        let Some(index) = self.by_key(key) else {
            assert!(effects.is_empty());
            return;
        };
        let (low, high) = (
            self.sessions[index].sent_low,
            self.sessions[index].sent_high,
        );
        let caught_up = effects.iter().find_map(|effect| match effect {
            Effect::CatchUp(to, pieces, through) if *to == key => Some((pieces, through)),
            _ => None,
        });
        let Some((pieces, through)) = caught_up else {
            if self.sessions[index].is_live() {
                self.visit("trouble");
                let may = low < self.log.origin || self.may_not_know(index, low);
                assert!(may, "a lagging client that could have been served");
                self.expect_closes(effects, [(key, Goodbye::Trouble)]);
            }
            return;
        };
        assert_eq!(*through, self.log.last);
        let (receipt, rest) = match pieces.split_first() {
            Some((Piece::Notice(Notice::Dropped(receipt)), rest)) => {
                assert!(
                    receipt.dropped.total() > 0,
                    "nothing was dropped, so nothing is said"
                );
                (Some(receipt), rest)
            }
            _ => (None, &pieces[..]),
        };
        self.check_backlog(index, low, high, &ids(rest), receipt);
        self.visit(match receipt {
            Some(_) => "caught up with something dropped",
            None => "caught up",
        });
    }

    pub fn disconnected(&mut self, key: ConnectionKey, mono: Duration) {
        let Some(index) = self.by_key(key) else {
            return;
        };
        self.sessions[index].place = Place::Away { since: mono };
        let user = self.sessions[index].user.clone();
        self.limit_away(2 * self.limits.connections_per_user_max, |session| {
            session.user == user
        });
        self.limit_away(self.limits.away_max, |_| true);
    }

    fn limit_away(&mut self, max: usize, counts: impl Fn(&Session) -> bool) {
        let mut away: Vec<(Duration, usize)> = Vec::new();
        for index in &self.known {
            let session = &self.sessions[*index];
            if let (Place::Away { since }, true) = (session.place, counts(session)) {
                away.push((since, *index));
            }
        }
        away.sort();
        let excess = away.len().saturating_sub(max);
        for (_, index) in away.into_iter().take(excess) {
            self.visit("too many away");
            self.forget(index);
        }
    }

    pub fn forget(&mut self, index: usize) {
        self.sessions[index].place = Place::Forgotten;
        self.known.retain(|known| *known != index);
    }

    pub fn ticked(&mut self, wall_ms: u64, mono: Duration, effects: &[Effect]) {
        let expired: Vec<(ConnectionKey, Goodbye)> = self
            .known()
            .filter(|session| session.expires_at_ms <= wall_ms)
            .filter_map(|session| session.live_key())
            .map(|key| (key, Goodbye::TokenExpired))
            .collect();
        if !expired.is_empty() {
            self.visit("token expired");
        }
        self.expect_closes(effects, expired);
        let timeout = self.limits.session_timeout;
        let old: Vec<usize> = self
            .known
            .iter()
            .copied()
            .filter(|i| matches!(self.sessions[*i].place, Place::Away { since } if mono - since > timeout))
            .collect();
        for index in old {
            self.visit("away too long");
            self.forget(index);
        }
    }

    pub fn operator_disconnected(&mut self, user: &UserId, effects: &[Effect]) -> usize {
        let chosen: Vec<usize> = self
            .known
            .iter()
            .copied()
            .filter(|i| self.sessions[*i].user == *user)
            .collect();
        let closes: Vec<_> = chosen
            .iter()
            .filter_map(|i| self.sessions[*i].live_key())
            .map(|key| (key, Goodbye::Disconnected))
            .collect();
        if !closes.is_empty() {
            self.visit("disconnected by an operator");
        }
        self.expect_closes(effects, closes);
        chosen.iter().for_each(|index| self.forget(*index));
        chosen.len()
    }

    pub fn drains(&mut self, effects: &[Effect]) {
        let live: BTreeSet<_> = self.known().filter_map(Session::live_key).collect();
        let told = |effect: &Effect| match effect {
            Effect::Close(key, Goodbye::Shutdown { .. }) => Some(*key),
            _ => None,
        };
        assert_eq!(
            effects.iter().filter_map(told).collect::<BTreeSet<_>>(),
            live
        );
        self.closing(effects);
        self.draining = true;
    }

    /// Exactly these streams are told to end, for these reasons.
    fn expect_closes(
        &mut self,
        effects: &[Effect],
        expected: impl IntoIterator<Item = (ConnectionKey, Goodbye)>,
    ) {
        let mut expected: Vec<_> = expected.into_iter().collect();
        expected.sort_by_key(|(key, _)| *key);
        let mut closes: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Close(key, goodbye) => Some((*key, *goodbye)),
                _ => None,
            })
            .collect();
        closes.sort_by_key(|(key, _)| *key);
        assert_eq!(closes, expected, "streams told to end");
        self.closing(effects);
    }

    fn closing(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Close(closed, _) = effect
                && let Some(index) = self.by_key(*closed)
            {
                self.sessions[index].place = Place::Connected {
                    key: *closed,
                    closing: true,
                };
            }
        }
    }

    pub fn subscribed(&mut self, session: usize, patterns: &[usize]) {
        let first = self.next_pattern + 1;
        self.next_pattern += patterns.len() as u64;
        let session = &mut self.sessions[session];
        for (pattern, number) in patterns.iter().zip(first..) {
            if !session.patterns.iter().any(|(_, known)| known == pattern) {
                session.patterns.push((number, *pattern));
                let Some(unnamed) = session.unnamed else {
                    continue;
                };
                // It was getting these all along.
                for owed in session
                    .owed
                    .iter_mut()
                    .filter(|owed| owed.by.contains(&unnamed))
                {
                    let name = self.log.all[owed.index]
                        .topic
                        .metric()
                        .expect("a metric")
                        .as_str();
                    if names::matches(names::PATTERNS[*pattern], name) {
                        owed.by.push(number);
                    }
                }
            }
        }
        session.unnamed = session.unnamed.filter(|_| patterns.is_empty());
    }

    pub fn unsubscribed(&mut self, session: usize, patterns: &[usize]) {
        let session = &mut self.sessions[session];
        session
            .patterns
            .retain(|(_, known)| !patterns.contains(known));
        if patterns
            .iter()
            .any(|pattern| names::PATTERNS[*pattern] == "**")
        {
            session.unnamed = None;
        }
    }

    pub fn sessions_of(&self, user: &UserId) -> Vec<usize> {
        self.known
            .iter()
            .copied()
            .filter(|i| self.sessions[*i].user == *user)
            .collect()
    }

    /// The process died.
    pub fn restarted(&mut self, origin: MessageId) {
        self.log.lose_everything(origin);
        for index in std::mem::take(&mut self.known) {
            self.sessions[index].place = Place::Forgotten;
        }
        self.draining = false;
    }

    // What happens at the workers.

    /// An opening or a catch-up has reached the queue, with so many numbered pieces.
    pub fn queued(&mut self, key: ConnectionKey, numbered: usize, through: MessageId) {
        let stream = self.streams.get_mut(&key).expect("a stream");
        assert_eq!(stream.untaken, 0, "it caught up before it had run empty");
        stream.untaken = numbered;
        stream.accounted = through;
        self.settle(key);
    }

    /// A piece goes out on the wire.
    pub fn taken(&mut self, key: ConnectionKey, seen: Seen) {
        let stream = self.streams.get_mut(&key).expect("a stream");
        let session = &mut self.sessions[stream.session];
        let is_current =
            matches!(session.place, Place::Connected { key: current, .. } if current == key);
        if seen == Seen::Established {
            assert!(!stream.opened, "a second beginning");
            stream.opened = true;
        }
        assert!(
            stream.opened || seen == Seen::Goodbye,
            "{seen:?} before the beginning"
        );
        let position = match seen {
            Seen::Established | Seen::Notice | Seen::Goodbye => return,
            Seen::Replayed(id) => {
                stream.untaken = stream.untaken.checked_sub(1).expect("a planned replay");
                id
            }
            Seen::Snapshot(id) => {
                stream.untaken = stream.untaken.checked_sub(1).expect("a planned snapshot");
                if is_current {
                    session.snapshot_pending = false;
                }
                id
            }
            Seen::Live(id) => {
                let next = session
                    .owed
                    .partition_point(|owed| owed.id <= stream.accounted);
                let next = session.owed.get(next).map(|owed| owed.id);
                assert_eq!(
                    Some(id),
                    next,
                    "the next live message after {:?}",
                    stream.accounted
                );
                stream.accounted = id;
                id
            }
            Seen::Cursor(id) => {
                *self.visited.entry("cursor").or_default() += 1;
                let next = session
                    .owed
                    .partition_point(|owed| owed.id <= stream.accounted);
                let passed = session.owed.get(next).filter(|owed| owed.id <= id);
                assert!(passed.is_none(), "the cursor passes something not sent");
                assert_eq!(stream.untaken, 0, "the cursor passes a replay");
                stream.accounted = id;
                id
            }
        };
        assert!(
            position > stream.last_id || matches!(seen, Seen::Snapshot(_)),
            "ids go up: {position:?} after {:?}",
            stream.last_id
        );
        stream.last_id = position;
        if is_current {
            session.sent_low = session.sent_low.max(position);
            session.sent_high = session.sent_high.max(position);
        }
        self.settle(key);
    }

    /// Whether no later stream has taken over its session.
    pub fn is_newest_stream(&self, key: ConnectionKey) -> bool {
        let stream = self.streams.get(&key);
        stream.is_some_and(|stream| self.sessions[stream.session].newest_stream == key)
    }

    /// When all of an opening is out, what it reported as dropped is settled too.
    fn settle(&mut self, key: ConnectionKey) {
        let stream = &self.streams[&key];
        let session = &mut self.sessions[stream.session];
        let is_current =
            matches!(session.place, Place::Connected { key: current, .. } if current == key);
        if is_current && stream.untaken == 0 {
            session.sent_high = session.sent_high.max(stream.accounted);
        }
    }

    /// The step at which the oldest message was published that is owed on a stream and neither
    /// sent nor reported.
    pub fn waiting_since(&self, key: ConnectionKey) -> Option<(MessageId, u64)> {
        let stream = &self.streams[&key];
        let owed = &self.sessions[stream.session].owed;
        let next = owed.get(owed.partition_point(|owed| owed.id <= stream.accounted))?;
        Some((next.id, self.log.all[next.index].step))
    }
}

impl Session {
    pub fn is_live(&self) -> bool {
        matches!(self.place, Place::Connected { closing: false, .. })
    }

    fn live_key(&self) -> Option<ConnectionKey> {
        match self.place {
            Place::Connected {
                key,
                closing: false,
            } => Some(key),
            _ => None,
        }
    }

    fn wants(&self, topic: &Topic) -> Vec<u64> {
        let by_name = |name: &str| {
            let named = self
                .patterns
                .iter()
                .filter(|(_, p)| names::matches(names::PATTERNS[*p], name));
            self.unnamed
                .into_iter()
                .chain(named.map(|(number, _)| *number))
                .collect()
        };
        match topic {
            Topic::Alerts => vec![ALWAYS],
            Topic::Metric(name) => by_name(name.as_str()),
            Topic::UserMetric(name, user) if *user == self.user => by_name(name.as_str()),
            Topic::Test(user, transport) if *user == self.user && *transport == self.transport => {
                vec![self.tests_by]
            }
            _ => Vec::new(),
        }
    }

    fn still_wants(&self, owed: &Owed) -> bool {
        owed.by.iter().any(|by| {
            *by == ALWAYS
                || *by == self.tests_by
                || self.unnamed == Some(*by)
                || self.patterns.iter().any(|(number, _)| number == by)
        })
    }

    pub fn pattern_names(&self) -> Vec<&'static str> {
        match self.unnamed {
            Some(_) => vec!["**"],
            None => self
                .patterns
                .iter()
                .map(|(_, p)| names::PATTERNS[*p])
                .collect(),
        }
    }
}

fn ids(pieces: &[Piece]) -> Vec<MessageId> {
    let id = |piece: &Piece| match piece {
        Piece::Message(message) => message.id,
        Piece::Notice(notice) => panic!("{notice:?} among the replayed messages"),
    };
    pieces.iter().map(id).collect()
}
