//! Everything that was published, and what of it a hub may still have: the naive way, by scanning.

use std::collections::{BTreeMap, HashMap};

use statshub::domain::history::Limits;
use statshub::domain::message::{Message, MessageId, PerPriority, Priority, Retain, Topic, UserId};

#[derive(Debug, Clone)]
pub struct Published {
    pub id: MessageId,
    pub topic: Topic,
    pub priority: Priority,
    pub retain: Retain,
    pub cost: usize,
    pub step: u64,
    /// Still in the hub's log.
    pub kept: bool,
    /// Not in the log that outlives the hub.
    pub is_lost: bool,
    /// Went without the hub knowing of it.
    pub is_uncounted: bool,
}

pub struct Log {
    pub limits: Limits,
    pub all: Vec<Published>,
    /// Indexes of what is still kept, in order.
    kept: Vec<usize>,
    pub bytes: usize,
    /// Where it began at first.
    began: MessageId,
    pub origin: MessageId,
    pub last: MessageId,
    /// The newest message of each topic.
    pub newest: HashMap<Topic, usize>,
    /// The newest gauge update of each topic and priority.
    gauges: HashMap<(Topic, Priority), MessageId>,
}

/// What should become of a backlog.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fate {
    pub sent: Vec<MessageId>,
    pub dropped: PerPriority<u64>,
    pub conflated: u64,
    pub metrics: Vec<String>,
}

impl Log {
    pub fn new(limits: Limits, origin: MessageId) -> Self {
        Self {
            limits,
            all: Vec::new(),
            kept: Vec::new(),
            bytes: 0,
            began: origin,
            origin,
            last: origin,
            newest: HashMap::new(),
            gauges: HashMap::new(),
        }
    }

    pub fn push(&mut self, message: &Message, step: u64) -> usize {
        assert!(message.id > self.last, "ids strictly increase");
        self.last = message.id;
        let index = self.all.len();
        self.all.push(Published {
            id: message.id,
            topic: message.topic.clone(),
            priority: message.priority,
            retain: message.retain,
            cost: message.cost(),
            step,
            kept: true,
            is_lost: false,
            is_uncounted: false,
        });
        self.kept.push(index);
        self.bytes += message.cost();
        self.newest.insert(message.topic.clone(), index);

        let ring: Vec<usize> = self
            .kept
            .iter()
            .copied()
            .filter(|i| {
                self.all[*i].topic == message.topic && self.all[*i].priority == message.priority
            })
            .collect();
        let keep = match message.retain {
            Retain::All => self.limits.backlog_messages_max,
            Retain::Latest => {
                let ring = (message.topic.clone(), message.priority);
                self.gauges.insert(ring, message.id);
                1
            }
        };
        let excess = ring.len().saturating_sub(keep);
        ring.into_iter().take(excess).for_each(|i| self.let_go(i));
        self.fit_users();
        self.fit_bytes();
        index
    }

    /// Of each user's own: the oldest of the lowest priority go until the rest is no more than allowed.
    fn fit_users(&mut self) {
        let mut kept = HashMap::<UserId, Vec<usize>>::new();
        for index in &self.kept {
            if let Topic::UserMetric(_, user) | Topic::Test(user, _) = &self.all[*index].topic {
                kept.entry(user.clone()).or_default().push(*index);
            }
        }
        for mut own in kept.into_values() {
            own.sort_by_key(|i| std::cmp::Reverse((self.all[*i].priority, *i)));
            let bytes = |own: &[usize]| own.iter().map(|i| self.all[*i].cost).sum::<usize>();
            let mut fits = own.len().min(self.limits.user_messages_max);
            while bytes(&own[..fits]) > self.limits.user_bytes_max {
                fits -= 1;
            }
            own[fits..].iter().for_each(|i| self.let_go(*i));
        }
    }

    fn fit_bytes(&mut self) {
        while self.bytes > self.limits.bytes_max {
            let lowest = self
                .kept
                .iter()
                .copied()
                .min_by_key(|i| (self.all[*i].priority, *i));
            self.let_go(lowest.expect("something is kept"));
        }
    }

    fn let_go(&mut self, index: usize) {
        self.kept.retain(|i| *i != index);
        self.all[index].kept = false;
        self.bytes -= self.all[index].cost;
    }

    pub fn covers(&self, position: MessageId) -> bool {
        self.origin <= position && position <= self.last
    }

    /// Topics without anything after `before` go.
    pub fn forget_idle(&mut self, before: MessageId) {
        let idle: Vec<Topic> = self
            .newest
            .iter()
            .filter(|(_, index)| self.all[**index].id <= before)
            .map(|(topic, _)| topic.clone())
            .collect();
        idle.into_iter().for_each(|topic| self.forget(&topic));
    }

    fn forget(&mut self, topic: &Topic) {
        let newest = self.newest.remove(topic).expect("it is known");
        self.origin = self.origin.max(self.all[newest].id);
        for priority in Priority::ALL {
            self.gauges.remove(&(topic.clone(), priority));
        }
        let going: Vec<usize> = self
            .kept
            .iter()
            .copied()
            .filter(|i| self.all[*i].topic == *topic)
            .collect();
        going.into_iter().for_each(|i| self.let_go(i));
    }

    /// The process died and its log with it.
    pub fn lose_everything(&mut self, origin: MessageId) {
        self.lose_memory();
        self.all
            .iter_mut()
            .for_each(|message| message.is_lost = true);
        self.began = origin;
        self.origin = origin;
        self.last = origin;
    }

    fn lose_memory(&mut self) {
        for index in std::mem::take(&mut self.kept) {
            self.all[index].kept = false;
        }
        self.bytes = 0;
        self.newest.clear();
        self.gauges.clear();
    }

    /// The process died, and another reads its log, of which `left` is left: the newest messages of
    /// each topic and priority, and of all that is in it the newest `ids_read` ids.
    pub fn recover(&mut self, left: &[MessageId], ids_read: usize) {
        self.lose_memory();
        self.origin = self.began;
        let unread = &left[..left.len().saturating_sub(ids_read)];
        let mut rings = HashMap::<(Topic, Priority), Vec<usize>>::new();
        for (index, message) in self.all.iter_mut().enumerate().rev() {
            message.is_lost |= left.binary_search(&message.id).is_err();
            message.is_uncounted = message.is_lost || unread.binary_search(&message.id).is_ok();
            if !message.is_lost {
                let ring = (message.topic.clone(), message.priority);
                rings.entry(ring).or_default().push(index);
                self.newest.entry(message.topic.clone()).or_insert(index);
            }
        }
        // Each from its newest message on.
        for ring in rings.into_values() {
            let read = &ring[..ring.len().min(self.limits.backlog_messages_max)];
            read.iter().for_each(|i| self.all[*i].is_uncounted = false);
            let is_gauge = |i: &usize| self.all[*i].retain == Retain::Latest;
            let gauge = ring.iter().copied().find(is_gauge);
            if let Some(gauge) = gauge.map(|i| &self.all[i]) {
                self.gauges
                    .insert((gauge.topic.clone(), gauge.priority), gauge.id);
            }
            let kept = read
                .iter()
                .filter(|i| gauge.is_none_or(|gauge| gauge <= **i));
            self.kept.extend(kept);
        }
        self.kept.sort_unstable();
        for index in &self.kept {
            self.all[*index].kept = true;
            self.bytes += self.all[*index].cost;
        }
        while !self.has_room(&[]) {
            let oldest = self.newest.iter().min_by_key(|(_, index)| **index);
            let oldest = oldest.map(|(topic, _)| topic.clone());
            self.forget(&oldest.expect("there are too many"));
        }
        self.fit_users();
        self.fit_bytes();
    }

    pub fn admits(&self, topics: &[Topic]) -> bool {
        let mut new: Vec<&Topic> = topics
            .iter()
            .filter(|topic| !self.newest.contains_key(topic))
            .collect();
        new.sort_by_key(|topic| format!("{topic:?}"));
        new.dedup();
        self.has_room(&new)
    }

    fn has_room(&self, new: &[&Topic]) -> bool {
        let is_metric = |topic: &&Topic| matches!(topic, Topic::Metric(_));
        let fits = |new: usize, known: usize, max: usize| new + known <= max;
        let metrics = new.iter().filter(|topic| is_metric(topic)).count();
        let known = self.newest.keys().filter(is_metric).count();
        fits(metrics, known, self.limits.metrics_max)
            && fits(
                new.len() - metrics,
                self.newest.len() - known,
                10 * self.limits.metrics_max,
            )
    }

    fn is_replaced(&self, message: &Published) -> bool {
        self.gauges
            .get(&(message.topic.clone(), message.priority))
            .is_some_and(|newest| *newest > message.id)
    }

    /// What becomes of a backlog of these messages: the best of what is still kept are sent.
    pub fn fate(&self, missed: &[usize]) -> Fate {
        let mut best: Vec<usize> = missed
            .iter()
            .copied()
            .filter(|i| self.all[*i].kept)
            .collect();
        best.sort_by_key(|i| std::cmp::Reverse((self.all[*i].priority, *i)));
        best.truncate(self.limits.backlog_messages_max);
        best.sort();
        let mut fate = Fate {
            sent: best.iter().map(|i| self.all[*i].id).collect(),
            ..Fate::default()
        };
        let mut metrics = BTreeMap::new();
        for message in missed
            .iter()
            .filter(|i| !best.contains(i))
            .map(|i| &self.all[*i])
        {
            if !message.kept && self.is_replaced(message) {
                fate.conflated += 1;
                continue;
            }
            fate.dropped[message.priority] += 1;
            if let Some(name) = message.topic.metric() {
                metrics.insert(name.as_str().to_owned(), ());
            }
        }
        fate.metrics = metrics.into_keys().collect();
        fate
    }

    /// The same by the letter of the contract: a buffer of one connection, filled message by
    /// message. Knows nothing of bytes.
    pub fn literal_buffer(&self, missed: &[usize]) -> Vec<MessageId> {
        let mut buffer: Vec<&Published> = Vec::new();
        for new in missed.iter().map(|i| &self.all[*i]) {
            if new.retain == Retain::Latest {
                buffer.retain(|old| (&old.topic, old.priority) != (&new.topic, new.priority));
            }
            if buffer.len() < self.limits.backlog_messages_max {
                buffer.push(new);
                continue;
            }
            // The oldest of the lowest priority; the first minimum is the oldest.
            let lowest = (0..buffer.len()).min_by_key(|i| (buffer[*i].priority, buffer[*i].id));
            match lowest {
                Some(lowest) if new.priority >= buffer[lowest].priority => {
                    buffer.remove(lowest);
                    buffer.push(new);
                }
                _ => {}
            }
        }
        buffer.iter().map(|message| message.id).collect()
    }
}
