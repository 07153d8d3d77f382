//! What happens at the workers: piece by piece, what goes out on each stream.

use super::*;

impl Oracle {
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
