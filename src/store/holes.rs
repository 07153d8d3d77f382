//! Between which ids the log has nothing of what may have been given.
//!
//! A log that went on elsewhere and was set back to a backup has such a hole, from its last id to the
//! moment of the restore; and so may one whose process was killed, should the end of the journal be
//! gone. Who comes with a position in it is not told what came after, but given a snapshot, now and for
//! ever.

use rusqlite::{Connection, params};

use super::file::{get, id_of, put, to_sql};
use crate::domain::message::MessageId;

/// Remembered; with one more, what came before the end of the oldest is given up.
pub(super) const HOLES_MAX: usize = 1000;

/// All of them, by their places.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<(MessageId, MessageId)>> {
    let text = "SELECT after, before FROM hole ORDER BY after";
    let mut statement = connection.prepare(text)?;
    let hole = |row: &rusqlite::Row<'_>| Ok((id_of(row.get(0)?), id_of(row.get(1)?)));
    statement.query_map([], hole)?.collect()
}

/// Positions after the first and before the second are of nothing that this log has.
pub(super) fn add(connection: &Connection, hole: (MessageId, MessageId)) -> rusqlite::Result<()> {
    let text = "INSERT OR REPLACE INTO hole (after, before) VALUES (?1, ?2)";
    connection.execute(text, params![to_sql(hole.0), to_sql(hole.1)])?;
    let holes = read(connection)?;
    for (after, before) in holes.iter().take(holes.len().saturating_sub(HOLES_MAX)) {
        connection.execute("DELETE FROM hole WHERE after = ?1", [to_sql(*after)])?;
        let origin: i64 = get(connection, "origin")?.unwrap_or_default();
        put(connection, "origin", origin.max(to_sql(*before)))?;
    }
    Ok(())
}
