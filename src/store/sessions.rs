//! Sessions in the file: each one row, written when it begins, changes, goes away, and for its position
//! with every heartbeat.

use std::net::IpAddr;
use std::sync::Arc;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::file::{id_of, to_sql};
use crate::domain::fanout::ConnectionKey;
use crate::domain::losses::Losses;
use crate::domain::message::{MessageId, PerPriority, Priority, Transport, UserId};
use crate::domain::pattern::{PATTERNS_MAX, Pattern};
use crate::domain::session::{Connection as Stream, Identity, Session, State};
use crate::domain::subscription::{Entry, Subscription};
use crate::domain::view::Selector;

/// What became of a session.
#[derive(Debug)]
pub enum SessionChange {
    /// Whatever was written before: no more.
    Anew,
    Saved(Box<Saved>),
    /// Its client has been sent everything up to here.
    Moved(Uuid, MessageId),
    Forgotten(Uuid),
}

/// A session as it is written, and as it is found after a start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    pub token: Uuid,
    pub position: MessageId,
    /// In milliseconds since the Unix epoch; `None`: its client was there.
    pub away_since_ms: Option<u64>,
    record: Record,
}

/// The rest, as JSON: what needs no column of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    connection_id: Uuid,
    user: String,
    role: String,
    expires_at_ms: u64,
    issued_at_ms: Option<u64>,
    token_id: Option<String>,
    transport: Transport,
    patterns: Vec<(String, u64)>,
    /// What is asked of each pattern besides its name; empty where nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    views: Vec<Option<String>>,
    unnamed: Option<u64>,
    began: u64,
    transport_since: u64,
    ticket: Option<[u8; 32]>,
    dropped: [u64; 4],
    sent: u64,
    remote: IpAddr,
    user_agent: String,
}

impl Saved {
    pub fn of(session: &Session) -> Self {
        let identity = &session.identity;
        let (entries, unnamed) = session.subscription.parts();
        let pattern = |entry: &Entry| {
            let pattern = entry.selector.pattern.as_str().to_owned();
            (pattern, entry.since.to_bits())
        };
        let view = |entry: &Entry| {
            let view = entry.selector.view.as_ref()?;
            Some(view.as_str().to_owned())
        };
        let views: Vec<_> = entries.iter().map(view).collect();
        Self {
            token: session.token,
            position: session.position(),
            away_since_ms: (!session.is_connected()).then_some(session.since_ms),
            record: Record {
                connection_id: session.connection_id,
                user: identity.user.as_str().to_owned(),
                role: identity.role.to_string(),
                expires_at_ms: identity.expires_at_ms,
                issued_at_ms: identity.issued_at_ms,
                token_id: identity.token_id.clone(),
                transport: session.transport,
                patterns: entries.iter().map(pattern).collect(),
                views: match views.iter().any(Option::is_some) {
                    true => views,
                    false => Vec::new(),
                },
                unnamed: unnamed.map(MessageId::to_bits),
                began: session.began.to_bits(),
                transport_since: session.transport_since.to_bits(),
                ticket: session.ticket.as_deref().copied(),
                dropped: Priority::ALL.map(|priority| session.dropped[priority]),
                sent: session.sent(),
                remote: session.connection.remote,
                user_agent: session.connection.user_agent.to_string(),
            },
        }
    }

    /// What needs no column of its own, as it is written.
    pub(super) fn text(&self) -> String {
        // Cannot fail: strings, numbers and lists of them.
        serde_json::to_string(&self.record).unwrap_or_default()
    }

    /// One as it is found; `None` for what this program never writes.
    pub(super) fn read(
        token: Uuid,
        position: MessageId,
        away_since_ms: Option<u64>,
        text: &str,
    ) -> Option<Self> {
        let Ok(record) = serde_json::from_str(text) else {
            log::warn!("a session in the store cannot be read and is left out");
            return None;
        };
        Some(Self {
            token,
            position,
            away_since_ms,
            record,
        })
    }

    /// The session, away; since when, its caller says. `None` for what this program never writes.
    pub fn session(&self, away: State) -> Option<Session> {
        let record = &self.record;
        let entry = |(nth, (text, since)): (usize, &(String, u64))| {
            let view = record.views.get(nth).cloned().flatten();
            Some(Entry {
                selector: Selector::kept(Pattern::parse(text).ok()?, view.as_deref())?,
                since: MessageId::from_bits(*since),
            })
        };
        if record.patterns.len() > PATTERNS_MAX {
            return None;
        }
        let entries: Option<Vec<_>> = record.patterns.iter().enumerate().map(entry).collect();
        let unnamed = record.unnamed.map(MessageId::from_bits);
        let mut dropped = PerPriority::default();
        for (priority, count) in Priority::ALL.into_iter().zip(record.dropped) {
            dropped[priority] = count;
        }
        Some(Session {
            token: self.token,
            connection_id: record.connection_id,
            identity: Arc::new(Identity {
                user: UserId::parse(&record.user)?,
                role: record.role.as_str().into(),
                expires_at_ms: record.expires_at_ms,
                issued_at_ms: record.issued_at_ms,
                token_id: record.token_id.clone(),
            }),
            transport: record.transport,
            subscription: Subscription::from_parts(entries?, unnamed),
            began: MessageId::from_bits(record.began),
            transport_since: MessageId::from_bits(record.transport_since),
            state: away,
            connection: Stream {
                key: ConnectionKey::new(0, 0),
                progress: Arc::default(),
                remote: record.remote,
                user_agent: record.user_agent.as_str().into(),
                opened_at: self.position,
                known: None,
                closing: false,
            },
            ticket: record.ticket.map(Box::new),
            since_ms: self.away_since_ms.unwrap_or_default(),
            carried: None,
            dropped,
            losses: Some(Box::new(Losses::since(self.position))),
            sent_before: record.sent,
        })
    }
}

pub(super) fn write(connection: &Connection, changes: &[SessionChange]) -> rusqlite::Result<()> {
    let save = "INSERT OR REPLACE INTO session (token, position, away_since_ms, record) \
                VALUES (?1, ?2, ?3, ?4)";
    let mut save = connection.prepare_cached(save)?;
    let moved = "UPDATE session SET position = ?2 WHERE token = ?1";
    let mut moved = connection.prepare_cached(moved)?;
    let mut forget = connection.prepare_cached("DELETE FROM session WHERE token = ?1")?;
    for change in changes {
        match change {
            SessionChange::Anew => connection.execute("DELETE FROM session", [])?,
            SessionChange::Saved(saved) => {
                let away = saved.away_since_ms.and_then(|ms| i64::try_from(ms).ok());
                let position = to_sql(saved.position);
                let record = saved.text();
                save.execute(params![saved.token.as_bytes(), position, away, record])?
            }
            SessionChange::Moved(token, to) => {
                moved.execute(params![token.as_bytes(), to_sql(*to)])?
            }
            SessionChange::Forgotten(token) => forget.execute([token.as_bytes()])?,
        };
    }
    Ok(())
}

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<Saved>> {
    let text = "SELECT token, position, away_since_ms, record FROM session";
    let mut statement = connection.prepare(text)?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let (token, record): (Vec<u8>, String) = (row.get(0)?, row.get(3)?);
        let away: Option<i64> = row.get(2)?;
        let away = away.and_then(|ms| u64::try_from(ms).ok());
        let Ok(token) = Uuid::from_slice(&token) else {
            log::warn!("a session in the store has no token and is left out");
            continue;
        };
        all.extend(Saved::read(token, id_of(row.get(1)?), away, &record));
    }
    Ok(all)
}
