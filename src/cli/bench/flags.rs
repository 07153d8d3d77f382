//! The flags of `bench`. Only the shape: nothing here decides.

use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::Url;

use crate::cli::remote::flags::Remote;
use crate::domain::pattern::MetricName;
use crate::load::{Mode, PAYLOAD_BYTES_MIN};

/// How hard a server is asked to work, and how.
#[derive(Debug, Args)]
pub struct Bench {
    #[command(flatten)]
    pub remote: Remote,
    /// Connections that subscribe
    #[arg(long, default_value_t = 100, value_parser = whole(1, 1_000_000), value_name = "N")]
    pub connections: usize,
    /// What they subscribe over; sse unless the dialect says otherwise
    #[arg(long, value_enum)]
    pub transport: Option<TransportName>,
    /// Asks for streams in gzip
    #[arg(long)]
    pub gzip: bool,
    /// Publishes so many messages a second, whatever becomes of them
    #[arg(long, value_parser = rate, value_name = "R")]
    pub rate: Option<f64>,
    /// Publishes whenever fewer than this many are on their way to some connection; 1 unless --rate is given
    #[arg(long, value_parser = whole(1, 1000), conflicts_with = "rate", value_name = "K")]
    pub in_flight: Option<usize>,
    /// How long to measure: 30s, 5m
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// How long to publish before that
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub warm_up: Duration,
    /// Bytes of data in a message
    #[arg(long, default_value_t = 512, value_parser = whole(PAYLOAD_BYTES_MIN, 1 << 24), value_name = "BYTES")]
    pub size: usize,
    /// Metric that is published; several at once each need their own
    #[arg(long, default_value = "bench", value_parser = MetricName::parse, value_name = "NAME")]
    pub metric: MetricName,
    /// Publishes over so many metrics in turn, METRIC.GROUP.NUMBER in ten groups; each connection has four by name and a group by pattern
    #[arg(long, default_value_t = 1, value_parser = whole(1, 1_000_000), value_name = "N")]
    pub metrics: usize,
    /// What to measure
    #[arg(long, value_enum, default_value = "fan-out")]
    pub mode: ModeName,
    /// Percent of the connections that stop reading once they are open; the latency is that of the others
    #[arg(long, default_value_t = 0, value_parser = whole(0, 99), value_name = "PERCENT")]
    pub stall: usize,
    /// Connections that are being opened at any time
    #[arg(long, default_value_t = 256, value_parser = whole(1, 1_000_000), value_name = "N")]
    pub opening: usize,
    /// How subscribers connect: as this hub has it, or as other servers do
    #[arg(long, value_enum, default_value = "statshub")]
    pub dialect: DialectName,
    /// Where they connect; the hub's own paths unless given
    #[arg(long, value_name = "URL", required_if_eq_any = [("dialect", "sse"), ("dialect", "ws"), ("dialect", "socketio"), ("dialect", "pusher")])]
    pub stream_url: Option<Url>,
    /// Where messages are posted; the hub's own path unless given
    #[arg(long, value_name = "URL")]
    pub publish_url: Option<Url>,
    /// Prints one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TransportName {
    Sse,
    Ws,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Messages to every connection
    FanOut,
    /// Opens the connections, then leaves them idle for the duration
    Connect,
    /// Drops them all at once, to come back at once
    Reconnect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DialectName {
    /// Sessions of this hub
    Statshub,
    /// A plain GET of an event stream
    Sse,
    /// A plain WebSocket
    Ws,
    /// The WebSocket transport of socket.io 4
    #[value(name = "socketio")]
    SocketIo,
    /// Pusher's protocol, the channel "bench"
    Pusher,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::FanOut => Self::FanOut,
            ModeName::Connect => Self::Connect,
            ModeName::Reconnect => Self::Reconnect,
        }
    }
}

/// A whole number between these two.
fn whole(min: usize, max: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("a whole number from {min} to {max}")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        _ => Err("a number from 0.001 to 1000000".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it as 500ms, 30s or 5m"))
}
