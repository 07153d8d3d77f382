//! The composition root: builds, starts, reloads and drains everything; the only room that knows
//! every other.

mod aggregates;
mod announce;
mod drain;
mod health;
mod hub;
mod reload;
mod scribe;
mod server;
mod service;
mod sources;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use anyhow::{Context, anyhow};
use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::auth::Authenticator;
use crate::config::{self, ConfigError, Settings};
use crate::demo::{self, Demo};
use crate::http;
use crate::http::reload::Wish;
use crate::http::state::{Parts, State};
use crate::hub::{Clock, abort_on_panic};
use crate::rules::{Hook, Rules};
use crate::telemetry::audit::{Action, Audit, Event};
use crate::telemetry::log as logging;
use crate::trace;
use crate::transport::descriptors::Descriptors;
use crate::transport::tls::Endpoint;
use server::Place;

/// The demo's platform lives the same life at every start.
const DEMO_SEED: u64 = 1;

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the settings again, for a hub whose settings in force are given.
pub type Reread = Box<dyn Fn(&Settings) -> Result<Settings, ConfigError>>;

/// Runs the hub until it is told to stop; over a simulated platform where `demo` is set.
///
/// # Errors
/// Whatever keeps it from starting, as one line that says what to do.
pub async fn serve(mut settings: Settings, demo: bool, reread: Reread) -> anyhow::Result<()> {
    // It takes variables out of the environment, which no other thread may be reading.
    let given = service::listeners()?;
    logging::init(&settings.log)?;
    logging::report_panics();
    abort_on_panic();
    raise_descriptor_limit();
    // Before anything else is started, so that a stop that comes early is an orderly one too.
    let mut signals = Signals::listen()?;
    let demo = if demo {
        let demo = Demo::start(None, DEMO_SEED).await?;
        settings.sources = demo::sources(demo.path());
        settings.aggregates = demo::aggregates();
        settings.alerts = demo::rules();
        // It lives as long as the platform that it is about.
        settings.store.file = demo.path().with_file_name("statshub.db");
        settings.store.url = None;
        Some(demo)
    } else {
        None
    };
    let mut app = App::start(Arc::new(settings), given).await?;
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
    server: ServerHandle,
    address: SocketAddr,
    /// The second listener, where there is one.
    health: Option<(ServerHandle, SocketAddr)>,
    /// Those of operators that the settings be read again.
    wishes: mpsc::Receiver<Wish>,
    /// The Hub's own, the shared log's, and that of the rules.
    _threads: Vec<Arbiter>,
}

impl App {
    async fn start(settings: Arc<Settings>, given: Vec<TcpListener>) -> anyhow::Result<Self> {
        traces(&settings.traces)?;
        let audit = Audit::start(&settings.audit).context("the audit trail cannot be written")?;
        let authenticator = Authenticator::start(&settings.auth)?;
        let endpoint = Endpoint::read(&settings.tls, settings.http.header_timeout)?.map(Arc::new);
        let tls = endpoint.as_ref().map(Endpoint::server_config);
        let tls = tls.transpose()?;
        let hooks = Hook::read_all(&settings)?;
        let clock = Clock::system();
        let hub::Started { hub, mut threads } = hub::start(&settings, clock, &audit).await?;
        let aggregates = aggregates::start(&settings, &hub).await?;
        let sources = sources::start(&settings, &hub)?;
        let arbiter = Arbiter::new();
        let rules = Rules::start(&settings, hooks, hub.clone(), &arbiter);
        threads.push(arbiter);
        let (reloads, wishes) = http::reload::reloads();
        let state = Data::new(State::new(
            settings.clone(),
            Parts {
                hub,
                sources,
                aggregates,
                rules,
            },
            authenticator,
            audit,
            endpoint,
            reloads,
        ));
        let (server, address) = listen(&settings, &state, tls, given)?;
        warn_of_few_descriptors(&settings);
        let health = settings.http.health_listen;
        let health = health.map(|at| {
            health::start(at, &state).with_context(|| cannot_listen(at, "http.health_listen"))
        });
        let health = health.transpose()?;
        state.stage.run();
        state.audit.record(Event {
            target: Some(address.to_string()),
            ..Event::new(Action::Start, Timestamp::now())
        });
        Ok(Self {
            state,
            server,
            address,
            health,
            wishes,
            _threads: threads,
        })
    }

    /// Whoever started it may have stopped reading, which is no reason not to serve.
    fn announce(&self, demo: bool) {
        log::info!("listening on {}", self.address);
        if let Some((_, address)) = &self.health {
            log::info!("health and metrics on {address}");
        }
        let settings = self.state.settings.load();
        let said = announce::announce(&settings, self.address, demo, self.state.now_ms());
        if let Err(error) = said {
            log::warn!("standard output cannot be written: {error:#}");
        }
    }

    /// Until it is told to stop.
    async fn run(&mut self, signals: &mut Signals, reread: Reread) {
        self.state.hub.measure_lag();
        service::ready(self.address);
        service::watch(self.state.hub.clone());
        if let Some(endpoint) = self.state.tls.clone() {
            actix_rt::spawn(warn_daily(endpoint));
        }
        loop {
            let wish = tokio::select! {
                told = signals.next() => match told {
                    Told::Reload => None,
                    Told::Stop => break,
                },
                Some(wish) = self.wishes.recv() => Some(wish),
            };
            service::reloading();
            let done = reload::reload(&self.state, &reread);
            service::ready(self.address);
            match wish {
                // Who has gone does not want to know any more.
                Some(wish) => drop(wish.send(done)),
                None => reload::record(&self.state, done),
            }
        }
        // Whoever waits is told that the hub is stopping.
        self.wishes.close();
        while self.wishes.try_recv().is_ok() {}
        service::stopping();
    }

    /// Drains, in order.
    ///
    /// # Errors
    /// A second signal came before everything was done.
    async fn stop(self, signals: &mut Signals) -> anyhow::Result<()> {
        let told_again = async { while let Told::Reload = signals.next().await {} };
        tokio::select! {
            () = drain::drain(&self.state, self.server, self.health.map(|(server, _)| server)) => Ok(()),
            () = told_again => Err(anyhow!("stopped at once, as told twice; not everything was finished")),
        }
    }
}

/// Where there is a collector to send them to.
fn traces(settings: &config::Traces) -> anyhow::Result<()> {
    let Some(endpoint) = settings.endpoint.clone() else {
        return Ok(());
    };
    trace::start(&trace::Wanted {
        endpoint,
        ratio: settings.ratio,
        service_name: settings.service_name.clone(),
        queue_spans_max: settings.queue_spans_max,
    })
}

/// A certificate that nobody renews is told of for as long as the hub runs.
async fn warn_daily(endpoint: Arc<Endpoint>) {
    loop {
        endpoint.certificate.warn(Timestamp::now());
        actix_rt::time::sleep(A_DAY).await;
    }
}

/// Every stream takes two descriptors. Whatever the limit is, it is no reason not to start.
fn raise_descriptor_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => log::debug!("up to {limit} open descriptors"),
        Err(error) => log::warn!("the limit of open descriptors cannot be raised: {error}"),
    }
}

/// A hub that has room for fewer than its settings say serves as many as it has room for.
fn warn_of_few_descriptors(settings: &Settings) {
    let Some(descriptors) = Descriptors::of(settings) else {
        return;
    };
    if !descriptors.suffice(settings) {
        log::warn!(
            "the process may open {} files, room for {} sockets without a stream, and http.sockets_max is {}, \
             sessions.connections_max {}: raise LimitNOFILE= of the unit, --ulimit nofile= of the container or \
             ulimit -Hn, or lower these",
            descriptors.max,
            descriptors.driven_max(),
            settings.http.sockets_max,
            settings.sessions.connections_max,
        );
    }
}

/// On the sockets of the service manager, where it has passed any; else on the configured address.
fn listen(
    settings: &Arc<Settings>,
    state: &Data<State>,
    tls: Option<ServerConfig>,
    given: Vec<TcpListener>,
) -> anyhow::Result<(ServerHandle, SocketAddr)> {
    if given.is_empty() {
        let address = listen_address(settings)?;
        let started = server::start(Place::Address(address), settings, state.clone(), tls);
        return started.with_context(|| cannot_listen(address, "PORT or --port"));
    }
    if settings.dev {
        service::stay_on_loopback(&given)?;
    }
    let started = server::start(Place::Sockets(given), settings, state.clone(), tls);
    started.context("cannot listen on the sockets that were passed")
}

fn cannot_listen(address: SocketAddr, choice: &str) -> String {
    format!(
        "cannot listen on {address}; is another program using the port? Choose one with {choice}"
    )
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
