//! Publishers, operators, and the end of a process.

use super::*;

impl Simulation {
    pub(super) fn publish(&mut self) {
        if !self.rng.per_mille(self.weather.rates.publish) {
            return;
        }
        let count = if self.rng.per_mille(self.weather.rates.batch) {
            self.rng.between(2, 6)
        } else {
            1
        };
        let rates = self.weather.rates.clone();
        if self.rng.per_mille(rates.alert) {
            let alert = self.draft(Topic::Alerts, Priority::Critical);
            self.append(vec![alert]);
            return;
        }
        if self.rng.per_mille(rates.test) {
            let transport = self.rng.pick(&[Transport::Sse, Transport::Websocket]);
            let user = names::user(self.rng.below(self.weather.users));
            let test = self.draft(Topic::Test(user, transport), Priority::Low);
            self.append(vec![test]);
            return;
        }
        let topics: Vec<Topic> = (0..count).map(|_| self.some_metric()).collect();
        if !self.admit(&topics) {
            self.oracle.visit("too many metrics");
            return;
        }
        let mut batch = Vec::new();
        for topic in topics {
            let priority = self.some_priority();
            batch.push(self.draft(topic, priority));
        }
        self.append(batch);
    }

    /// Whether there is room, with what is on its way into the log.
    fn admit(&mut self, topics: &[Topic]) -> bool {
        let waiting = self.durable.waiting_topics();
        let topics: Vec<Topic> = topics.iter().chain(waiting).cloned().collect();
        let now = self.now();
        let admitted = self.hub.admit(topics.iter(), now).is_ok();
        let mut expected = self.oracle.log.admits(&topics);
        if !expected {
            let idle = self
                .weather
                .limits
                .session_timeout
                .max(Duration::from_secs(60));
            self.forget_idle(idle);
            expected = self.oracle.log.admits(&topics);
        }
        assert_eq!(admitted, expected, "whether there is room for {topics:?}");
        admitted
    }

    fn some_metric(&mut self) -> Topic {
        let name = names::metric(self.rng.below(METRICS.len()));
        if self.rng.per_mille(self.weather.rates.targeted) {
            Topic::UserMetric(name, names::user(self.rng.below(self.weather.users)))
        } else {
            Topic::Metric(name)
        }
    }

    fn some_priority(&mut self) -> Priority {
        let weights = self.weather.priorities;
        let mut place = self.rng.below(weights.iter().sum());
        for (priority, weight) in Priority::ALL.into_iter().zip(weights) {
            if place < weight {
                return priority;
            }
            place -= weight;
        }
        Priority::Critical
    }

    fn draft(&mut self, topic: Topic, priority: Priority) -> Arc<Message> {
        let is_gauge = topic.metric().is_some_and(|name| {
            let index = METRICS.iter().position(|metric| *metric == name.as_str());
            index.is_some_and(|index| self.weather.gauges[index])
        });
        let retain = if is_gauge && !(self.weather.gauges_mixed && self.rng.per_mille(300)) {
            Retain::Latest
        } else {
            Retain::All
        };
        let last = self.ids.last();
        let id = self.ids.next(self.wall_ms);
        assert!(id > last, "ids strictly increase");
        let size = self.rng.pick(&[10, 40, 300]);
        Arc::new(Message {
            id,
            topic,
            priority,
            retain,
            published_at: self.mono,
            sse: Bytes::from(vec![b'.'; size]),
            json: 0..size,
            value: 0..0,
            websocket: Default::default(),
            before: Default::default(),
            patch: Default::default(),
        })
    }

    /// The hub, and with it everybody, gets a message.
    pub(super) fn hand_over(&mut self, message: Arc<Message>) {
        self.note(message.id.to_bits());
        self.oracle.published(&message, self.step);
        self.messages.push(message.clone());
        let audience = self.hub.audience(&message.topic);
        let expected = self.oracle.audience(&message.topic);
        assert_eq!(audience, expected, "the audience of {:?}", message.topic);
        let told = self.plant.falsify_published(message);
        let ((), effects) = self.ask(|hub, _, effects| hub.published(told, effects));
        self.forward(effects);
    }

    pub(super) fn operate(&mut self) {
        let rates = self.weather.rates.clone();
        if self.rng.per_mille(rates.tick) && self.plant != Plant::ExpiryIgnored {
            let ((), effects) = self.ask(|hub, now, effects| hub.tick(now, effects));
            self.oracle.ticked(self.wall_ms, self.mono, &effects);
            self.forward(effects);
        } else if self.rng.per_mille(rates.tick) && self.plant == Plant::ExpiryIgnored {
            self.oracle.ticked(self.wall_ms, self.mono, &[]);
        }
        if self.rng.per_mille(rates.clean_up) {
            let now = self.now();
            let before = self.hub.clean_up(now);
            let idle = self.weather.limits.metric_idle_timeout;
            self.oracle.forgets(before, self.ago(idle));
        }
        if self.rng.per_mille(rates.disconnect) {
            let user = names::user(self.rng.below(self.weather.users));
            let (ended, effects) = self
                .ask(|hub, _, effects| hub.disconnect(|session| *session.user() == user, effects));
            assert_eq!(
                ended.len(),
                self.oracle.operator_disconnected(&user, &effects)
            );
            self.forward(effects);
        }
        if self.rng.per_mille(rates.resubscribe) {
            self.change_user();
        }
        if self.rng.per_mille(rates.drain) && !self.oracle.draining {
            self.drained_at = Some(self.step);
            let spread = (Duration::from_secs(1), Duration::from_secs(5));
            let ((), effects) = self.ask(|hub, _, effects| hub.drain(spread, effects));
            self.oracle.drains(&effects);
            self.forward(effects);
        }
        let is_drained = self.drained_at.is_some_and(|at| self.step > at + 40);
        if is_drained {
            self.end();
        } else if self.rng.per_mille(rates.restart) {
            self.restart();
        } else if self.weather.stored && self.rng.per_mille(rates.crash) {
            self.crash();
        }
    }

    fn forget_idle(&mut self, idle: Duration) {
        let before = self.ago(idle);
        self.oracle.log.forget_idle(before);
    }

    pub(super) fn ago(&self, time: Duration) -> MessageId {
        let before = self.wall_ms.saturating_sub(time.as_millis() as u64);
        MessageId::new(before, 0).expect("an id")
    }

    fn change_user(&mut self) {
        let user = names::user(self.rng.below(self.weather.users));
        let (change, patterns) = self.some_change();
        let parsed = names::selectors(&patterns);
        let (live, effects) =
            self.ask(|hub, _, effects| hub.change_user(&user, None, change, &parsed, effects));
        assert_eq!(live, Ok(self.oracle.live_of(&user)));
        for session in self.oracle.sessions_of(&user) {
            self.change_session(session, change, &patterns);
        }
        self.forward(effects);
    }

    pub fn some_change(&mut self) -> (Change, Vec<usize>) {
        let change = if self.rng.per_mille(600) {
            Change::Subscribe
        } else {
            Change::Unsubscribe
        };
        (change, self.some_patterns(3))
    }

    pub fn some_patterns(&mut self, max: usize) -> Vec<usize> {
        let known = if self.weather.exact_names_only {
            METRICS.len()
        } else {
            names::PATTERNS.len()
        };
        (0..self.rng.between(0, max))
            .map(|_| self.rng.below(known))
            .collect()
    }

    pub(super) fn change_session(&mut self, session: usize, change: Change, patterns: &[usize]) {
        match change {
            Change::Subscribe => self.oracle.subscribed(session, patterns),
            Change::Unsubscribe => self.oracle.unsubscribed(session, patterns),
        }
    }

    /// The process ends after a drain, and another starts.
    pub(super) fn end(&mut self) {
        if self.weather.stored {
            self.stop();
        } else {
            self.restart();
        }
    }

    /// The process dies and another starts, with nothing but the clock and the newest id.
    fn restart(&mut self) {
        self.oracle.visit("restart");
        self.lose_streams();
        let wall = MessageId::new(self.wall_ms, 0).expect("an id");
        let origin = self.ids.last().max(wall);
        self.ids = IdGenerator::above(origin);
        self.hub = beginning(&self.weather, self.plant, origin);
        self.durable = Durable::new(origin);
        self.oracle.restarted(origin);
    }

    /// What is on its way in a process goes with it.
    pub(super) fn lose_streams(&mut self) {
        self.drained_at = None;
        self.workers = Default::default();
        self.to_worker = Default::default();
        self.to_hub = Default::default();
        self.held = None;
        self.clients.iter_mut().for_each(Client::lost_its_stream);
    }
}
