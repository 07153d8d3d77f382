//! A hub, one worker and its clients on one thread, under a clock that only moves when all wait.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix::Actor;
use actix_rt::System;
use statshub::config::{Overrides, Settings};
use statshub::domain::hub::Opening;
use statshub::domain::message::{Draft, Json, MessageId, Priority, Transport, UserId};
use statshub::domain::outbox::Limits;
use statshub::domain::pattern::MetricName;
use statshub::domain::session::Identity;
use statshub::hub::{Clock, Connection, Error, Hub, HubHandle, Line, Wanted, Worker};
use statshub::telemetry::audit::Audit;
use tokio::sync::Notify;
use tokio::time::sleep;
use uuid::Uuid;

/// Where the virtual wall clock begins: some day in 2033, in milliseconds.
pub const EPOCH_MS: u64 = 2_000_000_000_000;

/// Runs `test` in an actix system of its own whose clock is paused.
pub fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let system = System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime")
    });
    system.block_on(test());
}

pub struct World {
    pub hub: HubHandle,
    worker: Worker,
    clock: Clock,
}

impl World {
    /// A hub with the settings of `config`, a text as in `config.toml`.
    pub fn new(config: &str) -> Self {
        let secret = "0123456789abcdef-0123456789abcdef-shell".to_owned();
        let environment = BTreeMap::from([("JWT_SECRET".to_owned(), secret)]);
        let settings = Settings::parse("test", config, &environment, &Overrides::default());
        let settings = Arc::new(settings.expect("good settings"));
        let clock = Clock::virtual_from(Duration::from_millis(EPOCH_MS));
        let limits = Limits {
            messages_max: settings.outgoing.queue_messages_max,
            bytes_max: settings.outgoing.queue_bytes_max,
        };
        let hub = Hub::new(settings.clone(), clock).start();
        let hub = HubHandle::new(hub, &settings, clock, None, None);
        let worker = Worker::start(hub.clone(), limits, None, Audit::disabled());
        Self { hub, worker, clock }
    }

    /// Virtual milliseconds since the start.
    pub fn elapsed_ms(&self) -> u64 {
        self.clock.now().wall_ms - EPOCH_MS
    }

    pub async fn publish(&self, metric: &str, value: u64, priority: Priority) -> MessageId {
        let draft = Draft {
            metric: MetricName::parse(metric).expect("a metric name"),
            data: Json::trusted(value.to_string()),
            priority: Some(priority),
            user: None,
            retain: None,
        };
        let ids = self
            .hub
            .publish(
                vec![draft],
                Vec::new(),
                &statshub::trace::Context::default(),
            )
            .await
            .expect("room for one");
        ids[0]
    }

    /// A client with a token that is good for `ttl`.
    pub async fn connect(&self, transport: Transport, ttl: Duration) -> Client {
        let identity = self.identity(ttl);
        let opening = Opening::New {
            identity: identity.into(),
            selectors: Vec::new(),
            ticket: None,
        };
        self.open(transport, opening, None).await.expect("a stream")
    }

    /// The session of `token`, resumed from `position` or from what was sent.
    pub async fn resume(
        &self,
        transport: Transport,
        token: Uuid,
        position: Option<MessageId>,
    ) -> Result<Client, Error> {
        let opening = Opening::Resume {
            identity: self.identity(Duration::from_secs(1_000_000)).into(),
            token,
            ticket: None,
        };
        self.open(transport, opening, position).await
    }

    fn identity(&self, ttl: Duration) -> Identity {
        Identity {
            user: UserId::parse("ann").expect("a user"),
            role: "platform_admin".into(),
            expires_at_ms: self.clock.now().wall_ms + ttl.as_millis() as u64,
            issued_at_ms: None,
            token_id: None,
        }
    }

    async fn open(
        &self,
        transport: Transport,
        opening: Opening,
        last_event_id: Option<MessageId>,
    ) -> Result<Client, Error> {
        let wanted = Wanted {
            transport,
            opening,
            last_event_id,
            takes: Default::default(),
            remote: [192, 0, 2, 1].into(),
            user_agent: "".into(),
            request_id: "1".into(),
        };
        let cut = Arc::new(Notify::new());
        let line = Arc::new(TestLine(cut.clone()));
        let stream = self.worker.connect(wanted, line).await?;
        let client = Client {
            token: stream.token,
            connection: stream.connection.clone(),
            came: Rc::default(),
            reads: Rc::new(Cell::new(true)),
            goes_on: Rc::default(),
            ended: Rc::default(),
            gone: Rc::default(),
        };
        let driver = client.clone().drive(self.clock, cut);
        actix_rt::spawn(async move {
            driver.await;
            drop(stream.registration);
        });
        Ok(client)
    }
}

struct TestLine(Arc<Notify>);

impl Line for TestLine {
    fn hang_up(&self) {
        self.0.notify_one();
    }

    fn write(&self, _: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        unreachable!("its driver takes what it writes")
    }
}

/// A client, and the driver of its connection. Dropping it leaves the connection open.
#[derive(Clone)]
pub struct Client {
    pub token: Uuid,
    pub connection: Rc<Connection>,
    /// What has come: virtual milliseconds since the start, and the text.
    came: Rc<RefCell<Vec<(u64, String)>>>,
    reads: Rc<Cell<bool>>,
    goes_on: Rc<Notify>,
    ended: Rc<Cell<Option<(u64, End)>>>,
    gone: Rc<Notify>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The hub said all it had to say.
    Clean,
    /// The hub hung up.
    Cut,
    /// The client went.
    Left,
}

impl Client {
    async fn drive(self, clock: Clock, cut: Arc<Notify>) {
        let elapsed = || clock.now().wall_ms - EPOCH_MS;
        loop {
            let next = poll_fn(|cx| match self.reads.get() {
                true => self.connection.poll_take(cx),
                false => Poll::Pending,
            });
            let end = tokio::select! {
                biased;
                () = cut.notified() => End::Cut,
                () = self.gone.notified() => End::Left,
                () = self.goes_on.notified() => continue,
                taken = next => match taken {
                    Some(bytes) => {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        self.came.borrow_mut().push((elapsed(), text));
                        continue;
                    }
                    None => End::Clean,
                },
            };
            self.ended.set(Some((elapsed(), end)));
            return;
        }
    }

    pub fn stop_reading(&self) {
        self.reads.set(false);
    }

    pub fn read_again(&self) {
        self.reads.set(true);
        self.goes_on.notify_one();
    }

    pub async fn leave(&self) {
        self.gone.notify_one();
        sleep(Duration::from_millis(1)).await;
    }

    /// When and how its stream ended.
    pub fn ended(&self) -> Option<(u64, End)> {
        self.ended.get()
    }

    /// What has come with `text` in it, and when.
    pub fn came_with(&self, text: &str) -> Vec<(u64, String)> {
        let came = self.came.borrow();
        let with = came.iter().filter(|(_, piece)| piece.contains(text));
        with.cloned().collect()
    }

    /// Everything that has come, without what is random.
    pub fn trace(&self) -> Vec<(u64, usize)> {
        let came = self.came.borrow();
        came.iter().map(|(at, piece)| (*at, piece.len())).collect()
    }

    /// The values of the updates that have come, in their order.
    pub fn values(&self, metric: &str) -> Vec<u64> {
        let start = format!("\"data\":{{\"{metric}\":");
        let value = |piece: &str| {
            let from = piece.find(&start)? + start.len();
            let digits = piece[from..].split('}').next()?;
            digits.parse().ok()
        };
        let updates = self.came_with("metrics_update");
        updates
            .iter()
            .filter_map(|(_, piece)| value(piece))
            .collect()
    }
}
