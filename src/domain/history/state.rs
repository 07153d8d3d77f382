//! What parts of the hub remember by way of the log. It has no age and no place in any backlog.

use std::sync::Arc;

use super::History;
use crate::domain::message::{Message, StateName, Topic};

impl History {
    /// The newest of each name that begins with `prefix`, in the order of the names.
    pub fn states(&self, prefix: &str) -> impl Iterator<Item = (&StateName, &Arc<Message>)> {
        let named = move |(name, _): &(&StateName, _)| name.as_str().starts_with(prefix);
        self.states.iter().filter(named)
    }

    /// All that is kept of the topics that `wants` picks, in the order of the ids.
    pub fn kept(&self, wants: impl Fn(&Topic) -> bool) -> Vec<Arc<Message>> {
        let wanted = self.topics.iter().filter(|(topic, _)| wants(topic));
        let rings = wanted.flat_map(|(_, log)| log.rings.iter().map(|(_, ring)| &ring.kept));
        let latest = self.topics.values().filter_map(|log| log.latest.as_ref());
        let states = self.states.values().chain(latest);
        let others = states.filter(|message| wants(&message.topic));
        let mut kept: Vec<_> = rings.flatten().chain(others).cloned().collect();
        kept.sort_unstable_by_key(|message| message.id);
        kept.dedup_by_key(|message| message.id);
        kept
    }

    pub(super) fn keep_state(&mut self, message: Arc<Message>) {
        let Topic::State(name) = &message.topic else {
            return;
        };
        if message.value().as_ref() == b"null" {
            self.states.remove(name);
        } else {
            self.states.insert(name.clone(), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::history::Limits;
    use crate::domain::message::{MessageId, Priority, Retain};
    use crate::domain::testing::{id, message, metric, sized};

    fn state(n: u64, name: &str, value: &str) -> Arc<Message> {
        let topic = Topic::State(StateName::parse(name).unwrap());
        let message = sized(n, topic, Priority::Low, Retain::Latest, 0);
        let bytes = bytes::Bytes::copy_from_slice(value.as_bytes());
        let message = Arc::into_inner(message).unwrap();
        Arc::new(Message {
            value: 0..value.len(),
            sse: bytes,
            ..message
        })
    }

    fn history() -> History {
        let limits = Limits {
            backlog_messages_max: 2,
            bytes_max: 100_000,
            user_bytes_max: 100_000,
            user_messages_max: 100,
            metrics_max: 1,
            counted_ids_max: 100,
        };
        History::new(limits, MessageId::ZERO)
    }

    #[test]
    fn of_each_state_the_newest_stays_whatever_else_goes() {
        let mut history = history();
        for (n, name, value) in [
            (1, "a/1", "1"),
            (2, "a/2", "2"),
            (3, "b/1", "3"),
            (4, "a/1", "4"),
            (5, "a/2", "null"),
        ] {
            let state = state(n, name, value);
            assert!(history.admit([&state.topic].into_iter()).is_ok());
            history.push(state);
        }
        history.push(message(6, metric("m"), Priority::Normal));
        history.forget_idle(id(100));
        history.begin_anew(id(200));
        history.settle();
        let of = |history: &History, prefix: &str| {
            let states = history.states(prefix);
            states
                .map(|(name, it)| (name.to_string(), it.id))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&history, "a/"), [("a/1".to_owned(), id(4))]);
        assert_eq!(of(&history, "").len(), 2);
        assert_eq!((history.metrics(), history.bytes()), (0, 0));
        history.keep_value(state(201, "a/1", "5"));
        assert_eq!(of(&history, "a/1"), [("a/1".to_owned(), id(201))]);
    }

    #[test]
    fn who_follows_begins_with_what_is_kept_in_its_order() {
        let mut history = history();
        for n in 1..=3 {
            history.push(message(n, metric("m"), Priority::Normal));
        }
        history.push(state(4, "a/1", "1"));
        history.push(message(5, metric("m"), Priority::High));
        history.push(message(6, metric("n"), Priority::High));
        let wants = |topic: &Topic| *topic != metric("n");
        let ids: Vec<u64> = history
            .kept(wants)
            .iter()
            .map(|it| it.id.millis())
            .collect();
        assert_eq!(ids, [2, 3, 4, 5]);
    }
}
