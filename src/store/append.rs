//! Messages into the log.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::alerts::{self, AlertWrite};
use super::error::AppendError;
use super::file::to_sql;
use super::keys::{self, Keyed};
use crate::domain::message::{
    Message, MessageId, Priority, Retain, StateName, Topic, Transport, UserId,
};
use crate::domain::pattern::MetricName;
use crate::trace;

/// What one publisher wants in the log, whole or not at all.
#[derive(Debug)]
pub struct Batch {
    /// In the order of their ids, which are above those of every batch before.
    pub messages: Vec<Arc<Message>>,
    /// One a message, no two the same; or nothing at all.
    pub keys: Vec<Option<Keyed>>,
    /// When it was published, in milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// What it means for the alerts; only with a batch of one message.
    pub alert: Option<AlertWrite>,
    /// It is in the log already, and this is a copy of that: neither keys nor alerts speak against it.
    pub is_copy: bool,
    pub answer: Answer,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Settled {
    pub messages: Vec<Arc<Message>>,
    /// The ids that the messages have in the log. One that differs from its message's is of an earlier
    /// attempt with the same key, and the message is to be forgotten.
    pub outcome: Outcome,
    pub answer: Answer,
}

/// Who waits for the ids, and of which trace all this is.
#[derive(Debug)]
pub struct Answer {
    to: oneshot::Sender<Outcome>,
    pub trace: trace::Context,
    /// The batch is on its way into the store.
    pub(super) writing: trace::Span,
}

/// The ids of a batch, or why it was not taken.
pub type Outcome = Result<Vec<MessageId>, AppendError>;

/// The numbers that rings have in the file, and what this transaction added to each.
#[derive(Debug, Default)]
pub(super) struct Rings {
    numbers: HashMap<(Topic, Priority), i64>,
    added: HashMap<i64, i64>,
}

impl Answer {
    pub fn new(to: oneshot::Sender<Outcome>, trace: trace::Context) -> Self {
        Self {
            to,
            trace,
            writing: trace::Span::default(),
        }
    }

    /// For what nobody waits for.
    pub fn unheard() -> Self {
        Self::new(oneshot::channel().0, trace::Context::default())
    }

    /// Whoever waited may have gone.
    pub fn send(self, outcome: Outcome) {
        let _ = self.to.send(outcome);
    }
}

impl Batch {
    /// What it takes up while it waits.
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(|message| message.cost()).sum()
    }

    /// What has become of it.
    pub fn settled(self, outcome: Outcome) -> Settled {
        Settled {
            messages: self.messages,
            outcome,
            answer: self.answer,
        }
    }
}

impl Rings {
    /// After a transaction that came to nothing: what it made is not there.
    pub fn forget(&mut self) {
        self.numbers.clear();
        self.added.clear();
    }

    fn number(&mut self, connection: &Connection, message: &Message) -> rusqlite::Result<i64> {
        let ring = (message.topic.clone(), message.priority);
        if let Some(number) = self.numbers.get(&ring) {
            return Ok(*number);
        }
        let (kind, metric, user) = columns(&message.topic);
        let columns = params![kind, metric, user, message.priority as i64];
        let find = "SELECT id FROM ring \
                    WHERE kind = ?1 AND metric = ?2 AND user = ?3 AND priority = ?4";
        let known = connection
            .prepare_cached(find)?
            .query_row(columns, |row| row.get(0));
        let number = match known.optional()? {
            Some(number) => number,
            None => {
                let make =
                    "INSERT INTO ring (kind, metric, user, priority) VALUES (?1, ?2, ?3, ?4)";
                connection.prepare_cached(make)?.insert(columns)?
            }
        };
        self.numbers.insert(ring, number);
        Ok(number)
    }

    /// Writes how many messages were added to each.
    pub fn count(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let add = "UPDATE ring SET messages = messages + ?2 WHERE id = ?1";
        let mut add = connection.prepare_cached(add)?;
        for (number, added) in self.added.drain() {
            add.execute([number, added])?;
        }
        Ok(())
    }
}

const METRIC: i64 = 0;
const USER_METRIC: i64 = 1;
const ALERTS: i64 = 2;
const TEST: i64 = 3;
const STATE: i64 = 4;

pub(super) fn columns(topic: &Topic) -> (i64, &str, &str) {
    match topic {
        Topic::Metric(name) => (METRIC, name.as_str(), ""),
        Topic::UserMetric(name, user) => (USER_METRIC, name.as_str(), user.as_str()),
        Topic::Alerts => (ALERTS, "", ""),
        Topic::Test(user, transport) => (TEST, transport.as_str(), user.as_str()),
        Topic::State(name) => (STATE, name.as_str(), ""),
    }
}

/// The topic of a row; `None` for what this program never writes.
pub(super) fn topic(kind: i64, metric: &str, of: &str) -> Option<Topic> {
    let name = || MetricName::parse(metric).ok();
    let user = || UserId::parse(of);
    // One row a topic and priority: what says nothing must be empty.
    match (kind, metric, of) {
        (METRIC, _, "") => Some(Topic::Metric(name()?)),
        (USER_METRIC, ..) => Some(Topic::UserMetric(name()?, user()?)),
        (ALERTS, "", "") => Some(Topic::Alerts),
        (STATE, name, "") => Some(Topic::State(StateName::parse(name)?)),
        (TEST, transport, _) => Some(Topic::Test(user()?, Transport::parse(transport)?)),
        _ => None,
    }
}

pub(super) fn priority(number: i64) -> Option<Priority> {
    Priority::ALL.get(usize::try_from(number).ok()?).copied()
}

pub(super) fn retain(is_latest: bool) -> Retain {
    match is_latest {
        false => Retain::All,
        true => Retain::Latest,
    }
}

/// Writes what is new of a batch. The ids hold once the transaction is committed.
pub(super) fn append(
    connection: &Connection,
    rings: &mut Rings,
    batch: &Batch,
) -> rusqlite::Result<Outcome> {
    let mut known = Vec::with_capacity(batch.keys.len());
    for keyed in &batch.keys {
        let found = keyed.map(|keyed| keys::known(connection, keyed));
        match found.transpose()?.flatten() {
            Some(Err(refused)) => return Ok(Err(refused)),
            Some(Ok(id)) => known.push(Some(id)),
            None => known.push(None),
        }
    }
    if let Some(AlertWrite::Change(change)) = &batch.alert
        && !alerts::change(connection, change)?
        && !batch.is_copy
    {
        return Ok(Err(AppendError::AlertChanged));
    }
    // A log that several hubs share is read again when it has begun anew.
    let insert = match batch.is_copy {
        false => {
            "INSERT INTO message (id, ring, retain, wall_ms, data) VALUES (?1, ?2, ?3, ?4, ?5)"
        }
        true => {
            "INSERT INTO message (id, ring, retain, wall_ms, data) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (id) DO NOTHING"
        }
    };
    let mut insert = connection.prepare_cached(insert)?;
    let mut ids = Vec::with_capacity(batch.messages.len());
    for (index, message) in batch.messages.iter().enumerate() {
        if let Some(id) = known.get(index).copied().flatten() {
            ids.push(id);
            continue;
        }
        let ring = rings.number(connection, message)?;
        let data = message.value();
        // It was text when it came in, and is a part of it.
        let text = String::from_utf8_lossy(&data);
        let inserted = insert.execute(params![
            to_sql(message.id),
            ring,
            message.retain == Retain::Latest,
            i64::try_from(batch.wall_ms).unwrap_or(i64::MAX),
            text,
        ])?;
        ids.push(message.id);
        if inserted == 0 {
            continue;
        }
        *rings.added.entry(ring).or_default() += 1;
        if let Some(keyed) = batch.keys.get(index).copied().flatten() {
            keys::remember(connection, keyed, message.id)?;
        }
        if let Some(AlertWrite::New(severity)) = batch.alert {
            alerts::insert(connection, message.id, severity, &text)?;
        }
    }
    Ok(Ok(ids))
}
