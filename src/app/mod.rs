//! The composition root: builds, starts, reloads and drains everything; the only room that knows
//! every other.

mod announce;
mod drain;
mod reload;
mod server;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use actix::Actor;
use actix_rt::Arbiter;
use actix_web::web::Data;
use anyhow::{Context, anyhow};
use futures::FutureExt;
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::auth::Authenticator;
use crate::config::{ConfigError, Durability, Settings};
use crate::demo::{self, Demo};
use crate::domain::message::Draft;
use crate::http::state::State;
use crate::http::status::connection_stats;
use crate::hub::{self, Clock, Hub, HubHandle, StoreLink};
use crate::source::{HubStats, Sources};
use crate::store::{self, AuditRecord, Store};
use crate::telemetry::audit::{Action, Audit, Event, Keeper, Record};
use crate::telemetry::log as logging;

/// What the sources have read and the hub has not taken yet.
const DRAFTS_WAITING_MAX: usize = 1024;
/// The demo's platform lives the same life at every start.
const DEMO_SEED: u64 = 1;

/// Reads the settings again, for a hub whose settings in force are given.
pub type Reread = Box<dyn Fn(&Settings) -> Result<Settings, ConfigError>>;

/// Runs the hub until it is told to stop; over a simulated platform where `demo` is set.
///
/// # Errors
/// Whatever keeps it from starting, as one line that says what to do.
pub async fn serve(mut settings: Settings, demo: bool, reread: Reread) -> anyhow::Result<()> {
    logging::init(&settings.log)?;
    logging::report_panics();
    hub::abort_on_panic();
    raise_descriptor_limit();
    // Before anything else is started, so that a stop that comes early is an orderly one too.
    let mut signals = Signals::listen()?;
    let demo = if demo {
        let demo = Demo::start(None, DEMO_SEED).await?;
        settings.sources = demo::sources(demo.path());
        // It lives as long as the platform that it is about.
        settings.store.file = demo.path().with_file_name("statshub.db");
        Some(demo)
    } else {
        None
    };
    let app = App::start(Arc::new(settings))?;
    app.announce(demo.is_some());
    app.run(&mut signals, reread).await;
    app.stop(&mut signals).await?;
    if let Some(demo) = demo {
        demo.stop().await;
    }
    Ok(())
}

/// A running hub.
struct App {
    state: Data<State>,
    server: actix_web::dev::ServerHandle,
    address: SocketAddr,
    /// The Hub's own thread.
    _arbiter: Arbiter,
}

impl App {
    fn start(settings: Arc<Settings>) -> anyhow::Result<Self> {
        let audit = Audit::start(&settings.audit).context("the audit trail cannot be written")?;
        let authenticator = Authenticator::start(&settings.auth)?;
        let clock = Clock::system();
        let arbiter = Arbiter::new();
        let hub = start_hub(&settings, clock, &arbiter, &audit)?;
        let sources = start_sources(&settings, &hub)?;
        let state = Data::new(State::new(
            settings.clone(),
            hub,
            authenticator,
            sources,
            audit,
        ));
        let address = listen_address(&settings)?;
        let (server, address) = server::start(address, &settings, state.clone())
            .with_context(|| cannot_listen(address))?;
        state.stage.run();
        state.audit.record(Event {
            target: Some(address.to_string()),
            ..Event::new(Action::Start, Timestamp::now())
        });
        Ok(Self {
            state,
            server,
            address,
            _arbiter: arbiter,
        })
    }

    /// Whoever started it may have stopped reading, which is no reason not to serve.
    fn announce(&self, demo: bool) {
        log::info!("listening on {}", self.address);
        let settings = self.state.settings.load();
        let said = announce::announce(&settings, self.address, demo, self.state.now_ms());
        if let Err(error) = said {
            log::warn!("standard output cannot be written: {error:#}");
        }
    }

    /// Until it is told to stop.
    async fn run(&self, signals: &mut Signals, reread: Reread) {
        while let Told::Reload = signals.next().await {
            reload::reload(&self.state, &reread);
        }
    }

    /// Drains, in order.
    ///
    /// # Errors
    /// A second signal came before everything was done.
    async fn stop(self, signals: &mut Signals) -> anyhow::Result<()> {
        let told_again = async { while let Told::Reload = signals.next().await {} };
        tokio::select! {
            () = drain::drain(&self.state, self.server) => Ok(()),
            () = told_again => Err(anyhow!("stopped at once, as told twice; not everything was finished")),
        }
    }
}

/// The Hub, on its own thread, with what an earlier process left in the store.
fn start_hub(
    settings: &Arc<Settings>,
    clock: Clock,
    arbiter: &Arbiter,
    audit: &Audit,
) -> anyhow::Result<HubHandle> {
    let (given, thread) = (settings.clone(), arbiter.handle());
    if settings.store.durability == Durability::Memory {
        let hub = Hub::start_in_arbiter(&thread, move |_| Hub::new(given, clock));
        return Ok(HubHandle::new(hub, settings, clock, None));
    }
    let store = Store::open(&settings.store, clock.now())?;
    let recovered = store.recover(store::Wanted {
        messages_per_ring: settings.sessions.backlog_messages_max,
        ids: settings.history.counted_ids_max,
    });
    let recovered = recovered.with_context(|| {
        let file = settings.store.file.display();
        format!("the log in {file} cannot be read; put a backup in its place")
    })?;
    let link = StoreLink::default();
    let writer = store.start(link.clone())?;
    writer.retain_audit(settings.audit.retention);
    audit.keep_in(InStore(writer.clone()));
    let hub = {
        let writer = writer.clone();
        let begin = move |_: &mut _| Hub::going_on(given, clock, recovered, writer);
        Hub::start_in_arbiter(&thread, begin)
    };
    link.lead_to(&hub);
    Ok(HubHandle::new(hub, settings, clock, Some(writer)))
}

/// The audit trail's way into the store.
#[derive(Debug)]
struct InStore(store::Writer);

impl Keeper for InStore {
    fn keep(&self, records: Vec<Record>) -> usize {
        let records = records.into_iter();
        let records = records.map(|Record { at_ms, text }| AuditRecord { at_ms, text });
        self.0.audit(records.collect())
    }
}

/// The sources, and what takes their readings to the hub.
fn start_sources(settings: &Settings, hub: &HubHandle) -> anyhow::Result<Sources> {
    let (sink, readings) = mpsc::channel(DRAFTS_WAITING_MAX);
    actix_rt::spawn(publish_readings(readings, hub.clone()));
    let statistics: HubStats = {
        let hub = hub.clone();
        Arc::new(move || {
            let hub = hub.clone();
            async move { Ok(connection_stats(&hub.overview().await?)) }.boxed()
        })
    };
    let sources = if settings.realtime.enabled {
        settings.sources.as_slice()
    } else {
        &[]
    };
    Sources::start(sources, settings.realtime.update_interval, sink, statistics)
}

async fn publish_readings(mut readings: mpsc::Receiver<Draft>, hub: HubHandle) {
    while let Some(draft) = readings.recv().await {
        let metric = draft.metric.clone();
        if let Err(error) = hub.publish(vec![draft], Vec::new()).await {
            log::warn!("what was read for {} is lost: {error}", metric.as_str());
        }
    }
}

/// Every stream takes two descriptors. Whatever the limit is, it is no reason not to start.
fn raise_descriptor_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => log::debug!("up to {limit} open descriptors"),
        Err(error) => log::warn!("the limit of open descriptors cannot be raised: {error}"),
    }
}

fn listen_address(settings: &Settings) -> anyhow::Result<SocketAddr> {
    let (host, port) = (settings.http.host.as_str(), settings.http.port);
    let unknown = || {
        anyhow!(
            "HOST {host:?} is no address of this machine; use an IP address, such as 127.0.0.1 or 0.0.0.0"
        )
    };
    let mut addresses = (host, port).to_socket_addrs().map_err(|_| unknown())?;
    addresses.next().ok_or_else(unknown)
}

fn cannot_listen(address: SocketAddr) -> String {
    format!(
        "cannot listen on {address}; is another program using the port? Choose one with PORT or --port"
    )
}

/// What the process is told from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

enum Told {
    Stop,
    Reload,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}
