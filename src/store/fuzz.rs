//! What may be in the rows of the file, whoever wrote them.

use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::file::{self, id_of};
use super::keys::Keyed;
use super::{
    AlertFilter, AuditTrail, Bounds, Fingerprint, GENESIS, Key, Order, Recovered, SessionChange,
    Store, Verdict, Walk, Wanted, alerts, keys, sessions, walk,
};
use crate::config::{self, AuthKeys, Durability, Settings};
use crate::domain::history::{self, History};
use crate::domain::hub::{HubState, Limits, SessionFilter};
use crate::domain::message::{MessageId, UserId};
use crate::domain::pattern::Pattern;
use crate::domain::session::State;
use crate::domain::time::Now;

const NOW: Now = Now {
    wall_ms: 1_700_000_000_000,
    mono: Duration::from_secs(3600),
};
const ROWS_MAX: usize = 64;

/// Each with a letter, its name, and what its columns hold: a number, a text, bytes, or anything.
const TABLES: [(u8, &str, &[u8]); 8] = [
    (b'r', "ring", b"nnttnnn"),
    (b'm', "message", b"nnnnt"),
    (b'h', "hole", b"nn"),
    (b's', "session", b"bnnt"),
    (b'k', "publish_key", b"nbb"),
    (b'a', "alert", b"nttttnttnt"),
    (b'u', "audit", b"nntb"),
    (b'e', "meta", b"ta"),
];

/// A store, and what reads its file besides it.
struct Opened {
    store: Store,
    reader: Connection,
    trail: AuditTrail,
}

thread_local! {
    static OPENED: Opened = open().expect("a store in a new folder");
}

fn open() -> anyhow::Result<Opened> {
    let folder = tempfile::tempdir()?;
    let settings = config::Store {
        file: folder.path().join("log.db"),
        ..Settings::with_keys(AuthKeys::Secret(String::new())).store
    };
    let store = Store::open(&settings, NOW)?;
    store.connection.pragma_update(None, "synchronous", "OFF")?;
    // From here on the folder need not be there: the files are open.
    Ok(Opened {
        reader: file::reader(&settings.file)?,
        trail: AuditTrail::in_file(&settings.file)?,
        store,
    })
}

/// Rows apart by 0xff, each with a letter for its table and then its columns apart by 0xfe; `~` is null. What
/// is read of them makes a hub that is consistent, walks meet each message once and in order, and a chain is
/// called whole only where it is.
pub fn rows(data: &[u8]) {
    OPENED.with(|opened| {
        if let Err(error) = fill(&opened.store.connection, data) {
            panic!("rows that cannot be written: {error}");
        }
        recovered(&opened.store);
        walked(&opened.reader);
        let _ = looked_up(&opened.reader);
        chained(opened);
        begun(&opened.store.connection);
    });
}

struct Cell<'a>(ValueRef<'a>);

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

fn cell(kind: u8, text: &[u8]) -> Cell<'_> {
    let number = || str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    Cell(match kind {
        _ if text == b"~" => ValueRef::Null,
        b'n' => ValueRef::Integer(number().unwrap_or_default()),
        b'a' if number().is_some() => ValueRef::Integer(number().unwrap_or_default()),
        b'b' => ValueRef::Blob(text),
        _ => ValueRef::Text(text),
    })
}

fn fill(connection: &Connection, data: &[u8]) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    for (_, table, _) in TABLES {
        transaction
            .prepare_cached(&format!("DELETE FROM {table}"))?
            .execute([])?;
    }
    for row in data.split(|byte| *byte == 0xff).take(ROWS_MAX) {
        let Some((letter, columns)) = row.split_first() else {
            continue;
        };
        let Some((_, table, kinds)) = TABLES.iter().find(|(known, ..)| known == letter) else {
            continue;
        };
        let mut texts = columns.split(|byte| *byte == 0xfe);
        let kinds = kinds.iter();
        let cells = kinds.map(|kind| cell(*kind, texts.next().unwrap_or(b"0")));
        let cells: Vec<_> = cells.collect();
        let marks = vec!["?"; cells.len()].join(",");
        let insert = format!("INSERT OR REPLACE INTO {table} VALUES ({marks})");
        // A table does not take everything.
        let _ = transaction
            .prepare_cached(&insert)?
            .execute(params_from_iter(cells));
    }
    transaction.commit()
}

/// A hub that begins with what is there.
fn recovered(store: &Store) {
    let wanted = Wanted {
        messages_per_ring: 3,
        ids: 5,
    };
    let Ok(recovered) = store.recover(wanted) else {
        return;
    };
    let Recovered {
        origin,
        last,
        holes,
        rings,
        sessions,
    } = recovered;
    for message in rings.iter().flat_map(|ring| &ring.kept) {
        let event = str::from_utf8(&message.sse).expect("text");
        let breaks = event.matches(['\n', '\r']).count();
        assert!(breaks == 3 && event.ends_with("\n\n"), "{event:?}");
    }
    write_again(&store.connection, &sessions);
    let newest = file::last(&store.connection).ok().flatten();
    let last = newest.map_or(last, |newest| newest.max(last));
    let limits = limits();
    let history = History::restored(limits.history.clone(), origin, last, rings).with_holes(holes);
    let back = sessions.iter().filter_map(|saved| {
        let position = saved.position;
        let since = NOW.mono;
        saved.session(State::Away { since, position })
    });
    let mut hub = HubState::restored(limits, history, back);
    assert!(hub.is_consistent());
    let (views, total) = hub.sessions(&SessionFilter::default(), 0, 100);
    assert_eq!(views.len(), total);
    for view in &views {
        crate::wire::view::session(view);
        hub.latest_for(view.session.user());
    }
    hub.statistics();
    hub.clean_up(NOW);
    assert!(hub.is_consistent());
}

fn limits() -> Limits {
    Limits {
        history: history::Limits {
            user_bytes_max: 2048,
            user_messages_max: 4,
            backlog_messages_max: 2,
            bytes_max: 4096,
            metrics_max: 3,
            counted_ids_max: 4,
        },
        connections_per_user_max: 2,
        connections_max: 8,
        away_max: 4,
        session_timeout: Duration::from_secs(1800),
        metric_idle_timeout: Duration::from_secs(3600),
        ttls: Vec::new(),
    }
}

/// What was read of sessions is written as it was.
fn write_again(connection: &Connection, sessions: &[super::Saved]) {
    let transaction = connection.unchecked_transaction().expect("a transaction");
    let saved = |saved: &super::Saved| SessionChange::Saved(Box::new(saved.clone()));
    let mut changes = vec![SessionChange::Anew];
    changes.extend(sessions.iter().map(saved));
    sessions::write(&transaction, &changes).expect("sessions that are written");
    let again = sessions::read(&transaction).expect("sessions that are read");
    let of = |token: Uuid| again.iter().find(|saved| saved.token == token);
    let last = sessions.iter().rev();
    for saved in last {
        assert!(of(saved.token).is_some());
    }
    if again.len() == sessions.len() {
        let mut sorted = sessions.to_vec();
        sorted.sort_by_key(|saved| saved.token);
        assert_eq!(again, sorted);
    }
}

/// Every message of the metrics that a user may see, in order, from pages of any size.
fn walked(connection: &Connection) {
    let user = UserId::parse("ada").expect("a user");
    for patterns in [vec![Pattern::everything()], some_patterns()] {
        let Ok(rings) = walk::rings(connection, &patterns, &user) else {
            return;
        };
        for ring in &rings {
            assert!(patterns.iter().any(|pattern| pattern.matches(&ring.metric)));
            assert!(ring.user.as_ref().is_none_or(|of| *of == user));
        }
        let bounds = Bounds {
            from: MessageId::from_bits(3),
            to: MessageId::from_bits(1 << 62),
        };
        let walk = |order, page| {
            let mut walk = Walk::new(rings.clone(), bounds, order);
            let mut met = Vec::new();
            while !walk.is_at_end() {
                let rows = walk.page(connection, page).ok()?;
                met.extend(rows.into_iter().map(|row| (row.id, row.data)));
            }
            Some(met)
        };
        let Some(mut met) = walk(Order::OldestFirst, 1) else {
            return;
        };
        let ids: Vec<_> = met.iter().map(|(id, _)| *id).collect();
        assert!(ids.is_sorted_by(|one, next| one < next));
        assert!(ids.iter().all(|id| (bounds.from..bounds.to).contains(id)));
        assert_eq!(walk(Order::OldestFirst, 7).as_ref(), Some(&met));
        met.reverse();
        assert_eq!(walk(Order::NewestFirst, 2), Some(met));
    }
}

fn some_patterns() -> Vec<Pattern> {
    let patterns = ["a", "b.c"].map(Pattern::parse);
    patterns.into_iter().flatten().collect()
}

fn looked_up(connection: &Connection) -> rusqlite::Result<()> {
    let _ = walk::newest(connection);
    let all = alerts::page(connection, AlertFilter::default(), 100)?;
    assert!(all.is_sorted_by(|one, next| one.id >= next.id));
    for alert in &all {
        let filter = AlertFilter {
            state: Some(alert.state),
            severity: Some(alert.severity),
            before: Some(alert.id),
        };
        let _ = (
            alerts::page(connection, filter, 2),
            alerts::one(connection, alert.id),
        );
    }
    let mut known = connection.prepare_cached("SELECT key, hash, message FROM publish_key")?;
    let mut rows = known.query([])?;
    while let Some(row) = rows.next()? {
        let (Ok(key), Ok(of)) = (row.get(0), row.get(1)) else {
            continue;
        };
        let keyed = Keyed {
            key: Key(key),
            of: Fingerprint(of),
        };
        let found = keys::known(connection, keyed)?.and_then(Result::ok);
        assert_eq!(found, Some(id_of(row.get(2)?)));
    }
    Ok(())
}

/// A chain is whole where each hash is of the text and the hash before, and the numbers follow each other.
fn chained(opened: &Opened) {
    let Ok(Verdict::Whole(summary)) = opened.trail.verify(None, |_, _| {}) else {
        return;
    };
    let kept = opened
        .trail
        .after(i64::MIN, ROWS_MAX)
        .expect("what was read");
    assert_eq!(summary.records, kept.len() as u64);
    let Some(first) = kept.first() else {
        return;
    };
    assert_eq!(first.id - 1, summary.removed);
    let connection = &opened.reader;
    let before = file::get::<[u8; 32]>(connection, "audit_cut_hash")
        .ok()
        .flatten();
    let mut hash = before.filter(|_| summary.removed != 0).unwrap_or(GENESIS);
    for (record, place) in kept.iter().zip(0..) {
        assert_eq!(record.id, first.id + place);
        let text = [&hash[..], &record.text].concat();
        hash = Sha256::digest(text).into();
    }
    assert_eq!(hash, summary.newest);
}

/// Where the log begins and ends, as the next start finds it.
fn begun(connection: &Connection) {
    let transaction = connection.unchecked_transaction().expect("a transaction");
    if let Ok((begin, end)) = file::bounds(&transaction, Durability::Process, NOW) {
        assert!(begin <= end, "from {begin} to {end}");
    }
}
