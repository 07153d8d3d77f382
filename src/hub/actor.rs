//! The Hub actor: receives, reads the clock, asks the domain, carries out what it says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context, Handler, MessageResult, SpawnHandle};
use tokio::task::yield_now;

use super::abort::AbortOnPanic;
use super::clock::Clock;
use super::effects::{Outlets, WorkerLink};
use super::fanout::ToWorker;
use super::messages::*;
use crate::broker;
use crate::config::Settings;
use crate::domain::history::{self, TooManyMetrics};
use crate::domain::hub::{HubState, Limits, Refusal};
use crate::domain::message::{Json, MessageId, Priority, Retain, Topic};
use crate::domain::session::Session;
use crate::domain::time::Now;
use crate::wire::message::Publication;

/// Requests and reports that may wait for the Hub.
const MAILBOX_MESSAGES_MAX: usize = 4096;
/// Messages handled before the Hub's own timers get their turn.
const BATCH: usize = 64;
/// How often expiries are looked at, and by how much they may be late.
const TICK: Duration = Duration::from_millis(200);
/// The same for what has become of connections, where no limit asks for a finer look.
const LOOK_AFTER_MAX: Duration = Duration::from_secs(1);

/// The one central actor. Owns subscriptions, buffers and reconnect tokens.
pub struct Hub {
    state: HubState,
    broker: broker::Local,
    workers: HashMap<u16, WorkerLink>,
    settings: Arc<Settings>,
    clock: Clock,
    timers: Vec<SpawnHandle>,
    handled: usize,
    _guard: AbortOnPanic,
}

impl Hub {
    /// A hub that knows nothing yet, with a log that begins now.
    pub fn new(settings: Arc<Settings>, clock: Clock) -> Self {
        let broker = broker::Local::starting_at(clock.now());
        Self {
            state: HubState::new(limits(&settings), broker.last()),
            broker,
            workers: HashMap::new(),
            settings,
            clock,
            timers: Vec::new(),
            handled: 0,
            _guard: AbortOnPanic,
        }
    }

    /// The state, and what carries out its effects at `now`.
    fn parts(&mut self, now: Now) -> (&mut HubState, Outlets<'_>) {
        let outlets = Outlets {
            workers: &self.workers,
            retry: self.settings.realtime.sse_retry,
            wall_ms: now.wall_ms,
        };
        (&mut self.state, outlets)
    }

    fn with<R>(&mut self, act: impl FnOnce(&mut HubState, Now, &mut Outlets<'_>) -> R) -> R {
        let now = self.clock.now();
        let (state, mut outlets) = self.parts(now);
        act(state, now, &mut outlets)
    }

    fn publish(
        &mut self,
        publications: Vec<Publication>,
    ) -> Result<Vec<MessageId>, TooManyMetrics> {
        let now = self.clock.now();
        let topics = publications.iter().map(|publication| &publication.topic);
        self.state.admit(topics, now)?;
        let append = |publication| {
            let message = Arc::new(self.broker.append(publication, now));
            let mut outlets = Outlets {
                workers: &self.workers,
                retry: self.settings.realtime.sse_retry,
                wall_ms: now.wall_ms,
            };
            let id = message.id;
            self.state.published(message, &mut outlets);
            id
        };
        Ok(publications.into_iter().map(append).collect())
    }

    /// What a draft leaves open is what is declared for its metric, first match first.
    fn complete(&self, draft: crate::domain::message::Draft) -> Publication {
        let declared = self
            .settings
            .metrics
            .iter()
            .find(|metric| metric.name.matches(&draft.metric));
        let priority = draft
            .priority
            .or(declared.and_then(|metric| metric.priority));
        let retain = draft.retain.or(declared.and_then(|metric| metric.retain));
        Publication {
            topic: match draft.user {
                Some(user) => Topic::UserMetric(draft.metric, user),
                None => Topic::Metric(draft.metric),
            },
            data: draft.data,
            priority: priority.unwrap_or(Priority::Normal),
            retain: retain.unwrap_or_default(),
        }
    }

    fn tell_all(&self, what: impl Fn() -> ToWorker) {
        for worker in self.workers.values() {
            worker.fanout.do_send(what());
        }
    }

    fn start_timers(&mut self, ctx: &mut Context<Self>) {
        for timer in self.timers.drain(..) {
            ctx.cancel_future(timer);
        }
        let realtime = &self.settings.realtime;
        let ping = self.settings.websocket.ping_interval;
        let look_after = [
            ping,
            self.settings.outgoing.stall_timeout,
            realtime.sse_comment_after,
        ]
        .into_iter()
        .map(|limit| limit / 4)
        .fold(LOOK_AFTER_MAX, Duration::min)
        .max(Duration::from_millis(20));
        self.timers = vec![
            ctx.run_interval(TICK, |hub, _| {
                hub.with(|state, now, outlets| state.tick(now, outlets));
            }),
            ctx.run_interval(realtime.heartbeat_interval, |hub, _| {
                let wall_ms = hub.clock.now().wall_ms;
                hub.tell_all(|| ToWorker::Heartbeat(wall_ms));
            }),
            ctx.run_interval(realtime.buffer_flush_interval, |hub, _| {
                hub.tell_all(|| ToWorker::Flush);
            }),
            ctx.run_interval(realtime.cleanup_interval, |hub, _| {
                hub.with(|state, now, _| state.clean_up(now));
            }),
            ctx.run_interval(ping, |hub, _| hub.tell_all(|| ToWorker::Ping)),
            ctx.run_interval(look_after, |hub, _| {
                hub.tell_all(|| ToWorker::LookAfter(hub.settings.clone()));
            }),
        ];
    }

    /// A mailbox is read until it is empty, so a steady stream of messages would keep the timers
    /// from ever running.
    fn pace(&mut self, ctx: &mut Context<Self>) {
        self.handled += 1;
        if self.handled.is_multiple_of(BATCH) {
            ctx.wait(wrap_future(yield_now()));
        }
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        history: history::Limits {
            backlog_messages_max: settings.sessions.backlog_messages_max,
            bytes_max: settings.history.bytes_max,
            metrics_max: settings.history.metrics_max,
            counted_ids_max: settings.history.counted_ids_max,
        },
        connections_per_user_max: settings.sessions.connections_per_user_max,
        connections_max: settings.sessions.connections_max,
        away_max: settings.sessions.away_max,
        session_timeout: settings.sessions.timeout,
        metric_idle_timeout: settings.history.metric_idle_timeout,
    }
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MESSAGES_MAX);
        self.start_timers(ctx);
    }
}

impl Handler<Connect> for Hub {
    type Result = Result<Admitted, Refusal>;

    fn handle(&mut self, Connect(connect): Connect, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        self.with(|state, now, outlets| {
            let token = state.connect(connect, now, outlets)?;
            let session = state.session(&token).ok_or(Refusal::UnknownToken)?;
            Ok(Admitted {
                token,
                connection_id: session.connection_id,
                identity: session.identity.clone(),
            })
        })
    }
}

impl Handler<Disconnected> for Hub {
    type Result = ();

    fn handle(&mut self, gone: Disconnected, ctx: &mut Context<Self>) {
        self.pace(ctx);
        self.with(|state, now, _| state.disconnected(gone.key, gone.position, now));
    }
}

impl Handler<Lagging> for Hub {
    type Result = ();

    fn handle(&mut self, lagging: Lagging, ctx: &mut Context<Self>) {
        self.pace(ctx);
        self.state.lagging(lagging.key, lagging.position);
    }
}

impl Handler<Drained> for Hub {
    type Result = ();

    fn handle(&mut self, Drained(key): Drained, ctx: &mut Context<Self>) {
        self.pace(ctx);
        self.with(|state, _, outlets| state.drained(key, outlets));
    }
}

impl Handler<End> for Hub {
    type Result = ();

    fn handle(&mut self, End(key): End, _: &mut Context<Self>) {
        self.with(|state, _, outlets| {
            state.disconnect(|session| session.connection.key == key, outlets);
        });
    }
}

impl Handler<Publish> for Hub {
    type Result = Result<Vec<MessageId>, TooManyMetrics>;

    fn handle(&mut self, Publish(drafts): Publish, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let publications = drafts
            .into_iter()
            .map(|draft| self.complete(draft))
            .collect();
        self.publish(publications)
    }
}

impl Handler<Alert> for Hub {
    type Result = Result<MessageId, TooManyMetrics>;

    fn handle(&mut self, Alert(data): Alert, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let alert = Publication {
            topic: Topic::Alerts,
            data,
            priority: Priority::Critical,
            retain: Retain::All,
        };
        let ids = self.publish(vec![alert])?;
        Ok(ids.last().copied().unwrap_or_default())
    }
}

impl Handler<Test> for Hub {
    type Result = Result<usize, TooManyMetrics>;

    fn handle(&mut self, test: Test, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let topic = Topic::Test(test.user, test.transport);
        let connections = self.state.audience(&topic);
        if connections > 0 {
            let data = test_data(self.clock.now());
            self.publish(vec![Publication {
                topic,
                data,
                priority: Priority::Low,
                retain: Retain::All,
            }])?;
        }
        Ok(connections)
    }
}

fn test_data(now: Now) -> Json {
    let millis = i64::try_from(now.wall_ms).unwrap_or(i64::MAX);
    let timestamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    let data = serde_json::json!({
        "message": "Test message",
        "timestamp": format!("{timestamp:.3}"),
    });
    Json::trusted(data.to_string())
}

impl Handler<ChangeConnection> for Hub {
    type Result = Result<(), crate::domain::pattern::NameError>;

    fn handle(&mut self, wanted: ChangeConnection, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let ChangeConnection {
            key,
            change,
            patterns,
        } = wanted;
        self.with(|state, _, outlets| state.change_connection(key, change, &patterns, outlets))
    }
}

impl Handler<ChangeUser> for Hub {
    type Result = Result<usize, crate::domain::pattern::NameError>;

    fn handle(&mut self, wanted: ChangeUser, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let ChangeUser {
            user,
            change,
            patterns,
        } = wanted;
        self.with(|state, _, outlets| state.change_user(&user, change, &patterns, outlets))
    }
}

impl Handler<Refresh> for Hub {
    type Result = Result<u64, crate::domain::hub::RefreshError>;

    fn handle(&mut self, Refresh { of, identity }: Refresh, _: &mut Context<Self>) -> Self::Result {
        self.with(|state, _, outlets| {
            let token = match of {
                Renewed::Session(token) => Some(token),
                Renewed::Connection(key) => state.session_of(key).map(|session| session.token),
            };
            let unknown = crate::domain::hub::RefreshError::UnknownSession;
            state.refresh(token.ok_or(unknown)?, identity, outlets)
        })
    }
}

impl Handler<Disconnect> for Hub {
    type Result = MessageResult<Disconnect>;

    fn handle(&mut self, Disconnect(chosen): Disconnect, _: &mut Context<Self>) -> Self::Result {
        let picks = |session: &Session| chosen.picks(session);
        MessageResult(self.with(|state, _, outlets| state.disconnect(picks, outlets)))
    }
}

impl Handler<GetStatistics> for Hub {
    type Result = MessageResult<GetStatistics>;

    fn handle(&mut self, _: GetStatistics, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        MessageResult(self.state.statistics())
    }
}

impl Handler<GetSessions> for Hub {
    type Result = MessageResult<GetSessions>;

    fn handle(&mut self, wanted: GetSessions, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let GetSessions {
            filter,
            offset,
            limit,
        } = wanted;
        MessageResult(self.state.sessions(&filter, offset, limit))
    }
}

impl Handler<GetLatest> for Hub {
    type Result = MessageResult<GetLatest>;

    fn handle(&mut self, GetLatest(user): GetLatest, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        MessageResult(self.state.latest_for(&user).into_iter().collect())
    }
}

impl Handler<WorkerStarted> for Hub {
    type Result = ();

    fn handle(&mut self, started: WorkerStarted, _: &mut Context<Self>) {
        let WorkerStarted {
            number,
            fanout,
            meter,
        } = started;
        self.workers.insert(number, WorkerLink { fanout, meter });
    }
}

impl Handler<Reload> for Hub {
    type Result = ();

    fn handle(&mut self, Reload(settings): Reload, ctx: &mut Context<Self>) {
        self.state.set_limits(limits(&settings));
        self.settings = settings;
        self.start_timers(ctx);
    }
}

impl Handler<Drain> for Hub {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) {
        let spread = self.settings.realtime.reconnect_spread;
        self.with(|state, _, outlets| state.drain(spread, outlets));
    }
}
