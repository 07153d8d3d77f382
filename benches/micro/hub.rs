//! One step of the hub's state, with so many sessions live.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use statshub::domain::fanout::ConnectionKey;
use statshub::domain::hub::{Connect, Effects, HubState, Limits, Opening};
use statshub::domain::message::{Message, MessageId, Transport, UserId};
use statshub::domain::notice::{Goodbye, Piece, Stale};
use statshub::domain::session::{Identity, Session};
use statshub::domain::subscription::Subscription;
use statshub::domain::view::View;
use uuid::Uuid;

use crate::fixture::{NOW, Publisher, history_limits, metric, pattern};

const SESSIONS: [usize; 3] = [1, 100, 10_000];
/// Messages that a resumed session has missed.
const MISSED: usize = 100;

pub fn publish(criterion: &mut Criterion) {
    for sessions in SESSIONS {
        let mut fixture = Fixture::new(sessions);
        let (hub, publisher) = (&mut fixture.hub, &mut fixture.publisher);
        criterion.bench_function(&format!("hub/publish/{sessions}"), |bencher| {
            let publish = |message| hub.published(message, &mut NoEffects);
            bencher.iter_batched(|| publisher.next(), publish, BatchSize::SmallInput);
        });
    }
}

/// A thousand sessions over so many views, each of which is seen by as many: the cost is by the view.
pub fn views(criterion: &mut Criterion) {
    type Written = fn(usize) -> String;
    let fields: Written = |n| format!(r#"{{"metric":"**","fields":["/user","/field-{n}"]}}"#);
    let condition: Written = |n| format!(r#"{{"metric":"**","where":"data.user != {n}"}}"#);
    let rate: Written = |_| r#"{"metric":"**","maxHz":10}"#.to_owned();
    for (kind, written) in [("fields", fields), ("where", condition), ("maxHz", rate)] {
        for views in [0, 1, 10, 100] {
            if kind == "maxHz" && views > 1 {
                continue;
            }
            let mut fixture = Fixture::seeing(1000, views, written);
            let (hub, publisher) = (&mut fixture.hub, &mut fixture.publisher);
            criterion.bench_function(&format!("hub/views/{kind}/{views}"), |bencher| {
                let publish = |message| hub.published(message, &mut NoEffects);
                bencher.iter_batched(|| publisher.next(), publish, BatchSize::SmallInput);
            });
        }
    }
}

pub fn connect(criterion: &mut Criterion) {
    for (step, request) in [
        (
            "connect",
            Fixture::new_session as fn(&mut Fixture) -> Connect,
        ),
        ("resume", Fixture::same_session),
    ] {
        for sessions in SESSIONS {
            let fixture = RefCell::new(Fixture::new(sessions));
            criterion.bench_function(&format!("hub/{step}/{sessions}"), |bencher| {
                let leave = || {
                    let mut fixture = fixture.borrow_mut();
                    fixture.disconnect();
                    request(&mut fixture)
                };
                let connect = |request| fixture.borrow_mut().connect(request);
                bencher.iter_batched(leave, connect, BatchSize::PerIteration);
            });
        }
    }
}

/// Nothing has expired.
pub fn tick(criterion: &mut Criterion) {
    for sessions in SESSIONS {
        let Fixture { mut hub, .. } = Fixture::new(sessions);
        criterion.bench_function(&format!("hub/tick/{sessions}"), |bencher| {
            bencher.iter(|| hub.tick(NOW, &mut NoEffects));
        });
    }
}

/// A hub and its sessions, of which the last one is connected anew over and over.
struct Fixture {
    hub: HubState,
    publisher: Publisher,
    /// So far; also the number of the last one.
    connections: u64,
    /// Of the last one's session.
    token: Uuid,
    /// Up to where every client was sent everything.
    position: MessageId,
}

impl Fixture {
    fn new(sessions: usize) -> Self {
        let limits = Limits {
            history: history_limits(),
            connections_per_user_max: 1,
            connections_max: sessions,
            away_max: 1,
            session_timeout: Duration::MAX,
            metric_idle_timeout: Duration::MAX,
            ttls: Vec::new(),
        };
        let mut publisher = Publisher::new(1);
        let mut hub = HubState::new(limits, MessageId::ZERO);
        (0..MISSED).for_each(|_| hub.published(publisher.next(), &mut NoEffects));
        let mut fixture = Self {
            position: hub.history().last(),
            hub,
            publisher,
            connections: 0,
            token: Uuid::nil(),
        };
        for _ in 0..sessions {
            let request = fixture.new_session();
            fixture.connect(request);
        }
        for _ in 0..MISSED {
            let message = fixture.publisher.next();
            fixture.hub.published(message, &mut NoEffects);
        }
        fixture
    }

    /// Sessions that see metrics by so many views; with none, as they are published.
    fn seeing(sessions: usize, views: usize, written: fn(usize) -> String) -> Self {
        let mut fixture = Self::new(1);
        fixture.hub.set_limits(Limits {
            connections_max: sessions + 1,
            connections_per_user_max: 1,
            history: history_limits(),
            away_max: 1,
            session_timeout: Duration::MAX,
            metric_idle_timeout: Duration::MAX,
            ttls: Vec::new(),
        });
        for nth in 0..sessions {
            let mut request = fixture.new_session();
            if let (Opening::New { selectors, .. }, true) = (&mut request.opening, views > 0) {
                let selector = serde_json::from_str(&written(nth % views));
                *selectors = vec![selector.expect("a selector")];
            }
            fixture.connect(request);
        }
        fixture
    }

    fn disconnect(&mut self) {
        let key = key(self.connections);
        self.hub.disconnected(key, self.position, NOW);
    }

    fn new_session(&mut self) -> Connect {
        let number = self.connections + 1;
        self.request(Opening::New {
            identity: identity(number).into(),
            selectors: vec![pattern(metric(0).as_str()).into()],
            ticket: None,
        })
    }

    fn same_session(&mut self) -> Connect {
        let session = self.hub.session(&self.token).expect("its session");
        self.request(Opening::Resume {
            identity: session.identity.clone(),
            token: self.token,
            ticket: None,
        })
    }

    fn request(&mut self, opening: Opening) -> Connect {
        self.connections += 1;
        Connect {
            key: key(self.connections),
            transport: Transport::Sse,
            opening,
            last_event_id: None,
            progress: Arc::default(),
            remote: [192, 0, 2, 1].into(),
            user_agent: "".into(),
            fresh_token: Uuid::from_u128(self.connections.into()),
            fresh_connection_id: Uuid::from_u128(self.connections.into()),
        }
    }

    fn connect(&mut self, request: Connect) {
        let connected = self.hub.connect(request, NOW, &mut NoEffects);
        self.token = connected.expect("room for one more");
    }
}

fn key(number: u64) -> ConnectionKey {
    ConnectionKey::new(0, number)
}

fn identity(number: u64) -> Identity {
    Identity {
        user: UserId::parse(&format!("user-{number}")).expect("a user"),
        role: "platform_admin".into(),
        expires_at_ms: u64::MAX,
        issued_at_ms: None,
        token_id: None,
    }
}

/// Reaches no worker.
struct NoEffects;

impl Effects for NoEffects {
    fn deliver(&mut self, _: &Arc<Message>) {}
    fn deliver_as(&mut self, _: &View, _: &Arc<Message>) {}
    fn announce_stale(&mut self, _: &Stale) {}
    fn attach(&mut self, _: &Session, _: Vec<Piece>, _: MessageId) {}
    fn send(&mut self, _: ConnectionKey, _: Transport, _: Vec<Piece>) {}
    fn catch_up(&mut self, _: ConnectionKey, _: Transport, _: Vec<Piece>, _: MessageId) {}
    fn resubscribe(&mut self, _: ConnectionKey, _: Subscription) {}
    fn close(&mut self, _: ConnectionKey, _: Transport, _: Goodbye) {}
}
