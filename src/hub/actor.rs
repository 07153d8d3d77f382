//! The Hub actor: receives, reads the clock, asks the domain, carries out what it says.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle, WeakAddr};
use tokio::task::yield_now;

use super::abort::AbortOnPanic;
use super::clock::Clock;
use super::effects::{Outlets, WorkerLink};
use super::fanout::ToWorker;
use super::follow::Follower;
use super::messages::{
    Admitted, Connect, Disconnected, Drain, Drained, End, Lagging, Overview, Reload, WorkerStarted,
};
use super::shared::Shared;
use crate::broker;
use crate::broker::redis::Redis;
use crate::config::Settings;
use crate::domain::history::{self, History};
use crate::domain::hub::{self, HubState, Limits, Refusal};
use crate::domain::message::{MessageId, Topic};
use crate::domain::time::Now;
use crate::store::{KeysInMemory, Recovered, Writer};
use crate::telemetry::latency::Summary;
use crate::trace;

/// Requests and reports that may wait for the Hub.
const MAILBOX_MESSAGES_MAX: usize = 4096;
/// Messages handled before the Hub's own timers get their turn.
const BATCH: usize = 64;
/// How often expiries are looked at, and by how much they may be late.
const TICK: Duration = Duration::from_millis(200);
/// The same for values that are overdue.
const LOOK_FOR_STALE: Duration = Duration::from_secs(1);
/// The same for what has become of connections, where no limit asks for a finer look.
const LOOK_AFTER_MAX: Duration = Duration::from_secs(1);

/// The one central actor. Owns subscriptions, buffers and reconnect tokens.
pub struct Hub {
    pub(super) state: HubState,
    pub(super) broker: broker::Local,
    /// `None`: nothing outlives the process.
    pub(super) store: Option<Writer>,
    /// Messages up to here are in the store already.
    pub(super) recorded_before: MessageId,
    /// `None`: this hub stands alone.
    pub(super) shared: Option<Shared>,
    /// Publishers' keys, where there is no store to keep them.
    pub(super) keys: KeysInMemory,
    /// Topics of messages that are on their way into the log, which the history does not know.
    pub(super) new_topics: HashSet<Topic>,
    pub(super) me: Option<WeakAddr<Self>>,
    /// Sessions are about to be written down.
    pub(super) is_saving: bool,
    pub(super) workers: HashMap<u16, WorkerLink>,
    pub(super) followers: Vec<Follower>,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    timers: Vec<SpawnHandle>,
    handled: usize,
    _guard: AbortOnPanic,
}

impl Hub {
    /// A hub that knows nothing yet, with a log that begins now.
    pub fn new(settings: Arc<Settings>, clock: Clock) -> Self {
        let broker = broker::Local::starting_at(clock.now());
        let state = HubState::new(limits(&settings), broker.last());
        Self::with_state(settings, clock, state, broker)
    }

    /// A hub that goes on with what an earlier process left, and leaves as much to the next.
    pub fn going_on(
        settings: Arc<Settings>,
        clock: Clock,
        recovered: Recovered,
        store: Writer,
    ) -> Self {
        let broker = broker::Local::going_on_after(recovered.last);
        let now = clock.now();
        let mut state = super::store::restored(limits(&settings), recovered, now);
        state.clean_up(now);
        Self {
            store: Some(store),
            ..Self::with_state(settings, clock, state, broker)
        }
    }

    /// A hub among others: the log tells it what there is. Its own file, where it has one, is its history.
    pub fn sharing(
        settings: Arc<Settings>,
        clock: Clock,
        own: Option<(Recovered, Writer)>,
        shared: Shared,
    ) -> Self {
        let limits = limits(&settings);
        let (recovered, store) = own.unzip();
        let newest = recovered.as_ref().and_then(Recovered::newest);
        let recorded_before = newest.unwrap_or_default();
        // Where a log of its own would have holes, the shared one goes on.
        let history = match recovered.filter(|_| newest.is_some()) {
            Some(Recovered { origin, rings, .. }) => {
                let origin = origin.min(recorded_before);
                History::restored(limits.history.clone(), origin, recorded_before, rings)
            }
            None => History::new(limits.history.clone(), MessageId::ZERO),
        };
        let state = HubState::restored(limits, history, []);
        let broker = broker::Local::going_on_after(recorded_before);
        Self {
            store,
            recorded_before,
            shared: Some(shared),
            ..Self::with_state(settings, clock, state, broker)
        }
    }

    /// The numbers of this moment.
    pub(super) fn overview(&self) -> Overview {
        let meters = || self.workers.values().map(|worker| &worker.meter);
        Overview {
            statistics: self.state.statistics(),
            delivered: meters().map(|meter| meter.delivered()).sum(),
            latency: Summary::of(meters().map(|meter| &meter.latency)),
            waiting: 0,
            uptime: self.clock.uptime(),
        }
    }

    pub(super) fn redis(&self) -> Option<Redis> {
        self.shared.as_ref().map(|shared| shared.redis.clone())
    }

    fn with_state(
        settings: Arc<Settings>,
        clock: Clock,
        state: HubState,
        broker: broker::Local,
    ) -> Self {
        Self {
            state,
            broker,
            store: None,
            recorded_before: MessageId::ZERO,
            shared: None,
            keys: KeysInMemory::new(settings.store.key_ttl),
            new_topics: HashSet::new(),
            me: None,
            is_saving: false,
            workers: HashMap::new(),
            followers: Vec::new(),
            settings,
            clock,
            timers: Vec::new(),
            handled: 0,
            _guard: AbortOnPanic,
        }
    }

    /// The state, and what carries out its effects at `now`.
    pub(super) fn parts(&mut self, now: Now) -> (&mut HubState, Outlets<'_>) {
        let patching = self
            .workers
            .values()
            .any(|worker| worker.meter.is_patching());
        self.state.keep_before(patching);
        let outlets = Outlets {
            workers: &self.workers,
            followers: &self.followers,
            retry: self.settings.realtime.sse_retry,
            wall_ms: now.wall_ms,
            trace: trace::Context::default(),
        };
        (&mut self.state, outlets)
    }

    pub(super) fn with<R>(
        &mut self,
        act: impl FnOnce(&mut HubState, Now, &mut Outlets<'_>) -> R,
    ) -> R {
        let now = self.clock.now();
        let (state, mut outlets) = self.parts(now);
        let result = act(state, now, &mut outlets);
        self.save_soon();
        result
    }

    pub(super) fn connect(&mut self, connect: hub::Connect) -> Result<Admitted, Refusal> {
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
            ctx.run_interval(TICK, |hub, ctx| {
                hub.with(|state, now, outlets| state.tick(now, outlets));
                hub.say_again(ctx);
            }),
            ctx.run_interval(LOOK_FOR_STALE, |hub, _| {
                hub.with(|state, now, outlets| state.look_for_stale(now, outlets));
            }),
            ctx.run_interval(realtime.heartbeat_interval, |hub, ctx| {
                let wall_ms = hub.clock.now().wall_ms;
                hub.tell_all(|| ToWorker::Heartbeat(wall_ms));
                hub.save_positions(ctx);
            }),
            ctx.run_interval(realtime.buffer_flush_interval, |hub, _| {
                hub.tell_all(|| ToWorker::Flush);
            }),
            ctx.run_interval(realtime.cleanup_interval, |hub, ctx| {
                let before = hub.with(|state, now, _| state.clean_up(now));
                hub.clean_up_shared(before, ctx);
            }),
            ctx.run_interval(ping, |hub, _| hub.tell_all(|| ToWorker::Ping)),
            ctx.run_interval(look_after, |hub, _| {
                hub.tell_all(|| ToWorker::LookAfter(hub.settings.clone()));
            }),
        ];
    }

    /// A mailbox is read until it is empty, so a steady stream of messages would keep the timers
    /// from ever running.
    pub(super) fn pace(&mut self, ctx: &mut Context<Self>) {
        self.handled += 1;
        if self.handled.is_multiple_of(BATCH) {
            ctx.wait(wrap_future(yield_now()));
        }
    }
}

pub(super) fn limits(settings: &Settings) -> Limits {
    Limits {
        history: history::Limits {
            backlog_messages_max: settings.sessions.backlog_messages_max,
            bytes_max: settings.history.bytes_max,
            user_bytes_max: settings.history.user_bytes_max,
            user_messages_max: settings.history.user_messages_max,
            metrics_max: settings.history.metrics_max,
            counted_ids_max: settings.history.counted_ids_max,
        },
        connections_per_user_max: settings.sessions.connections_per_user_max,
        connections_max: settings.sessions.connections_max,
        away_max: settings.sessions.away_max,
        session_timeout: settings.sessions.timeout,
        metric_idle_timeout: settings.history.metric_idle_timeout,
        ttls: settings
            .metrics
            .iter()
            .filter_map(|metric| Some((metric.name.clone(), metric.ttl?)))
            .collect(),
    }
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MESSAGES_MAX);
        self.me = Some(ctx.address().downgrade());
        self.start_timers(ctx);
    }
}

impl Handler<Connect> for Hub {
    type Result = Result<Admitted, Refusal>;

    fn handle(&mut self, Connect(connect): Connect, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        self.connect(connect)
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
        if let Some(store) = &self.store {
            store.retain(settings.store.retention.clone());
            store.retain_audit(settings.audit.retention);
        }
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
