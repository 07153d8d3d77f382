//! The keys of publishers that try again until they know that a message was taken.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::append::Batch;
use super::error::AppendError;
use super::file::{id_of, to_sql};
use crate::domain::message::MessageId;
use crate::wire::hex::Hex;

/// Keys remembered without a store.
const KEYS_MAX: usize = 100_000;
/// Bytes kept of a hash: that two differ in all of these is what counts.
const KEPT: usize = 16;

/// A publisher's key for one message, of that publisher only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub(super) [u8; KEPT]);

impl Key {
    /// `index` tells the messages of a request apart that has one key for all.
    pub fn of(publisher: &str, key: &str, index: usize) -> Self {
        let index = index.to_le_bytes();
        Self(hash(&[publisher.as_bytes(), key.as_bytes(), &index]))
    }
}

/// What was published with a key, to tell a second attempt from another message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub(super) [u8; KEPT]);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl Keyed {
    /// From what the two are printed as; `None` for what is not.
    pub fn parse(key: &str, of: &str) -> Option<Self> {
        Some(Self {
            key: Key(read_hexadecimal(key)?),
            of: Fingerprint(read_hexadecimal(of)?),
        })
    }
}

/// Bytes out of as many pairs of digits; `None` for anything else.
pub(super) fn read_hexadecimal<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    if text.len() != 2 * BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl Fingerprint {
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(hash(parts))
    }
}

/// A message's key, and what it may stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyed {
    pub key: Key,
    pub of: Fingerprint,
}

/// Of the parts and their lengths.
fn hash(parts: &[&[u8]]) -> [u8; KEPT] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut kept = [0; KEPT];
    kept.copy_from_slice(&hash.finalize()[..KEPT]);
    kept
}

/// Keys for a hub without a store: those of the last while, and no more than a hundred thousand.
#[derive(Debug)]
pub struct KeysInMemory {
    ttl: Duration,
    known: HashMap<Key, (MessageId, Fingerprint)>,
    /// The oldest first.
    order: VecDeque<(u64, Key)>,
}

impl KeysInMemory {
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// The ids of a batch: its own, or those that its keys stand for already.
    ///
    /// # Errors
    /// A key stands for another message; nothing is remembered then.
    pub fn take(&mut self, batch: &Batch) -> Result<Vec<MessageId>, AppendError> {
        self.forget(batch.wall_ms);
        let mut ids: Vec<_> = batch.messages.iter().map(|message| message.id).collect();
        let mut new = Vec::with_capacity(batch.keys.len());
        for (keyed, id) in batch.keys.iter().zip(&mut ids) {
            let Some(Keyed { key, of }) = *keyed else {
                continue;
            };
            match self.known.get(&key) {
                Some((known, was)) if *was == of => *id = *known,
                Some(_) => return Err(AppendError::KeyReused),
                None => new.push((key, (*id, of))),
            }
        }
        for (key, stands_for) in new {
            self.known.insert(key, stands_for);
            self.order.push_back((batch.wall_ms, key));
        }
        Ok(ids)
    }

    fn forget(&mut self, wall_ms: u64) {
        let ttl = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
        while let Some((at, key)) = self.order.front().copied()
            && (self.order.len() > KEYS_MAX || wall_ms.saturating_sub(at) > ttl)
        {
            self.known.remove(&key);
            self.order.pop_front();
        }
    }
}

/// The message that a key already stands for.
pub(super) fn known(
    connection: &Connection,
    wanted: Keyed,
) -> rusqlite::Result<Option<Result<MessageId, AppendError>>> {
    let text = "SELECT message, hash FROM publish_key WHERE key = ?1";
    let mut statement = connection.prepare_cached(text)?;
    let found = statement
        .query_row([wanted.key.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(
        found.map(|(id, hash): (i64, [u8; KEPT])| match hash == wanted.of.0 {
            true => Ok(id_of(id)),
            false => Err(AppendError::KeyReused),
        }),
    )
}

pub(super) fn remember(
    connection: &Connection,
    keyed: Keyed,
    id: MessageId,
) -> rusqlite::Result<()> {
    let text = "INSERT INTO publish_key (message, key, hash) VALUES (?1, ?2, ?3)";
    let mut statement = connection.prepare_cached(text)?;
    statement.execute(params![to_sql(id), keyed.key.0, keyed.of.0])?;
    Ok(())
}

/// Forgets up to `rows_max` keys of messages up to `before`. Returns how many.
pub(super) fn forget(
    connection: &Connection,
    before: MessageId,
    rows_max: usize,
) -> rusqlite::Result<usize> {
    let text = "DELETE FROM publish_key WHERE message IN \
                (SELECT message FROM publish_key WHERE message <= ?1 ORDER BY message LIMIT ?2)";
    let mut statement = connection.prepare_cached(text)?;
    statement.execute(params![to_sql(before), rows_max])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_printed() {
        let keyed = Keyed {
            key: Key::of("ada", "k", 3),
            of: Fingerprint::of(&[b"x"]),
        };
        let (key, of) = (keyed.key.to_string(), keyed.of.to_string());
        assert_eq!(Keyed::parse(&key, &of), Some(keyed));
        assert_eq!(Keyed::parse(&key[1..], &of), None);
        assert_eq!(Keyed::parse(&key, &of.replace(|_: char| true, "+")), None);
    }
}
