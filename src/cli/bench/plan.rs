//! From flags and settings to a plan: where, how, and as whom.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Url;

use super::flags::{Bench, DialectName, ModeName, TransportName};
use crate::cli::remote::{self, API};
use crate::cli::{Environment, configured, token, whereabouts};
use crate::domain::message::UserId;
use crate::domain::pattern::MetricName;
use crate::load::{Dialect, Endpoint, Metrics, Pace, Plan, Transport};

/// Users that publish, in turn: what one of them may do in a second is limited at the hub.
const PUBLISHERS: usize = 8;
/// Life of the tokens that are made for a run, besides its duration.
const TOKEN_TTL: Duration = Duration::from_secs(3600);

/// What the flags mean.
///
/// # Errors
/// Flags that do not go together, no token, or a host that nobody knows.
pub fn plan(wanted: &Bench, environment: &Environment) -> anyhow::Result<Plan> {
    let (dialect, transport) = language(wanted)?;
    let metrics = metrics(wanted, dialect)?;
    let place = Place::new(wanted, environment, dialect)?;
    let (subscribers, publishers) = match dialect {
        Dialect::Statshub => tokens(wanted, environment)?,
        Dialect::Plain | Dialect::SocketIo | Dialect::Pusher => Default::default(),
    };
    Ok(Plan {
        mode: wanted.mode.into(),
        dialect,
        transport,
        gzip: gzip(wanted, transport)?,
        connections: wanted.connections,
        stalled: wanted.connections * wanted.stall / 100,
        opening_max: wanted.opening,
        pace: match (wanted.rate, wanted.in_flight) {
            (Some(rate), _) => Pace::Rate(rate),
            (None, in_flight) => Pace::InFlight(in_flight.unwrap_or(1)),
        },
        duration: wanted.duration,
        warm_up: wanted.warm_up,
        bytes: wanted.size,
        metrics,
        stream: place.stream(transport)?,
        resume: place.resume()?,
        publish: place.publish()?,
        subscribers,
        publishers,
    })
}

/// A dialect of one transport needs none named.
fn language(wanted: &Bench) -> anyhow::Result<(Dialect, Transport)> {
    let named = wanted.transport.map(|name| match name {
        TransportName::Sse => Transport::Sse,
        TransportName::Ws => Transport::WebSocket,
    });
    let (dialect, only) = match wanted.dialect {
        DialectName::Statshub => (Dialect::Statshub, None),
        DialectName::Sse => (Dialect::Plain, Some(Transport::Sse)),
        DialectName::Ws => (Dialect::Plain, Some(Transport::WebSocket)),
        DialectName::SocketIo => (Dialect::SocketIo, Some(Transport::WebSocket)),
        DialectName::Pusher => (Dialect::Pusher, Some(Transport::WebSocket)),
    };
    match (named, only) {
        (Some(named), Some(only)) if named != only => {
            bail!("--dialect says already what it travels over: leave --transport out")
        }
        (named, only) => Ok((dialect, only.or(named).unwrap_or(Transport::Sse))),
    }
}

/// A WebSocket of the hub's is not compressed.
fn gzip(wanted: &Bench, transport: Transport) -> anyhow::Result<bool> {
    if wanted.gzip && transport == Transport::WebSocket {
        bail!("--gzip is for event streams: leave it out, or measure them with --transport sse")
    }
    Ok(wanted.gzip)
}

/// What is published. Many metrics only where subscriptions can be told apart by them.
fn metrics(wanted: &Bench, dialect: Dialect) -> anyhow::Result<Metrics> {
    let metrics = Metrics::new(wanted.metric.as_str(), wanted.metrics);
    if !metrics.are_many() {
        return Ok(metrics);
    }
    if dialect != Dialect::Statshub {
        bail!("--metrics goes with --dialect statshub only: others have one channel for all")
    }
    if wanted.mode != ModeName::FanOut {
        bail!("--metrics goes with --mode fan-out only")
    }
    if wanted.stream_url.is_some() {
        bail!("--metrics says what each connection subscribes to: leave --stream-url out")
    }
    MetricName::parse(&metrics.name(0)).context("--metric cannot be made longer for --metrics")?;
    Ok(metrics)
}

/// Where things are.
struct Place<'a> {
    wanted: &'a Bench,
    is_hub: bool,
    base: Url,
    websocket_path: String,
}

impl<'a> Place<'a> {
    fn new(wanted: &'a Bench, environment: &Environment, dialect: Dialect) -> anyhow::Result<Self> {
        let settings = whereabouts(&wanted.remote.config, environment);
        let base = remote::address(wanted.remote.url.as_ref(), settings.as_ref())?;
        let default_path = || format!("/{API}/websocket");
        Ok(Self {
            wanted,
            is_hub: dialect == Dialect::Statshub,
            base,
            websocket_path: settings.map_or_else(default_path, |it| it.websocket.path),
        })
    }

    fn stream(&self, transport: Transport) -> anyhow::Result<Endpoint> {
        let mut url = match (&self.wanted.stream_url, transport) {
            (Some(url), _) => return Endpoint::of(url),
            (None, Transport::Sse) => self.at("stream")?,
            // Below a proxy's prefix, like everything.
            (None, Transport::WebSocket) => self
                .base
                .join(self.websocket_path.trim_start_matches('/'))?,
        };
        // Of many, each connection asks for its own.
        if self.wanted.metrics == 1 {
            url.set_query(Some(&format!("metrics={}", self.wanted.metric.as_str())));
        }
        Endpoint::of(&url)
    }

    fn resume(&self) -> anyhow::Result<Option<Endpoint>> {
        let url = self.is_hub.then(|| self.at("reconnect")).transpose()?;
        url.as_ref().map(Endpoint::of).transpose()
    }

    fn publish(&self) -> anyhow::Result<Option<Endpoint>> {
        match &self.wanted.publish_url {
            Some(url) => Endpoint::of(url).map(Some),
            None if self.is_hub => Endpoint::of(&self.at("publish")?).map(Some),
            None if self.wanted.mode == ModeName::FanOut => {
                bail!("--publish-url must say where messages are posted")
            }
            None => Ok(None),
        }
    }

    fn at(&self, path: &str) -> anyhow::Result<Url> {
        Ok(self.base.join(&format!("{API}/{path}"))?)
    }
}

/// Tokens to subscribe and to publish with: the one given, or one for each of as many users as the
/// limit of connections of a user takes.
fn tokens(wanted: &Bench, environment: &Environment) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    if let Some(jwt) = &wanted.remote.token {
        let jwt = jwt.trim().to_owned();
        return Ok((vec![jwt.clone()], vec![jwt]));
    }
    let settings = configured(&wanted.remote.config, environment)
        .context("no token: give --token or STATSHUB_TOKEN, or the hub's own settings")?;
    let of_a_user = settings.sessions.connections_per_user_max.max(1);
    let role = settings.auth.permitted_roles.first();
    let role = role.context("the settings permit no role")?;
    let sign = |user: String| {
        // Named after the metric, so that several at once are not in each other's limits.
        let user = format!("{}-{user}", wanted.metric.as_str());
        let user = UserId::parse(&user).context("--metric is too long to name users after")?;
        let ttl = TOKEN_TTL + wanted.warm_up + wanted.duration;
        token::sign(&settings, &user, role, ttl)
    };
    let users = 0..wanted.connections.div_ceil(of_a_user);
    let subscribers = users.map(|nth| sign(nth.to_string()));
    let publishers = (0..PUBLISHERS).map(|nth| sign(format!("publisher-{nth}")));
    Ok((
        subscribers.collect::<Result<_, _>>()?,
        publishers.collect::<Result<_, _>>()?,
    ))
}
