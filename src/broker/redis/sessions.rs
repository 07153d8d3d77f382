//! Sessions, each a record that the hub which has it writes and any other can take over.

use redis::Value;
use uuid::Uuid;

use super::{Away, Redis};
use crate::domain::message::{MessageId, Transport, UserId};

/// Sessions written by one call.
const SAVED_AT_ONCE: usize = 200;

/// A stream is to be opened.
#[derive(Debug, Clone)]
pub struct Open<'a> {
    pub opening: Opening,
    pub token: Uuid,
    pub user: &'a UserId,
    pub connection: Uuid,
    pub transport: Transport,
    /// Connections that the user may have over all hubs.
    pub connections_max: usize,
    /// The position that the client names.
    pub position: Option<MessageId>,
    /// For how long sessions are kept, in milliseconds.
    pub ttl_ms: u64,
}

/// Whether there is a session already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    New,
    Resume,
}

/// What all hubs together say to a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// The user has as many connections as allowed.
    Limit,
    /// There is no such session of that user.
    Unknown,
    Open {
        /// The session as it was written last; `None` for one that begins.
        taken_over: Option<TakenOver>,
        /// The hub is to have read so far before the stream begins: it is no less than any position that
        /// the client may have.
        read_first: MessageId,
    },
}

/// A session as it was written last.
#[derive(Debug, PartialEq, Eq)]
pub struct TakenOver {
    pub token: Uuid,
    /// By this hub, or made its own by an opening that came to nothing.
    pub is_mine: bool,
    pub record: String,
    pub position: MessageId,
    /// What the user's sessions were told to receive since it was written, and at which message, the oldest
    /// first.
    pub changes: Vec<(MessageId, String)>,
    /// Whose streams operators ended since it was written.
    pub ends: Vec<(MessageId, String)>,
}

/// What has become of a session.
#[derive(Debug, Clone)]
pub struct SessionWrite {
    pub token: Uuid,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    Saved {
        user: UserId,
        position: MessageId,
        record: String,
        connection: Uuid,
        transport: Transport,
        is_connected: bool,
        /// SHA-256 of the ticket that opened it, in hexadecimal digits.
        ticket: Option<String>,
    },
    /// Its client has been sent everything up to here.
    Moved(MessageId),
    Forgotten,
}

impl Redis {
    /// Opens a stream as far as all hubs are concerned.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn open(&self, open: Open<'_>) -> Result<Opened, Away> {
        let inner = &*self.inner;
        let keys = &inner.keys;
        let mut call = inner.scripts.open.prepare_invoke();
        for key in [&keys.nodes, &keys.log, &keys.head] {
            call.key(key);
        }
        call.key(keys.live(open.user))
            .key(keys.session(open.token))
            .key(keys.changes(open.user))
            .key(&keys.ended);
        let position = open.position.map(|position| position.to_string());
        call.arg(&self.session()?.epoch)
            .arg(&inner.node)
            .arg(open.token.to_string())
            .arg(open.user.as_str())
            .arg(open.connection.to_string())
            .arg(open.transport.as_str())
            .arg(open.connections_max)
            .arg(u8::from(open.opening == Opening::Resume))
            .arg(position.unwrap_or_default())
            .arg(open.ttl_ms);
        let answer: Vec<Value> = self.invoke(&call).await?;
        read(answer, open.token)
            .ok_or_else(|| Away("Redis has a session that cannot be read".to_owned()))
    }

    /// Lets go of a user's slot that [`Redis::open`] gave, where it is still for that connection.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn release(
        &self,
        user: &UserId,
        token: Uuid,
        connection: (Uuid, Transport),
    ) -> Result<(), Away> {
        let inner = &*self.inner;
        let mut call = inner.scripts.release.prepare_invoke();
        let (connection, transport) = connection;
        let taken_for = format!("{} {} {connection}", inner.node, transport.as_str());
        call.key(inner.keys.live(user))
            .arg(token.to_string())
            .arg(taken_for);
        self.invoke(&call).await
    }

    /// Writes what has become of sessions. Returns those that are another hub's by now.
    ///
    /// # Errors
    /// Redis is away: nothing of it may be written.
    pub async fn save(
        &self,
        writes: &[SessionWrite],
        ttl_ms: u64,
        seen: MessageId,
    ) -> Result<Vec<Uuid>, Away> {
        let inner = &*self.inner;
        let mut lost = Vec::new();
        for writes in writes.chunks(SAVED_AT_ONCE) {
            let mut call = inner.scripts.save.prepare_invoke();
            call.key(&inner.keys.head);
            call.arg(&inner.node)
                .arg(ttl_ms)
                .arg(seen.to_string())
                .arg(inner.keys.live_of())
                .arg(inner.keys.spent(""));
            for write in writes {
                call.key(inner.keys.session(write.token));
                arguments(&mut call, write);
            }
            let others: Vec<String> = self.invoke(&call).await?;
            lost.extend(
                others
                    .iter()
                    .filter_map(|token| Uuid::try_parse(token).ok()),
            );
        }
        Ok(lost)
    }
}

fn arguments(call: &mut redis::ScriptInvocation<'_>, write: &SessionWrite) {
    call.arg(write.token.to_string());
    match &write.what {
        What::Saved {
            user,
            position,
            record,
            connection,
            transport,
            is_connected,
            ticket,
        } => {
            call.arg(if *is_connected { "save" } else { "close" })
                .arg(position.to_string())
                .arg(user.as_str())
                .arg(record)
                .arg(connection.to_string())
                .arg(transport.as_str())
                .arg(ticket.as_deref().unwrap_or_default());
        }
        What::Moved(position) => {
            call.arg("move").arg(position.to_string());
        }
        What::Forgotten => {
            call.arg("forget");
        }
    }
}

/// `None` for what no hub writes.
pub(super) fn read(answer: Vec<Value>, token: Uuid) -> Option<Opened> {
    let mut fields = answer.into_iter();
    let word: String = redis::from_redis_value(fields.next()?).ok()?;
    match word.as_str() {
        "limit" => return Some(Opened::Limit),
        "unknown" => return Some(Opened::Unknown),
        _ => {}
    }
    let is_mine: u8 = redis::from_redis_value(fields.next()?).ok()?;
    let mut text = || redis::from_redis_value::<String>(fields.next()?).ok();
    let (record, position) = (text()?, text()?);
    let (read_first, seen) = (text()?, text()?);
    let seen = MessageId::parse(&seen).unwrap_or_default();
    let mut later = || {
        let lines: Vec<String> = redis::from_redis_value(fields.next()?).ok()?;
        let later = |line: &String| {
            let (id, words) = line.split_once(' ')?;
            let id = MessageId::parse(id)?;
            (id > seen).then(|| (id, words.to_owned()))
        };
        Some(lines.iter().filter_map(later).collect::<Vec<_>>())
    };
    let (changes, ends) = (later()?, later()?);
    let taken_over = (!record.is_empty()).then(|| TakenOver {
        token,
        is_mine: is_mine == 1,
        record,
        position: MessageId::parse(&position).unwrap_or_default(),
        changes,
        ends,
    });
    Some(Opened::Open {
        taken_over,
        read_first: MessageId::parse(&read_first).unwrap_or_default(),
    })
}
