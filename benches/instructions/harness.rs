//! The real hub with one worker, and sockets that only count bytes.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::Actor;
use statshub::config::{AuthKeys, Settings};
use statshub::domain::hub::Opening;
use statshub::domain::message::{Draft, Json, Transport, UserId};
use statshub::domain::outbox::Limits;
use statshub::domain::pattern::{MetricName, Pattern};
use statshub::domain::session::Identity;
use statshub::hub::{Clock, Hub, HubHandle, Line, Stream, Wanted, Worker};
use statshub::telemetry::audit::Audit;
use statshub::trace::Context;

/// Some day in 2033, in milliseconds since the Unix epoch.
const EPOCH_MS: u64 = 2_000_000_000_000;
/// Data of a message, as `statshub bench` publishes it.
const DATA_BYTES: usize = 512;
/// So few that every message but a metric's first evicts one, as it is once a ring is full.
const BACKLOG_MESSAGES_MAX: usize = 1;

pub struct Harness {
    hub: HubHandle,
    worker: Worker,
    data: String,
    streams: Vec<Stream>,
    /// Handed to all sockets together.
    bytes: Arc<AtomicU64>,
}

impl Harness {
    /// # Panics
    /// Outside an actix system.
    pub fn start() -> Self {
        let mut settings = Settings::with_keys(AuthKeys::Secret(String::new()));
        settings.sessions.backlog_messages_max = BACKLOG_MESSAGES_MAX;
        let settings = Arc::new(settings);
        let clock = Clock::virtual_from(Duration::from_millis(EPOCH_MS));
        let limits = Limits {
            messages_max: settings.outgoing.queue_messages_max,
            bytes_max: settings.outgoing.queue_bytes_max,
        };
        let hub = Hub::new(settings.clone(), clock).start();
        let hub = HubHandle::new(hub, &settings, clock, None, None);
        Self {
            worker: Worker::start(hub.clone(), limits, None, Audit::disabled()),
            hub,
            data: format!("\"{}\"", "x".repeat(DATA_BYTES - 2)),
            streams: Vec::new(),
            bytes: Arc::default(),
        }
    }

    /// One more stream, of a user of its own.
    pub async fn connect(&mut self, transport: Transport, patterns: Vec<Pattern>) {
        let number = self.streams.len();
        let user = UserId::parse(&format!("user-{number}")).expect("a user");
        let identity = Identity {
            user,
            role: "platform_admin".into(),
            expires_at_ms: u64::MAX,
            issued_at_ms: None,
            token_id: None,
        };
        let wanted = Wanted {
            transport,
            opening: Opening::New {
                identity: identity.into(),
                selectors: patterns.into_iter().map(Into::into).collect(),
                ticket: None,
            },
            last_event_id: None,
            takes: Default::default(),
            remote: [192, 0, 2, 1].into(),
            user_agent: "".into(),
            request_id: "1".into(),
        };
        let line = Arc::new(CountingLine(self.bytes.clone()));
        let stream = self.worker.connect(wanted, line).await.expect("a stream");
        stream.connection.write_directly();
        self.streams.push(stream);
    }

    pub async fn publish(&self, metric: &MetricName) {
        let draft = Draft {
            metric: metric.clone(),
            data: Json::trusted(self.data.clone()),
            priority: None,
            user: None,
            retain: None,
        };
        self.hub
            .publish(vec![draft], Vec::new(), &Context::default())
            .await
            .expect("room for one");
    }

    /// Messages handed to sockets so far.
    pub async fn delivered(&self) -> u64 {
        let overview = self.hub.overview().await.expect("an answer");
        let delivered = overview.delivered.total();
        assert!(self.bytes.load(Ordering::Relaxed) >= delivered * DATA_BYTES as u64);
        delivered
    }
}

/// Takes all it is handed, at once.
struct CountingLine(Arc<AtomicU64>);

impl Line for CountingLine {
    fn hang_up(&self) {}

    fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}
