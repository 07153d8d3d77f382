//! One history: a real hub and real fan-outs, everything between and around them simulated.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use statshub::domain::fanout::ConnectionKey;
use statshub::domain::hub::{Change, Connect, HubState, Opening, RefreshError};
use statshub::domain::message::{
    IdGenerator, Message, MessageId, Priority, Retain, Topic, Transport,
};
use statshub::domain::session::Identity;
use statshub::domain::time::Now;
use uuid::Uuid;

use crate::client::Client;
use crate::names::{self, METRICS};
use crate::oracle::Oracle;
use crate::plant::Plant;
use crate::rng::Rng;
use crate::weather::Weather;
use crate::worker::Worker;
use crate::world::{Ask, Effect, Recorder, Report, Request};

pub const WORKERS: usize = 2;
const QUIET_STEPS: u64 = 200;
const START_MS: u64 = 1_700_000_000_000;

/// First in, first out, after a while.
pub struct Channel<T> {
    queue: VecDeque<(u64, T)>,
}

impl<T> Channel<T> {
    fn push(&mut self, step: u64, item: T) {
        self.queue.push_back((step, item));
    }

    /// What arrives in this step.
    fn arriving(&mut self, step: u64, weather: &Weather, rng: &mut Rng) -> Vec<T> {
        let mut count = self
            .queue
            .iter()
            .take_while(|(sent, _)| step - sent >= weather.delay_max)
            .count();
        if rng.per_mille(weather.rates.flow) {
            count = count.max(rng.between(1, 6)).min(self.queue.len());
        }
        self.queue.drain(..count).map(|(_, item)| item).collect()
    }
}

impl<T> Default for Channel<T> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
        }
    }
}

pub struct Simulation {
    pub rng: Rng,
    pub weather: Weather,
    pub plant: Plant,
    pub hub: HubState,
    pub oracle: Oracle,
    pub workers: [Worker; WORKERS],
    pub clients: Vec<Client>,
    pub step: u64,
    pub wall_ms: u64,
    pub mono: Duration,
    pub quiet: bool,
    messages: Vec<Arc<Message>>,
    ids: IdGenerator,
    to_worker: [Channel<Arc<Effect>>; WORKERS],
    to_hub: [Channel<Report>; WORKERS],
    held: Option<Effect>,
    /// Which client had a session last.
    pub holders: HashMap<Uuid, usize>,
    next_key: u64,
    drained_at: Option<u64>,
    pub trace: u64,
}

/// What a history was.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Everything that anyone saw, folded into one number.
    pub trace: u64,
    /// How often it came through which corner.
    pub visited: BTreeMap<&'static str, u64>,
}

/// Runs one seed to its end. Panics when an invariant breaks.
pub fn run(seed: u64, steps: u64, plant: Plant) -> Outcome {
    let mut simulation = Simulation::new(seed, plant);
    for _ in 0..steps {
        simulation.step();
    }
    simulation.calm_down();
    Outcome {
        trace: simulation.trace,
        visited: simulation.oracle.visited,
    }
}

impl Simulation {
    pub fn new(seed: u64, plant: Plant) -> Self {
        let mut rng = Rng::new(seed);
        let weather = Weather::draw(&mut rng);
        let mut ids = IdGenerator::above(MessageId::ZERO);
        ids.next(START_MS);
        let origin = ids.last();
        let clients = (0..weather.clients)
            .map(|index| Client::new(index % weather.users, &mut rng))
            .collect();
        Self {
            hub: HubState::new(plant.limits(&weather.limits), origin),
            oracle: Oracle::new(&weather, origin),
            workers: Default::default(),
            clients,
            step: 0,
            wall_ms: START_MS,
            mono: Duration::from_secs(1),
            quiet: false,
            messages: Vec::new(),
            ids,
            to_worker: Default::default(),
            to_hub: Default::default(),
            held: None,
            holders: HashMap::new(),
            next_key: 0,
            drained_at: None,
            trace: seed,
            rng,
            weather,
            plant,
        }
    }

    pub fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(5);
    }

    fn now(&self) -> Now {
        Now {
            wall_ms: self.wall_ms,
            mono: self.mono,
        }
    }

    pub fn uuid(&mut self) -> Uuid {
        Uuid::from_u128(u128::from(self.rng.next()) << 64 | u128::from(self.rng.next()))
    }

    pub fn key(&mut self) -> ConnectionKey {
        self.next_key += 1;
        ConnectionKey {
            worker: self.rng.below(WORKERS) as u16,
            number: self.next_key,
        }
    }

    fn step(&mut self) {
        self.step += 1;
        self.pass_time();
        if !self.quiet {
            self.publish();
            self.operate();
        }
        for client in 0..self.clients.len() {
            self.act(client);
        }
        self.move_channels();
        self.drive_workers();
        for client in 0..self.clients.len() {
            self.read(client);
        }
        self.check();
    }

    fn pass_time(&mut self) {
        let passed = self.rng.between(1, 5) as u64;
        self.mono += Duration::from_millis(passed);
        self.wall_ms += self.rng.between(0, 5) as u64;
        if !self.quiet && self.rng.per_mille(self.weather.rates.clock_jump) {
            let jump = self.rng.pick(&[100, 10_000, 3_600_000]);
            self.oracle.visit("clock jump");
            self.wall_ms = if self.rng.per_mille(500) {
                self.wall_ms + jump
            } else {
                self.wall_ms - jump
            };
        }
    }

    /// Asks the hub something, and lets its effects be falsified.
    fn ask<R>(
        &mut self,
        act: impl FnOnce(&mut HubState, Now, &mut Recorder) -> R,
    ) -> (R, Vec<Effect>) {
        self.mono += Duration::from_micros(1);
        let now = self.now();
        let mut recorder = Recorder::default();
        let answer = act(&mut self.hub, now, &mut recorder);
        let mut effects = recorder.0;
        self.plant.falsify(&mut effects, &self.messages);
        (answer, effects)
    }

    fn forward(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Deliver(message) => {
                    let Some(message) = self.plant.falsify_delivery(&message, &mut self.rng) else {
                        continue;
                    };
                    self.to_workers(Effect::Deliver(message));
                }
                Effect::Attach(attach) if self.plant == Plant::GapAfterSnapshot => {
                    self.release();
                    self.held = Some(Effect::Attach(attach));
                }
                other => {
                    self.release();
                    self.to_workers(other);
                }
            }
        }
    }

    /// One effect may be held back by a planted bug, until the next has passed it.
    fn to_workers(&mut self, effect: Effect) {
        let is_delivery = matches!(effect, Effect::Deliver(_));
        if self.plant == Plant::Reordered
            && is_delivery
            && self.held.is_none()
            && self.rng.per_mille(50)
        {
            self.held = Some(effect);
            return;
        }
        self.push(effect);
        self.release();
    }

    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.push(held);
        }
    }

    fn push(&mut self, effect: Effect) {
        let to = effect.worker();
        let effect = Arc::new(effect);
        for worker in 0..WORKERS {
            if to.is_none_or(|to| usize::from(to) == worker) {
                self.to_worker[worker].push(self.step, effect.clone());
            }
        }
    }

    // Publishers and operators.

    fn publish(&mut self) {
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
            self.publish_one(Topic::Alerts, Priority::Critical);
            return;
        }
        if self.rng.per_mille(rates.test) {
            let transport = self.rng.pick(&[Transport::Sse, Transport::Websocket]);
            let user = names::user(self.rng.below(self.weather.users));
            self.publish_one(Topic::Test(user, transport), Priority::Low);
            return;
        }
        let topics: Vec<Topic> = (0..count).map(|_| self.some_metric()).collect();
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
        if !admitted {
            self.oracle.visit("too many metrics");
        }
        if admitted {
            for topic in topics {
                let priority = self.some_priority();
                self.publish_one(topic, priority);
            }
        }
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

    fn publish_one(&mut self, topic: Topic, priority: Priority) {
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
        let message = |priority| {
            Arc::new(Message {
                id,
                topic: topic.clone(),
                priority,
                retain,
                published_at: self.mono,
                sse: Bytes::from(vec![b'.'; size]),
                json: 0..size,
                value: 0..0,
                websocket: Default::default(),
            })
        };
        let true_message = message(priority);
        let told = if self.plant == Plant::PriorityIgnored {
            message(Priority::Low)
        } else {
            true_message.clone()
        };
        self.note(id.to_bits());
        self.oracle.published(&true_message, self.step);
        self.messages.push(true_message);
        let audience = self.hub.audience(&topic);
        assert_eq!(
            audience,
            self.oracle.audience(&topic),
            "the audience of {topic:?}"
        );
        let ((), effects) = self.ask(|hub, _, effects| hub.published(told, effects));
        self.forward(effects);
    }

    fn operate(&mut self) {
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
            self.hub.clean_up(now);
            let limits = &self.weather.limits;
            self.forget_idle(limits.metric_idle_timeout.max(limits.session_timeout));
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
        if is_drained || self.rng.per_mille(rates.restart) {
            self.restart();
        }
    }

    fn forget_idle(&mut self, idle: Duration) {
        let before = self.wall_ms.saturating_sub(idle.as_millis() as u64);
        self.oracle
            .log
            .forget_idle(MessageId::new(before, 0).expect("an id"));
    }

    fn change_user(&mut self) {
        let user = names::user(self.rng.below(self.weather.users));
        let (change, patterns) = self.some_change();
        let parsed = names::patterns(&patterns);
        let (live, effects) =
            self.ask(|hub, _, effects| hub.change_user(&user, change, &parsed, effects));
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

    fn change_session(&mut self, session: usize, change: Change, patterns: &[usize]) {
        match change {
            Change::Subscribe => self.oracle.subscribed(session, patterns),
            Change::Unsubscribe => self.oracle.unsubscribed(session, patterns),
        }
    }

    /// The process dies and another starts, with nothing but the clock and the newest id.
    fn restart(&mut self) {
        self.oracle.visit("restart");
        self.drained_at = None;
        self.workers = Default::default();
        self.to_worker = Default::default();
        self.to_hub = Default::default();
        self.held = None;
        let wall = MessageId::new(self.wall_ms, 0).expect("an id");
        let origin = self.ids.last().max(wall);
        self.ids = IdGenerator::above(origin);
        self.hub = HubState::new(self.plant.limits(&self.weather.limits), origin);
        self.oracle.restarted(origin);
        self.clients.iter_mut().for_each(Client::lost_its_stream);
    }

    // What moves between the hub and its workers.

    pub fn report(&mut self, worker: usize, report: Report) {
        self.to_hub[worker].push(self.step, report);
    }

    fn move_channels(&mut self) {
        for worker in 0..WORKERS {
            for report in self.to_hub[worker].arriving(self.step, &self.weather, &mut self.rng) {
                self.hear(report);
            }
        }
        for worker in 0..WORKERS {
            if self.plant == Plant::SlowClientDelaysOthers
                && self.workers[worker].has_somebody_stuck()
            {
                continue;
            }
            let mut reports = Vec::new();
            for effect in self.to_worker[worker].arriving(self.step, &self.weather, &mut self.rng) {
                self.workers[worker].apply(&effect, &mut self.oracle, &mut reports, &self.weather);
            }
            reports
                .into_iter()
                .for_each(|report| self.report(worker, report));
        }
    }

    fn drive_workers(&mut self) {
        for worker in 0..WORKERS {
            let mut reports = Vec::new();
            self.workers[worker].drive(
                self.step,
                &mut self.oracle,
                &mut reports,
                &mut self.rng,
                &self.weather,
            );
            reports
                .into_iter()
                .for_each(|report| self.report(worker, report));
            if self.rng.per_mille(self.weather.rates.cursor) {
                self.workers[worker].move_cursors();
            }
        }
    }

    fn hear(&mut self, mut report: Report) {
        let last = self.oracle.log.last;
        let heard = self.plant.falsify_report(&mut report, last, &mut self.rng);
        match report {
            Report::Disconnected(key, _) if !heard => self.oracle.disconnected(key, self.mono),
            _ if !heard => {}
            Report::Connect(request) => self.connect(request),
            Report::Lagging(key, position) => self.hub.lagging(key, position),
            Report::Drained(key) => {
                let ((), effects) = self.ask(|hub, _, effects| hub.drained(key, effects));
                self.oracle.drained(key, &effects);
                self.forward(effects);
            }
            Report::Disconnected(key, position) => {
                let ((), effects) = self.ask(|hub, now, _| hub.disconnected(key, position, now));
                self.oracle.disconnected(key, self.mono);
                self.forward(effects);
            }
            Report::Change(key, change, patterns) => {
                let parsed = names::patterns(&patterns);
                let (result, effects) = self
                    .ask(|hub, _, effects| hub.change_connection(key, change, &parsed, effects));
                assert_eq!(result, Ok(()));
                if let Some(session) = self.oracle.by_key(key) {
                    self.change_session(session, change, &patterns);
                }
                self.forward(effects);
            }
            Report::Refresh(token, user, expires_at_ms) => self.refresh(token, user, expires_at_ms),
        }
    }

    fn refresh(&mut self, token: Uuid, user: usize, expires_at_ms: u64) {
        let identity = identity(user, expires_at_ms);
        let expected = match self.oracle.known().find(|session| session.token == token) {
            None => Err(RefreshError::UnknownSession),
            Some(session) if session.user != identity.user => Err(RefreshError::OtherUser),
            Some(session) if expires_at_ms < session.expires_at_ms => {
                Err(RefreshError::ExpiresEarlier)
            }
            Some(_) => Ok(expires_at_ms),
        };
        let (result, effects) = self.ask(|hub, _, effects| hub.refresh(token, identity, effects));
        assert_eq!(result, expected);
        self.oracle.visit(match result {
            Ok(_) => "refreshed",
            Err(RefreshError::UnknownSession) => "refresh of an unknown session",
            Err(RefreshError::OtherUser) => "refresh by another user",
            Err(RefreshError::ExpiresEarlier) => "refresh that expires earlier",
        });
        if result.is_ok() {
            let session = self
                .oracle
                .sessions
                .iter_mut()
                .find(|session| session.token == token);
            session.expect("it is known").expires_at_ms = expires_at_ms;
        }
        self.forward(effects);
    }

    fn connect(&mut self, request: Request) {
        let socket = &self.workers[usize::from(request.key.worker)].sockets[&request.key];
        let progress = socket.progress.clone();
        let mut user = request.user;
        let opening = match request.ask.clone() {
            Ask::New { patterns, ticket } => Opening::New {
                identity: identity(user, request.expires_at_ms),
                patterns: names::patterns(&patterns),
                ticket,
            },
            Ask::Token { token, ticket } => {
                if self.plant == Plant::TokenOfAnotherUser
                    && let Some(session) = self.hub.session(&token)
                {
                    let owner = session.user().clone();
                    user = (0..self.weather.users)
                        .find(|user| names::user(*user) == owner)
                        .expect("a user");
                }
                Opening::Resume {
                    identity: identity(user, request.expires_at_ms),
                    token,
                    ticket,
                }
            }
            Ask::Ticket { ticket, token } => Opening::ByTicket { ticket, token },
        };
        let connect = Connect {
            key: request.key,
            transport: request.transport,
            opening,
            last_event_id: self.plant.last_event_id(&request, &self.messages),
            progress,
            remote: String::new(),
            user_agent: String::new(),
            fresh_token: request.fresh_token,
            fresh_connection_id: request.fresh_connection_id,
        };
        let (result, effects) = self.ask(|hub, now, effects| hub.connect(connect, now, effects));
        self.note(u64::from(result.is_ok()));
        self.oracle
            .connected(&request, &result, &effects, self.wall_ms);
        self.answered(&request, result);
        self.forward(effects);
    }

    // What must hold after every step.

    fn check(&self) {
        assert!(self.hub.is_consistent());
        assert_eq!(self.hub.live(), self.oracle.live(), "live connections");
        let history = self.hub.history();
        assert_eq!(history.last(), self.oracle.log.last);
        assert!(
            history.bytes() <= self.weather.limits.history.bytes_max,
            "bytes are bounded"
        );
        if self.plant == Plant::Nothing {
            assert_eq!(history.bytes(), self.oracle.log.bytes);
        }
        for session in self.oracle.known() {
            assert!(
                self.hub.session(&session.token).is_some(),
                "{} is known",
                session.token
            );
        }
        if self.step.is_multiple_of(16) {
            let statistics = self.hub.statistics();
            assert_eq!(statistics.sessions, self.oracle.known().count(), "sessions");
            for (user, live) in &statistics.connections_by_user {
                assert_eq!(*live, self.oracle.live_of(user));
            }
        }
        // There and back again, in case its queue was full for a moment.
        let bound = 4 * self.weather.delay_max + 8;
        for worker in &self.workers {
            assert!(worker.is_consistent());
            for (key, socket) in &worker.sockets {
                if socket.ended || !self.oracle.streams.contains_key(key) {
                    continue;
                }
                if let Some((id, since)) = self.oracle.waiting_since(*key)
                    && socket.is_prompt_since(since)
                    && self.oracle.by_key(*key).is_some()
                {
                    assert!(
                        self.step - since <= bound,
                        "{id:?} of step {since} has not gone out at step {}",
                        self.step
                    );
                }
            }
        }
    }

    /// Nothing goes wrong any more; soon everything has arrived.
    fn calm_down(&mut self) {
        self.quiet = true;
        if self.oracle.draining {
            self.restart();
        }
        self.weather.rates.flow = 1000;
        self.weather.rates.notice = 1000;
        for step in 0..QUIET_STEPS {
            if step == QUIET_STEPS - 20 {
                self.weather.rates.cursor = 0;
            }
            self.step();
        }
        for client in &self.clients {
            assert!(
                client.has_stream() || client.was_refused_for_room,
                "found no way back: {client:?}"
            );
        }
        for worker in &self.workers {
            for (key, socket) in &worker.sockets {
                if !socket.ended
                    && self
                        .oracle
                        .by_key(*key)
                        .is_some_and(|s| self.oracle.sessions[s].is_live())
                {
                    let waiting = self.oracle.waiting_since(*key);
                    assert!(waiting.is_none(), "{waiting:?} never arrived on {key:?}");
                    assert!(socket.is_settled(), "something is stuck on {key:?}");
                }
            }
        }
    }
}

pub fn identity(user: usize, expires_at_ms: u64) -> Identity {
    Identity {
        user: names::user(user),
        role: "platform_admin".into(),
        expires_at_ms,
        issued_at_ms: None,
        token_id: None,
    }
}
