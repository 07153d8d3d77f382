//! What a crash may undo, and what must be as if there had been none.
//!
//! The log loses nothing that anybody was told. A session is what it was when it was last saved: a
//! subscription, a transport, a ticket or a position that came later is undone with it, and one that
//! began later is not known. It is owed what was published after its position, by the subscription
//! that it has.

use super::*;

/// What is saved of a session, as the oracle knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    session: usize,
    transport: Transport,
    expires_at_ms: u64,
    ticket: Option<TicketHash>,
    connection_id: Uuid,
    patterns: Vec<(u64, usize)>,
    unnamed: Option<u64>,
    tests_by: u64,
    away_since_ms: Option<u64>,
    /// How many messages there were.
    published: usize,
    pub sent: Sent,
}

/// How far a client is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sent {
    low: MessageId,
    high: MessageId,
    snapshot_pending: bool,
}

/// What the next process finds.
pub struct Found<'a> {
    /// What is left of the log.
    pub ids: Vec<MessageId>,
    /// How many of them it reads.
    pub ids_read: usize,
    pub sessions: Vec<&'a Snapshot>,
    pub wall_ms: u64,
    pub mono: Duration,
}

impl Oracle {
    pub fn snapshot(&self, token: &Uuid) -> Option<Snapshot> {
        let index = self.by_token(token)?;
        let session = &self.sessions[index];
        Some(Snapshot {
            session: index,
            transport: session.transport,
            expires_at_ms: session.expires_at_ms,
            ticket: session.ticket,
            connection_id: session.connection_id,
            patterns: session.patterns.clone(),
            unnamed: session.unnamed,
            tests_by: session.tests_by,
            away_since_ms: match session.place {
                Place::Away { wall_ms, .. } => Some(wall_ms),
                Place::Connected { .. } | Place::Forgotten => None,
            },
            published: self.log.all.len(),
            sent: session.sent(),
        })
    }

    pub fn sent(&self, token: &Uuid) -> Option<Sent> {
        self.by_token(token)
            .map(|index| self.sessions[index].sent())
    }

    /// Nothing waits to be saved, so what is saved is what there is; but for how far those are who
    /// are there, of which only the end tells all.
    pub fn expect_saved<'a>(&self, saved: impl Iterator<Item = &'a Snapshot>, at_the_end: bool) {
        let comparable = |snapshot: &Snapshot| {
            let mut it = snapshot.clone();
            it.published = 0;
            if !at_the_end && it.away_since_ms.is_none() {
                it.sent = Sent::default();
            }
            (it.session, it)
        };
        let now = |session: &Session| self.snapshot(&session.token).expect("it is known");
        let now: BTreeMap<_, _> = self.known().map(|it| comparable(&now(it))).collect();
        let saved: BTreeMap<_, _> = saved.map(comparable).collect();
        assert_eq!(saved, now, "nothing waits to be saved");
    }

    /// The process died. `late` is in the log, and nobody had heard of it.
    pub fn crashed(&mut self, late: &[Arc<Message>], log: &[MessageId], step: u64) {
        if !late.is_empty() {
            self.visit("in the log and told nobody");
        }
        for message in self.log.all.iter().filter(|message| !message.is_lost) {
            assert!(
                log.binary_search(&message.id).is_ok(),
                "{:?} was handed over and is not in the log",
                message.id
            );
        }
        for message in late {
            self.log.push(message, step);
        }
    }

    /// Another process has begun.
    pub fn recovered(&mut self, found: &Found<'_>) {
        let was_known = std::mem::take(&mut self.known);
        for index in &was_known {
            self.sessions[*index].place = Place::Forgotten;
        }
        self.log.recover(&found.ids, found.ids_read);
        self.exact_split &= !self.gauges_mixed;
        self.draining = false;
        for snapshot in &found.sessions {
            self.restore(snapshot, found);
        }
        self.known.sort_unstable();
        for index in was_known {
            if !self.known.contains(&index) {
                self.visit("a session was lost");
            }
        }
        let users: BTreeSet<UserId> = self.known().map(|session| session.user.clone()).collect();
        for user in users {
            self.limit_away_of(&user);
        }
        self.limit_away(self.limits.away_max, |_| true);
        for index in self.known.clone() {
            self.falls_behind(index);
        }
    }

    fn restore(&mut self, snapshot: &Snapshot, found: &Found<'_>) {
        let index = snapshot.session;
        let lost_change = {
            let session = &self.sessions[index];
            (&session.patterns, session.unnamed) != (&snapshot.patterns, snapshot.unnamed)
        };
        if lost_change {
            self.visit("a change of subscription was lost");
        }
        let session = &mut self.sessions[index];
        if session.sent() != snapshot.sent {
            *self.visited.entry("a position was lost").or_default() += 1;
        }
        session.transport = snapshot.transport;
        session.expires_at_ms = snapshot.expires_at_ms;
        session.ticket = snapshot.ticket;
        session.connection_id = snapshot.connection_id;
        session.patterns = snapshot.patterns.clone();
        session.unnamed = snapshot.unnamed;
        session.tests_by = snapshot.tests_by;
        session.sent_low = snapshot.sent.low;
        session.sent_high = snapshot.sent.high;
        session.snapshot_pending = snapshot.sent.snapshot_pending;
        // Who was there is away from now on, whoever was not for as long as the clock says.
        let away_since_ms = snapshot.away_since_ms.unwrap_or(found.wall_ms);
        let away = Duration::from_millis(found.wall_ms.saturating_sub(away_since_ms));
        session.place = Place::Away {
            since: found.mono.saturating_sub(away),
            wall_ms: away_since_ms,
        };
        session.owed.retain(|owed| owed.index < snapshot.published);
        for (number, message) in self.log.all.iter().enumerate().skip(snapshot.published) {
            let by = session.wants(&message.topic);
            if !by.is_empty() {
                session.owed.push(Owed {
                    index: number,
                    id: message.id,
                    by,
                });
            }
        }
        self.known.push(index);
    }
}

impl Session {
    fn sent(&self) -> Sent {
        Sent {
            low: self.sent_low,
            high: self.sent_high,
            snapshot_pending: self.snapshot_pending,
        }
    }
}
