//! Follows what a client got through everything that was for it, and accounts for each message:
//! it came, or it was counted, in the very place where a buffer of its own would have dropped it.

use serde_json::Value;

use super::model::{Buffer, Counts, Published};
use super::session::replayed_count;
use crate::support::id::Id;

/// Where a stream goes on.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// After the last message that arrived, because the client or its snapshot says so.
    After(Id),
    /// Where the stream before it has ended: all of that arrived.
    Ended,
    /// Anywhere after this message: what was on its way when the stream before it broke is lost,
    /// and not told.
    Beyond(Id),
}

/// What a client got on one stream.
#[derive(Debug)]
pub struct Episode {
    pub start: Start,
    /// How the stream began; `None`: with a snapshot.
    pub notice: Option<Value>,
    /// Messages, and notices of what was dropped.
    pub items: Vec<Value>,
}

/// Accounts for all of these, one after another, when `all` was published for a session with a
/// backlog of at most `max`. Gives how many messages came and how many were counted.
pub fn account(all: &[Published], max: usize, episodes: &[Episode]) -> (usize, usize) {
    Trail { all, max }.follow(episodes)
}

struct Trail<'a> {
    all: &'a [Published],
    max: usize,
}

impl Trail<'_> {
    fn follow(&self, episodes: &[Episode]) -> (usize, usize) {
        let (mut came, mut counted, mut ended) = (0, 0, 0);
        for episode in episodes {
            let mut walk = self.walk(episode, ended);
            while let Some(item) = walk.items.first() {
                match is_notice(item) {
                    true => walk.caught_up(item),
                    false => walk.live(item),
                }
            }
            ended = walk.at;
            counted += walk.counted;
            came += episode.items.iter().filter(|it| !is_notice(it)).count();
        }
        (came, counted)
    }

    /// The way through an episode, past what its resume announced.
    fn walk<'a>(&'a self, episode: &'a Episode, ended: usize) -> Walk<'a> {
        let after = |id| self.all.partition_point(|it| it.id <= id);
        let (at, exact) = match episode.start {
            Start::After(id) => (after(id), true),
            Start::Ended => (ended, true),
            Start::Beyond(id) => (after(id), false),
        };
        let mut walk = Walk {
            trail: self,
            at,
            items: &episode.items,
            counted: 0,
        };
        if let Some(notice) = &episode.notice {
            walk.replay(notice, exact);
        }
        walk
    }

    /// What becomes of `count` messages from `start` on; `None`: there are not so many.
    fn buffer(&self, start: usize, count: usize) -> Option<Buffer> {
        let messages = self.all.get(start..start + count)?;
        Some(Buffer::filled(self.max, messages))
    }
}

fn is_notice(item: &Value) -> bool {
    item["type"] == "messages_dropped"
}

struct Walk<'a> {
    trail: &'a Trail<'a>,
    at: usize,
    items: &'a [Value],
    counted: usize,
}

impl Walk<'_> {
    fn live(&mut self, item: &Value) {
        let due = self.trail.all.get(self.at);
        assert!(
            due.is_some_and(|due| due.is(item)),
            "{item} where {due:?} was due"
        );
        self.at += 1;
        self.items = &self.items[1..];
    }

    /// What a resume announced. The client may have gone before all of it came.
    fn replay(&mut self, notice: &Value, exact: bool) {
        let counts = Counts::told(notice);
        let replayed = replayed_count(notice);
        let count = replayed + counts.total();
        let last = match exact {
            true => self.at,
            false => self.trail.all.len().saturating_sub(count),
        };
        let fits = |start: &usize| {
            let buffer = self.trail.buffer(*start, count);
            buffer.is_some_and(|it| it.counts == counts && self.agrees(&it, start + count))
        };
        let start = (self.at..=last).find(fits);
        let start = start.unwrap_or_else(|| self.give_up(notice));
        self.take(replayed, start + count, counts.total());
    }

    /// What a slow client was told, and then the backlog, whose length it is not told.
    fn caught_up(&mut self, notice: &Value) {
        self.items = &self.items[1..];
        let counts = Counts::told(notice);
        assert!(counts.total() > 0, "told of nothing: {notice}");
        let fits = |kept: &usize| {
            let count = kept + counts.total();
            let buffer = self.trail.buffer(self.at, count);
            let agrees = |it: &Buffer| it.counts == counts && self.agrees(it, self.at + count);
            buffer.filter(agrees).is_some()
        };
        let kept = (0..=self.trail.max).find(fits);
        let kept = kept.unwrap_or_else(|| self.give_up(notice));
        self.take(kept, self.at + kept + counts.total(), counts.total());
    }

    /// Whether what came next is what the buffer kept, and then what is at `next`.
    fn agrees(&self, buffer: &Buffer, next: usize) -> bool {
        let kept = buffer.kept.len().min(self.items.len());
        let (replayed, live) = self.items.split_at(kept);
        let same = buffer.kept.iter().zip(replayed).all(|(it, got)| it.is(got));
        let goes_on = live.first().is_none_or(|got| {
            is_notice(got) || self.trail.all.get(next).is_some_and(|it| it.is(got))
        });
        same && goes_on
    }

    fn take(&mut self, kept: usize, next: usize, counted: usize) {
        self.items = &self.items[kept.min(self.items.len())..];
        self.at = next;
        self.counted += counted;
    }

    fn give_up(&self, notice: &Value) -> ! {
        let ids: Vec<_> = self.items.iter().map(|it| &it["messageId"]).collect();
        let all: Vec<_> = self.trail.all.iter().map(|it| it.id).collect();
        panic!(
            "no buffer would be told {notice} after {:?} and go on with {ids:?} of {all:?}",
            self.at.checked_sub(1).map(|last| all[last])
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Of one metric, critical where said.
    fn published(critical: &[u64]) -> Vec<Published> {
        let message = |number: u64| Published {
            id: Id::of(&json!(format!("{number}-0"))),
            metric: Some("a".into()),
            priority: if critical.contains(&number) { 3 } else { 1 },
            user: None,
            gauge: false,
        };
        (1..=9).map(message).collect()
    }

    fn got(all: &[Published], numbers: &[usize]) -> Vec<Value> {
        let item = |number: &usize| match *number {
            0 => json!({
                "type": "messages_dropped",
                "data": {
                    "droppedMessagesCount": 2,
                    "droppedByPriority": {"normal": 2},
                    "droppedMetrics": ["a"],
                },
            }),
            number => {
                let it = &all[number - 1];
                let priority = super::super::model::PRIORITIES[it.priority];
                json!({
                    "type": "metrics_update", "data": {"a": 1}, "priority": priority,
                    "messageId": it.id.to_string(),
                })
            }
        };
        numbers.iter().map(item).collect()
    }

    fn follow(start: fn(Id) -> Start, numbers: &[usize]) -> Option<(usize, usize)> {
        let all = published(&[4]);
        let notice = json!({"data": {"droppedMessagesCount": 0, "replayedMessagesCount": 1}});
        let episode = Episode {
            start: start(all[0].id),
            notice: Some(notice),
            items: got(&all, numbers),
        };
        std::panic::catch_unwind(|| account(&all, 2, &[episode])).ok()
    }

    #[test]
    fn what_is_out_of_place_is_found() {
        let after: fn(Id) -> Start = Start::After;
        for (start, numbers, expected) in [
            (after, &[2, 3, 4][..], Some((3, 0))),
            (after, &[3, 4], None),
            (Start::Beyond, &[3, 4], Some((2, 0))),
            (Start::Beyond, &[1, 2], None),
            (after, &[2, 2], None),
            (after, &[2, 4], None),
            (after, &[2, 3, 0, 4, 7, 8], Some((5, 2))),
            // 5 and 6 went before 7; 4 is critical.
            (after, &[2, 3, 0, 6, 7, 8], None),
            (after, &[2, 3, 0, 4, 8, 9], None),
            (after, &[2, 3, 4, 0, 7, 8], Some((5, 2))),
            (after, &[2, 3, 0, 4], Some((3, 2))),
        ] {
            assert_eq!(follow(start, numbers), expected, "{numbers:?}");
        }
    }
}
