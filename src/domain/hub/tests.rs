//! The hub's rules one by one. That they hold together is the simulation's business, `tests/sim`.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::domain::history::TooManyMetrics;
use crate::domain::message::{Priority, Topic};
use crate::domain::notice::{Established, Notice};
use crate::domain::outbox::{self, Outbox, Outgoing, Progress};
use crate::domain::pattern::NameError;
use crate::domain::session::Identity;
use crate::domain::testing::{id, message, metric, own_metric, patterns, user};
use crate::domain::time::Now;

const EXPIRES: u64 = 1_000_000;

/// What the hub did, briefly.
#[derive(Debug, Clone, PartialEq)]
enum Did {
    Deliver(u64),
    Attach(u64, Vec<Said>, u64),
    Send(u64, Vec<Said>),
    CatchUp(u64, Vec<Said>, u64),
    Resubscribe(u64, Vec<String>),
    Close(u64, Goodbye),
}

#[derive(Debug, Clone, PartialEq)]
enum Said {
    /// Resumed, replayed, dropped.
    Established(bool, usize, u64),
    Snapshot(Vec<(String, u64)>),
    Message(u64),
    Subscribed(Vec<String>),
    Unsubscribed(Vec<String>),
    Dropped(u64),
    Refreshed(u64),
}

impl From<&Piece> for Said {
    fn from(piece: &Piece) -> Self {
        match piece {
            Piece::Message(message) => Self::Message(message.id.millis()),
            Piece::Notice(Notice::Established(e)) => {
                Self::Established(e.resumed, e.replayed, e.receipt.dropped.total())
            }
            Piece::Notice(Notice::InitialMetrics { values, .. }) => Self::Snapshot(
                values
                    .iter()
                    .map(|(name, message)| (name.to_string(), message.id.millis()))
                    .collect(),
            ),
            Piece::Notice(Notice::Subscribed { metrics }) => Self::Subscribed(texts(metrics)),
            Piece::Notice(Notice::Unsubscribed { metrics }) => Self::Unsubscribed(texts(metrics)),
            Piece::Notice(Notice::Dropped(receipt)) => Self::Dropped(receipt.dropped.total()),
            Piece::Notice(Notice::Refreshed { expires_at_ms }) => Self::Refreshed(*expires_at_ms),
            Piece::Notice(other) => panic!("{other:?}"),
        }
    }
}

fn texts(patterns: &[crate::domain::pattern::Pattern]) -> Vec<String> {
    patterns.iter().map(|pattern| pattern.to_string()).collect()
}

fn said(pieces: &[Piece]) -> Vec<Said> {
    pieces.iter().map(Said::from).collect()
}

#[derive(Default)]
struct Recorder {
    did: Vec<Did>,
    opening: Option<Established>,
}

impl Effects for Recorder {
    fn deliver(&mut self, message: &Arc<Message>) {
        self.did.push(Did::Deliver(message.id.millis()));
    }
    fn attach(&mut self, session: &Session, opening: Vec<Piece>, through: MessageId) {
        if let Some(Piece::Notice(Notice::Established(established))) = opening.first() {
            self.opening = Some((**established).clone());
        }
        let key = session.connection.key.number;
        self.did
            .push(Did::Attach(key, said(&opening), through.millis()));
    }
    fn send(&mut self, to: ConnectionKey, _: Transport, pieces: Vec<Piece>) {
        self.did.push(Did::Send(to.number, said(&pieces)));
    }
    fn catch_up(
        &mut self,
        to: ConnectionKey,
        _: Transport,
        pieces: Vec<Piece>,
        through: MessageId,
    ) {
        self.did
            .push(Did::CatchUp(to.number, said(&pieces), through.millis()));
    }
    fn resubscribe(&mut self, connection: ConnectionKey, subscription: Subscription) {
        self.did.push(Did::Resubscribe(
            connection.number,
            texts(&subscription.patterns()),
        ));
    }
    fn close(&mut self, connection: ConnectionKey, _: Transport, goodbye: Goodbye) {
        self.did.push(Did::Close(connection.number, goodbye));
    }
}

/// A hub with a clock, and one connection key after the other.
struct Scene {
    hub: HubState,
    now: Now,
    recorder: Recorder,
    progress: HashMap<u64, Arc<Progress>>,
    last: u64,
}

fn limits() -> Limits {
    Limits {
        history: history::Limits {
            backlog_messages_max: 3,
            bytes_max: usize::MAX,
            metrics_max: 10,
            counted_ids_max: 1000,
        },
        connections_per_user_max: 2,
        connections_max: 3,
        away_max: 5,
        session_timeout: Duration::from_secs(100),
        metric_idle_timeout: Duration::from_secs(100),
    }
}

fn identity(name: &str) -> Identity {
    Identity {
        user: user(name),
        role: "platform_admin".into(),
        expires_at_ms: EXPIRES,
        issued_at_ms: None,
        token_id: Some(format!("jti-{name}")),
    }
}

fn key(number: u64) -> ConnectionKey {
    ConnectionKey { worker: 0, number }
}

fn token(number: u64) -> Uuid {
    Uuid::from_u128(number.into())
}

fn ticket(number: u8) -> TicketHash {
    [number; 32]
}

impl Scene {
    fn new() -> Self {
        Self::with(limits())
    }

    /// The log begins at 10, the wall clock at 1000.
    fn with(limits: Limits) -> Self {
        Self {
            hub: HubState::new(limits, id(10)),
            now: Now {
                wall_ms: 1000,
                mono: Duration::from_secs(1),
            },
            recorder: Recorder::default(),
            progress: HashMap::new(),
            last: 10,
        }
    }

    fn did(&mut self) -> Vec<Did> {
        std::mem::take(&mut self.recorder.did)
    }

    fn ask(
        &mut self,
        number: u64,
        opening: Opening,
        last_event_id: Option<u64>,
    ) -> Result<Uuid, Refusal> {
        self.ask_over(Transport::Sse, number, opening, last_event_id)
    }

    fn ask_over(
        &mut self,
        transport: Transport,
        number: u64,
        opening: Opening,
        last_event_id: Option<u64>,
    ) -> Result<Uuid, Refusal> {
        let progress = self.progress.entry(number).or_default().clone();
        let connect = Connect {
            key: key(number),
            transport,
            opening,
            last_event_id: last_event_id.map(id),
            progress,
            remote: "203.0.113.7".into(),
            user_agent: "test".into(),
            fresh_token: token(number),
            fresh_connection_id: token(number + 1000),
        };
        let result = self.hub.connect(connect, self.now, &mut self.recorder);
        assert!(self.hub.is_consistent());
        result
    }

    fn open(&mut self, number: u64, name: &str, metrics: &[&str]) -> Uuid {
        self.ask(number, new(name, metrics), None).unwrap()
    }

    fn publish(&mut self, topic: Topic, priority: Priority) -> u64 {
        self.last += 1;
        self.hub
            .published(message(self.last, topic, priority), &mut self.recorder);
        self.last
    }

    fn publish_many(&mut self, count: u64, name: &str) {
        (0..count).for_each(|_| {
            self.publish(metric(name), Priority::Normal);
        });
    }

    /// The connection's driver has handed everything up to `position` to the socket.
    fn sent(&mut self, number: u64, position: u64) {
        let limits = outbox::Limits {
            messages_max: 1,
            bytes_max: 1,
        };
        let mut outbox = Outbox::new(limits, self.progress[&number].clone());
        outbox.push(Outgoing {
            bytes: Bytes::new(),
            position: Some(id(position)),
            is_message: true,
            published_at: None,
        });
        outbox.take();
    }

    fn gone(&mut self, number: u64, position: u64) {
        self.now.mono += Duration::from_secs(1);
        self.hub.disconnected(key(number), id(position), self.now);
        assert!(self.hub.is_consistent());
    }
}

fn new(name: &str, metrics: &[&str]) -> Opening {
    Opening::New {
        identity: identity(name),
        patterns: patterns(metrics),
        ticket: None,
    }
}

fn resume(name: &str, number: u64) -> Opening {
    Opening::Resume {
        identity: identity(name),
        token: token(number),
        ticket: None,
    }
}

#[test]
fn a_new_stream_begins_with_the_snapshot_and_a_resumed_one_with_what_was_missed() {
    let mut scene = Scene::new();
    scene.publish(metric("a"), Priority::Normal);
    scene.did();
    scene.open(1, "ann", &[]);
    let opening = vec![
        Said::Established(false, 0, 0),
        Said::Snapshot(vec![("a".into(), 11)]),
    ];
    assert_eq!(scene.did(), [Did::Attach(1, opening, 11)]);
    let told = scene.recorder.opening.take().unwrap();
    assert_eq!(
        (told.reconnect_token, told.previous_connection_id),
        (token(1), None)
    );

    scene.publish(metric("a"), Priority::Normal);
    scene.gone(1, 11);
    scene.publish(Topic::Alerts, Priority::Critical);
    scene.did();
    scene.ask(2, resume("ann", 1), None).unwrap();
    let opening = vec![
        Said::Established(true, 2, 0),
        Said::Message(12),
        Said::Message(13),
    ];
    assert_eq!(scene.did(), [Did::Attach(2, opening, 13)]);
    let told = scene.recorder.opening.take().unwrap();
    assert_eq!(told.reconnect_token, token(1), "the token stays");
    assert_eq!(told.previous_connection_id, Some(token(1001)));
    assert_eq!(told.connection_id, token(1002));
}

#[test]
fn a_position_of_ours_resumes_and_any_other_gets_a_snapshot() {
    for (position, resumed) in [
        (Some(12), true),
        (Some(10), true),
        (Some(14), true),
        (Some(9), false),
        (Some(15), false),
        (None, false),
    ] {
        let mut scene = Scene::new();
        scene.publish_many(4, "a");
        scene.ask(1, new("ann", &["a"]), position).unwrap();
        let told = scene.recorder.opening.take().unwrap();
        assert_eq!(told.resumed, resumed, "{position:?}");
        if let (Some(position), true) = (position, resumed) {
            assert_eq!(
                told.replayed as u64 + told.receipt.dropped.total(),
                14 - position
            );
        }
    }
}

#[test]
fn a_snapshot_holds_what_its_user_may_see() {
    let mut scene = Scene::new();
    scene.publish(metric("a"), Priority::Normal);
    scene.publish(own_metric("a", "ann"), Priority::Low);
    scene.publish(own_metric("a", "bob"), Priority::Normal);
    scene.publish(metric("a.b"), Priority::Normal);
    scene.publish(Topic::Alerts, Priority::Critical);
    let value = |name: &str, n| (name.to_string(), n);
    for (name, metrics, expected) in [
        ("ann", &[][..], vec![value("a", 12), value("a.b", 14)]),
        ("bob", &["a"], vec![value("a", 13)]),
        ("cid", &["a", "nobody"], vec![value("a", 11)]),
        ("ann", &["a.*"], vec![value("a.b", 14)]),
        ("ann", &["nobody"], vec![]),
    ] {
        let mut scene_of_one = Scene {
            hub: scene.hub.take_for_test(),
            ..Scene::new()
        };
        scene_of_one.open(1, name, metrics);
        let [Did::Attach(_, opening, 15)] = &scene_of_one.did()[..] else {
            panic!("one opening")
        };
        assert_eq!(opening[1], Said::Snapshot(expected), "{name} {metrics:?}");
        scene_of_one
            .hub
            .disconnect(|_| true, &mut scene_of_one.recorder);
        scene.hub = scene_of_one.hub;
    }
}

impl HubState {
    fn take_for_test(&mut self) -> Self {
        std::mem::replace(self, Self::new(limits(), MessageId::ZERO))
    }
}

#[test]
fn each_refusal_has_its_reason_and_changes_nothing() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.open(2, "ann", &[]);
    let with_ticket = Opening::New {
        identity: identity("bob"),
        patterns: vec![],
        ticket: Some(ticket(9)),
    };
    scene.ask(3, with_ticket, None).unwrap();
    scene.gone(2, 10);
    scene.open(4, "ann", &[]);
    scene.did();
    let many: Vec<String> = (0..101).map(|n| format!("m{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let by_ticket = |hash, wanted: Option<u64>| Opening::ByTicket {
        ticket: ticket(hash),
        token: wanted.map(token),
    };
    for (opening, expected) in [
        (new("ann", &[]), Refusal::ConnectionLimit),
        (resume("ann", 2), Refusal::ConnectionLimit),
        (new("bob", &[]), Refusal::HubFull),
        (new("cid", &many), Refusal::TooManyPatterns),
        (resume("ann", 77), Refusal::UnknownToken),
        (resume("bob", 1), Refusal::UnknownToken),
        (by_ticket(8, None), Refusal::UnknownTicket),
        (by_ticket(9, Some(1)), Refusal::UnknownTicket),
    ] {
        assert_eq!(scene.ask(9, opening, None), Err(expected));
        assert_eq!(scene.did(), []);
        assert_eq!((scene.hub.live(), scene.hub.statistics().sessions), (3, 4));
    }
    assert_eq!(scene.ask(10, by_ticket(9, Some(3)), None), Ok(token(3)));
    scene.now.wall_ms = EXPIRES;
    assert_eq!(
        scene.ask(11, by_ticket(9, None), None),
        Err(Refusal::UnknownTicket)
    );
    scene
        .hub
        .drain((Duration::ZERO, Duration::ZERO), &mut scene.recorder);
    assert_eq!(
        scene.ask(12, resume("ann", 1), None),
        Err(Refusal::Draining)
    );
}

#[test]
fn a_slot_is_free_as_soon_as_its_connection_is() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.open(2, "ann", &[]);
    assert_eq!(
        scene.ask(3, resume("ann", 1), None),
        Ok(token(1)),
        "its own slot serves"
    );
    assert_eq!(
        scene.ask(4, new("ann", &[]), None),
        Err(Refusal::ConnectionLimit)
    );
    scene.gone(2, 10);
    assert_eq!(scene.ask(5, new("ann", &[]), None), Ok(token(5)));
    // One that is told to end no longer counts, though it has not reported yet.
    scene.now.wall_ms = EXPIRES;
    scene.hub.tick(scene.now, &mut scene.recorder);
    assert_eq!(
        (scene.hub.live(), scene.hub.statistics().sse.closing),
        (0, 2)
    );
    scene.open(6, "ann", &[]);
}

#[test]
fn a_replaced_stream_is_told_so_and_its_late_reports_are_nobodys() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.sent(1, 10);
    scene.publish_many(2, "a");
    scene.sent(1, 11);
    scene.did();
    scene.ask(2, resume("ann", 1), None).unwrap();
    let opening = vec![Said::Established(true, 1, 0), Said::Message(12)];
    assert_eq!(
        scene.did(),
        [
            Did::Close(1, Goodbye::Replaced),
            Did::Attach(2, opening, 12)
        ]
    );
    scene.gone(1, 11);
    scene.hub.lagging(key(1), id(11));
    scene.hub.drained(key(1), &mut scene.recorder);
    assert_eq!((scene.did(), scene.hub.live()), (vec![], 1));
}

#[test]
fn what_really_arrived_counts_before_what_was_sent() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.publish_many(3, "a");
    scene.gone(1, 13);
    scene.did();
    scene.ask(2, resume("ann", 1), Some(11)).unwrap();
    let opening = vec![
        Said::Established(true, 2, 0),
        Said::Message(12),
        Said::Message(13),
    ];
    assert_eq!(scene.did(), [Did::Attach(2, opening, 13)]);
    // Nothing of that was sent before it broke again, and now nothing is said about what arrived.
    scene.gone(2, 0);
    scene.ask(3, resume("ann", 1), None).unwrap();
    let told = scene.recorder.opening.take().unwrap();
    assert_eq!((told.resumed, told.replayed), (true, 2));
}

#[test]
fn a_snapshot_that_was_never_sent_is_still_due() {
    let mut scene = Scene::new();
    scene.publish_many(1, "a");
    scene.open(1, "ann", &[]);
    scene.gone(1, 0);
    scene.publish_many(1, "a");
    scene.did();
    scene.ask(2, resume("ann", 1), None).unwrap();
    let snapshot = |n| {
        vec![
            Said::Established(false, 0, 0),
            Said::Snapshot(vec![("a".into(), n)]),
        ]
    };
    assert_eq!(scene.did(), [Did::Attach(2, snapshot(12), 12)]);
    scene.ask(3, resume("ann", 1), None).unwrap();
    assert_eq!(
        scene.did(),
        [
            Did::Close(2, Goodbye::Replaced),
            Did::Attach(3, snapshot(12), 12)
        ]
    );
    scene.sent(3, 12);
    scene.ask(4, resume("ann", 1), None).unwrap();
    assert!(scene.recorder.opening.take().unwrap().resumed);
    // A position from before the session began is of another session.
    scene.ask(5, resume("ann", 1), Some(10)).unwrap();
    assert!(!scene.recorder.opening.take().unwrap().resumed);
}

#[test]
fn who_missed_nothing_is_told_of_nothing_however_long_the_log_moved_on() {
    let mut limits = limits();
    limits.history.counted_ids_max = 10;
    let mut scene = Scene::with(limits);
    scene.open(1, "ann", &["quiet", "calm.*"]);
    scene.sent(1, 10);
    scene.gone(1, 10);
    scene.publish_many(5000, "busy");
    scene.publish(own_metric("quiet", "bob"), Priority::Critical);
    scene.ask(2, resume("ann", 1), None).unwrap();
    let told = scene.recorder.opening.take().unwrap();
    assert_eq!(
        (told.resumed, told.replayed, told.receipt),
        (true, 0, Default::default())
    );
}

#[test]
fn a_receipt_names_what_was_dropped_and_how_much_of_each_priority() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.sent(1, 10);
    scene.gone(1, 10);
    for (name, priority) in [
        ("a", Priority::Low),
        ("b", Priority::Low),
        ("a", Priority::Normal),
        ("c", Priority::High),
        ("c", Priority::High),
        ("d", Priority::Critical),
    ] {
        scene.publish(metric(name), priority);
    }
    scene.did();
    scene.ask(2, resume("ann", 1), None).unwrap();
    let opening = vec![
        Said::Established(true, 3, 3),
        Said::Message(14),
        Said::Message(15),
        Said::Message(16),
    ];
    assert_eq!(scene.did(), [Did::Attach(2, opening, 16)]);
    let receipt = scene.recorder.opening.take().unwrap().receipt;
    assert_eq!(
        (
            receipt.dropped[Priority::Low],
            receipt.dropped[Priority::Normal]
        ),
        (2, 1)
    );
    assert_eq!(
        receipt
            .metrics
            .iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(scene.hub.statistics().tally.dropped, receipt.dropped);
}

#[test]
fn a_receipt_names_a_hundred_metrics_at_most() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.sent(1, 10);
    scene.gone(1, 10);
    (0..150).for_each(|n| {
        scene.publish(metric(&format!("m{n}")), Priority::Normal);
    });
    scene.ask(2, resume("ann", 1), None).unwrap();
    let receipt = scene.recorder.opening.take().unwrap().receipt;
    assert_eq!((receipt.metrics.len(), receipt.dropped.total()), (100, 147));
}

#[test]
fn a_lagging_connection_gets_its_backlog_when_it_has_run_empty() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &["a"]);
    scene.publish_many(2, "a");
    scene.hub.lagging(key(1), id(11));
    scene.publish_many(1, "b");
    scene.did();
    scene.hub.drained(key(1), &mut scene.recorder);
    assert_eq!(
        scene.did(),
        [Did::CatchUp(1, vec![Said::Message(12)], 13)],
        "nothing dropped, nothing said"
    );
    scene.hub.drained(key(1), &mut scene.recorder);
    assert_eq!(scene.did(), [], "once a lag");

    scene.hub.lagging(key(1), id(13));
    scene.publish_many(5, "a");
    assert_eq!(scene.hub.statistics().buffered, 3);
    scene.did();
    scene.hub.drained(key(1), &mut scene.recorder);
    let pieces = [
        vec![Said::Dropped(2)],
        (16..19).map(Said::Message).collect(),
    ]
    .concat();
    assert_eq!(scene.did(), [Did::CatchUp(1, pieces, 18)]);
    assert!(scene.hub.is_consistent());
}

/// What was carried along was counted from what had been queued; less than that was sent.
#[test]
fn who_goes_away_while_lagging_is_told_all_or_nothing() {
    let mut limits = limits();
    limits.history.counted_ids_max = 0;
    let mut scene = Scene::with(limits);
    scene.open(1, "ann", &[]);
    scene.sent(1, 10);
    scene.publish_many(2, "a");
    scene.hub.lagging(key(1), id(12));
    scene.publish_many(10, "a");
    scene.gone(1, 10);
    scene.ask(2, resume("ann", 1), None).unwrap();
    let told = scene.recorder.opening.take().unwrap();
    assert!(!told.resumed, "11 and 12 went uncounted");
}

#[test]
fn what_the_log_forgot_is_never_passed_over_in_silence() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.sent(1, 10);
    scene.open(2, "ann", &[]);
    scene.sent(2, 10);
    scene.gone(1, 10);
    scene.publish_many(1, "a");
    scene.hub.lagging(key(2), id(10));
    // The wall clock jumps far ahead, and the metric looks idle.
    scene.now.wall_ms += 1_000_000;
    scene.hub.clean_up(scene.now);
    scene.last = 1_001_000;
    scene.publish_many(1, "b");
    scene.did();
    scene.hub.drained(key(2), &mut scene.recorder);
    assert_eq!(scene.did(), [Did::Close(2, Goodbye::Trouble)]);
    scene.ask(3, resume("ann", 1), None).unwrap();
    assert!(!scene.recorder.opening.take().unwrap().resumed);
}

#[test]
fn a_refresh_needs_the_same_user_and_lasts_at_least_as_long() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.did();
    let until = |name, expires_at_ms| Identity {
        expires_at_ms,
        ..identity(name)
    };
    for (number, identity, expected) in [
        (7, until("ann", EXPIRES), Err(RefreshError::UnknownSession)),
        (1, until("bob", EXPIRES + 5), Err(RefreshError::OtherUser)),
        (
            1,
            until("ann", EXPIRES - 1),
            Err(RefreshError::ExpiresEarlier),
        ),
        (1, until("ann", EXPIRES), Ok(EXPIRES)),
        (1, until("ann", EXPIRES + 5), Ok(EXPIRES + 5)),
    ] {
        assert_eq!(
            scene
                .hub
                .refresh(token(number), identity, &mut scene.recorder),
            expected
        );
        let told = expected.map_or(vec![], |expires| {
            vec![Did::Send(1, vec![Said::Refreshed(expires)])]
        });
        assert_eq!(scene.did(), told);
        assert!(scene.hub.is_consistent());
    }
    scene.now.wall_ms = EXPIRES + 4;
    scene.hub.tick(scene.now, &mut scene.recorder);
    assert_eq!(scene.did(), []);
    scene.now.wall_ms += 1;
    scene.hub.tick(scene.now, &mut scene.recorder);
    assert_eq!(scene.did(), [Did::Close(1, Goodbye::TokenExpired)]);
    scene.hub.tick(scene.now, &mut scene.recorder);
    assert_eq!(scene.did(), [], "told once");
}

#[test]
fn a_user_has_twice_as_many_away_sessions_as_connections_and_the_hub_has_a_limit_too() {
    let mut scene = Scene::new();
    for number in 1..=5 {
        scene.open(number, "ann", &[]);
        scene.gone(number, 10);
    }
    assert!(scene.hub.session(&token(1)).is_none(), "away longest");
    assert!((2..=5).all(|number| scene.hub.session(&token(number)).is_some()));
    for number in 6..=7 {
        scene.open(number, "bob", &[]);
        scene.gone(number, 10);
    }
    assert!(
        scene.hub.session(&token(2)).is_none(),
        "five are the most in all"
    );
    assert_eq!(scene.hub.statistics().away, 5);
    assert_eq!(
        scene.ask(8, resume("ann", 1), None),
        Err(Refusal::UnknownToken)
    );
}

#[test]
fn a_session_is_forgotten_after_its_time_away_and_each_resume_renews_it() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.gone(1, 10);
    let pass = |scene: &mut Scene, seconds| {
        scene.now.mono += Duration::from_secs(seconds);
        scene.hub.tick(scene.now, &mut scene.recorder);
        scene.hub.session(&token(1)).is_some()
    };
    assert!(pass(&mut scene, 100));
    scene.ask(2, resume("ann", 1), None).unwrap();
    assert!(pass(&mut scene, 500), "connected");
    scene.gone(2, 10);
    assert!(pass(&mut scene, 100));
    assert!(!pass(&mut scene, 1));
    assert_eq!(
        scene.ask(3, resume("ann", 1), None),
        Err(Refusal::UnknownToken)
    );
}

#[test]
fn an_operator_ends_whom_he_chooses_and_forgets_them() {
    type Chosen = fn(&Session) -> bool;
    let by_user: Chosen = |session| session.user().as_str() == "ann";
    let by_connection: Chosen = |session| session.connection_id == token(1002);
    let by_jti: Chosen = |session| session.identity.token_id.as_deref() == Some("jti-bob");
    let by_issue: Chosen = |session| session.identity.issued_at_ms.is_some();
    for (chosen, closed, ended) in [
        (by_user, &[1][..], 2),
        (by_connection, &[], 1),
        (by_jti, &[3], 1),
        (by_issue, &[], 0),
    ] {
        let mut scene = Scene::new();
        scene.open(1, "ann", &[]);
        scene.open(2, "ann", &[]);
        scene.open(3, "bob", &[]);
        scene.gone(2, 10);
        scene.did();
        let told = scene.hub.disconnect(chosen, &mut scene.recorder);
        assert_eq!(
            (told.len(), scene.hub.statistics().sessions),
            (ended, 3 - ended)
        );
        assert_eq!(
            told.iter().filter(|ended| ended.was_live).count(),
            closed.len()
        );
        let closes: Vec<Did> = closed
            .iter()
            .map(|number| Did::Close(*number, Goodbye::Disconnected))
            .collect();
        assert_eq!(scene.did(), closes);
        scene.gone(1, 10);
    }
}

#[test]
fn a_session_counts_what_all_of_its_connections_sent() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    let sent = |scene: &Scene| scene.hub.session(&token(1)).unwrap().sent();
    scene.sent(1, 10);
    scene.sent(1, 11);
    assert_eq!(sent(&scene), 2);
    scene.gone(1, 11);
    assert_eq!(sent(&scene), 2);
    scene.ask(2, resume("ann", 1), None).unwrap();
    scene.sent(2, 12);
    assert_eq!(sent(&scene), 3);
    scene.ask(3, resume("ann", 1), None).unwrap();
    assert_eq!(sent(&scene), 3);
}

#[test]
fn a_drain_spreads_the_clients_over_the_time_given() {
    let mut scene = Scene::new();
    (1..=2).for_each(|number| {
        scene.open(number, &format!("user-{number}"), &[]);
    });
    scene.did();
    scene.hub.drain(
        (Duration::from_secs(1), Duration::from_secs(5)),
        &mut scene.recorder,
    );
    let shutdown = |seconds| Goodbye::Shutdown {
        reconnect_in: Duration::from_secs(seconds),
    };
    assert_eq!(
        scene.did(),
        [Did::Close(1, shutdown(1)), Did::Close(2, shutdown(3))]
    );
}

#[test]
fn a_user_changes_all_of_its_sessions_at_once_or_none() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &["a"]);
    scene.sent(1, 10);
    scene.open(2, "ann", &[]);
    scene.gone(1, 10);
    scene.did();
    let many: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let change = |scene: &mut Scene, change, metrics: &[&str]| {
        scene.hub.change_user(
            &user("ann"),
            change,
            &patterns(metrics),
            &mut scene.recorder,
        )
    };
    assert_eq!(
        change(&mut scene, Change::Subscribe, &many),
        Err(NameError::Patterns)
    );
    assert_eq!(scene.did(), []);
    scene.publish(metric("b"), Priority::Normal);
    scene.did();
    assert_eq!(
        change(&mut scene, Change::Subscribe, &["b"]),
        Ok(1),
        "one of them is live"
    );
    let b = || vec!["b".to_string()];
    assert_eq!(
        scene.did(),
        [
            Did::Resubscribe(2, b()),
            Did::Send(2, vec![Said::Subscribed(b())])
        ]
    );
    scene.publish(metric("b"), Priority::Normal);
    scene.publish(metric("a"), Priority::Normal);
    assert_eq!(change(&mut scene, Change::Unsubscribe, &["a"]), Ok(1));
    scene.did();
    scene.ask(3, resume("ann", 1), None).unwrap();
    let opening = vec![Said::Established(true, 1, 0), Said::Message(12)];
    assert_eq!(
        scene.did(),
        [Did::Attach(3, opening, 13)],
        "b since it was subscribed, a no more"
    );
}

#[test]
fn a_test_message_is_for_one_transport_and_counts_from_when_it_was_taken() {
    let test = |transport| Topic::Test(user("ann"), transport);
    let mut scene = Scene::new();
    scene
        .ask_over(Transport::Sse, 1, new("ann", &[]), None)
        .unwrap();
    scene.sent(1, 10);
    assert_eq!(scene.hub.audience(&test(Transport::Sse)), 1);
    assert_eq!(scene.hub.audience(&test(Transport::Websocket)), 0);
    assert_eq!(
        scene
            .hub
            .audience(&Topic::Test(user("bob"), Transport::Sse)),
        0
    );
    scene.publish(test(Transport::Websocket), Priority::Low);
    scene
        .ask_over(Transport::Websocket, 2, resume("ann", 1), None)
        .unwrap();
    assert_eq!(scene.recorder.opening.take().unwrap().replayed, 0);
    scene.gone(2, 10);
    scene.publish(test(Transport::Websocket), Priority::Low);
    scene.did();
    scene
        .ask_over(Transport::Websocket, 3, resume("ann", 1), None)
        .unwrap();
    let opening = vec![Said::Established(true, 1, 0), Said::Message(12)];
    assert_eq!(scene.did(), [Did::Attach(3, opening, 12)]);
}

#[test]
fn room_for_a_metric_is_made_where_others_are_idle_longer_than_anyone_can_be_away() {
    let mut limits = limits();
    limits.history.metrics_max = 1;
    let mut scene = Scene::with(limits);
    scene.publish(metric("a"), Priority::Normal);
    let ask = |scene: &mut Scene, seconds: u64| {
        scene.now.wall_ms = 11 + seconds * 1000;
        scene.hub.admit([metric("b")].iter(), scene.now)
    };
    assert_eq!(ask(&mut scene, 99), Err(TooManyMetrics));
    assert_eq!(ask(&mut scene, 100), Ok(()));
}

#[test]
fn statistics_count_streams_by_transport_and_backlogs_by_priority() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene
        .ask_over(Transport::Websocket, 2, new("ann", &[]), None)
        .unwrap();
    scene
        .ask_over(Transport::Websocket, 3, new("bob", &[]), None)
        .unwrap();
    scene.hub.lagging(key(3), id(10));
    scene.sent(2, 10);
    scene.gone(2, 10);
    (0..4).for_each(|_| {
        scene.publish(metric("a"), Priority::High);
    });
    let statistics = scene.hub.statistics();
    assert_eq!((statistics.sessions, statistics.away), (3, 1));
    assert_eq!((statistics.sse.total, statistics.sse.active), (1, 1));
    assert_eq!(
        (statistics.websocket.total, statistics.websocket.active),
        (1, 0),
        "one lags"
    );
    assert_eq!(
        statistics.connections_by_user,
        [(user("ann"), 1), (user("bob"), 1)].into()
    );
    assert_eq!(
        (
            statistics.buffered,
            statistics.buffered_by_priority[Priority::High]
        ),
        (6, 6)
    );
    assert_eq!((statistics.utilization_max, statistics.metrics), (1.0, 1));
    assert!((statistics.utilization_mean - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!(statistics.tally.published[Priority::High], 4);

    let views = |filter: SessionFilter| {
        let (views, total) = scene.hub.sessions(&filter, 0, 10);
        (
            views
                .iter()
                .map(|view| view.session.token)
                .collect::<Vec<_>>(),
            total,
        )
    };
    let all = SessionFilter::default;
    for (filter, expected) in [
        (all(), vec![1, 2, 3]),
        (
            SessionFilter {
                user: Some(user("ann")),
                ..all()
            },
            vec![1, 2],
        ),
        (
            SessionFilter {
                transport: Some(Transport::Websocket),
                ..all()
            },
            vec![2, 3],
        ),
        (
            SessionFilter {
                delivery: Some(Delivery::Away),
                ..all()
            },
            vec![2],
        ),
        (
            SessionFilter {
                delivery: Some(Delivery::Lagging),
                ..all()
            },
            vec![3],
        ),
    ] {
        let tokens: Vec<Uuid> = expected.iter().map(|number| token(*number)).collect();
        assert_eq!(views(filter), (tokens, expected.len()));
    }
    let (page, total) = scene.hub.sessions(&all(), 1, 1);
    assert_eq!((page.len(), total, page[0].session.token), (1, 3, token(2)));
    assert_eq!((page[0].backlog.total(), page[0].dropped.total()), (3, 1));
}
