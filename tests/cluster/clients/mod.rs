//! Clients that follow as good ones do, and write down everything.

mod line;
mod read;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::record::{ClientLog, Event, Follows};
use crate::support::either::Transport;
use crate::support::id::Id;
use crate::support::token;
use line::{Came, Line, NoLine, Wish};
use read::{read, reconnect_in};

/// Pauses between tries grow from the one to the other.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(400));

/// What a server asks for is obeyed up to this, or tests would take minutes.
const RETRY_AFTER_MAX: Duration = Duration::from_millis(500);

/// What a client is like.
#[derive(Debug, Clone)]
pub struct Spec {
    pub name: String,
    pub user: String,
    pub transport: Transport,
    pub follows: Follows,
    pub patterns: Vec<String>,
    /// Where it begins; when that one is gone it goes to the next.
    pub hub: usize,
}

/// What a scenario tells a client to do.
#[derive(Debug)]
enum Order {
    /// Hang up, and come back to this hub after so long.
    GoTo(usize, Duration),
    /// Read nothing for so long.
    Sleep(Duration),
}

/// A client that runs until it is dropped.
pub struct Client {
    spec: Spec,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
}

struct Shared {
    began: Instant,
    log: Mutex<ClientLog>,
    /// Of its session.
    token: Mutex<Option<String>>,
}

impl Client {
    pub fn start(spec: Spec, hubs: Arc<[SocketAddr]>, began: Instant) -> Self {
        Self::resuming(spec, hubs, began, None, None)
    }

    /// One that has been there before, as the bearer of `token` who got to `position`.
    pub fn resuming(
        spec: Spec,
        hubs: Arc<[SocketAddr]>,
        began: Instant,
        token: Option<String>,
        position: Option<Id>,
    ) -> Self {
        let log = ClientLog {
            name: spec.name.clone(),
            user: spec.user.clone(),
            patterns: spec.patterns.clone(),
            follows: spec.follows,
            events: Vec::new(),
        };
        let shared = Arc::new(Shared {
            began,
            log: log.into(),
            token: token.into(),
        });
        let (orders, told) = mpsc::unbounded_channel();
        let follower = Follower {
            hub: spec.hub,
            jwt: token::admin(&spec.user),
            spec: spec.clone(),
            hubs,
            position,
            shared: shared.clone(),
            told,
            back_off: BACK_OFF.0,
        };
        let task = tokio::spawn(follower.follow());
        Self {
            spec,
            shared,
            orders,
            task,
        }
    }

    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn go_to(&self, hub: usize, after: Duration) {
        let _ = self.orders.send(Order::GoTo(hub, after));
    }

    pub fn sleep(&self, time: Duration) {
        let _ = self.orders.send(Order::Sleep(time));
    }

    /// Gone for good and at once. What another needs to come in its place.
    pub fn vanish(&self) -> (Option<String>, Option<Id>) {
        self.task.abort();
        self.shared.write(Event::Broken("vanished".into()));
        let token = self.shared.token.lock().expect("no panic").clone();
        (token, self.log().position())
    }

    pub fn log(&self) -> ClientLog {
        self.shared.log.lock().expect("no panic").clone()
    }

    /// It follows no more: told to stay away, or gone.
    pub fn is_done(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn write(&self, event: Event) {
        let at = u64::try_from(self.began.elapsed().as_millis()).expect("a short time");
        self.log.lock().expect("no panic").events.push((at, event));
    }
}

/// Where a client comes back.
enum Next {
    There(usize, Duration),
    /// After what the hub said.
    Elsewhere(Duration),
}

struct Follower {
    spec: Spec,
    hub: usize,
    jwt: String,
    hubs: Arc<[SocketAddr]>,
    position: Option<Id>,
    shared: Arc<Shared>,
    told: mpsc::UnboundedReceiver<Order>,
    back_off: Duration,
}

impl Follower {
    async fn follow(mut self) {
        loop {
            match self.open().await {
                Ok(line) => match self.listen(line).await {
                    Some(Next::There(hub, after)) => {
                        self.hub = hub;
                        sleep(after).await;
                    }
                    Some(Next::Elsewhere(pause)) => {
                        sleep(pause).await;
                        self.elsewhere().await;
                    }
                    None => return,
                },
                Err(NoLine::Unreachable(why)) => {
                    self.shared.write(Event::Broken(why));
                    self.elsewhere().await;
                }
                Err(NoLine::Refused {
                    status,
                    code,
                    retry_after,
                }) => {
                    self.shared.write(Event::Refused { status, code });
                    match status {
                        410 => self.set_token(None),
                        429 | 503 => {
                            sleep(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX)).await;
                            self.elsewhere().await;
                        }
                        _ => self.elsewhere().await,
                    }
                }
            }
        }
    }

    async fn open(&mut self) -> Result<Line, NoLine> {
        let token = self.shared.token.lock().expect("no panic").clone();
        let token = token.filter(|_| self.spec.follows != Follows::IdOnly);
        let position = self.position.filter(|_| self.spec.follows.is_honest());
        let with_token = token.is_some();
        self.shared.write(Event::Asked {
            hub: self.hub,
            with_token,
            position,
        });
        let wish = Wish {
            hub: self.hubs[self.hub],
            jwt: &self.jwt,
            patterns: &self.spec.patterns,
            token: token.as_deref(),
            position,
        };
        Line::open(self.spec.transport, &wish).await
    }

    /// After a pause that grows with every try in vain, at the next hub.
    async fn elsewhere(&mut self) {
        sleep(self.back_off).await;
        self.back_off = (self.back_off * 2).min(BACK_OFF.1);
        self.hub = (self.hub + 1) % self.hubs.len();
    }

    /// Until the connection is over; `None`: for ever.
    async fn listen(&mut self, mut line: Line) -> Option<Next> {
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                came = line.next() => match came {
                    Came::Message(message) => {
                        let event = read(&message);
                        match &event {
                            Event::Opened(opened) => self.set_token(Some(opened.session.clone())),
                            Event::Shutdown => pause = reconnect_in(&message).min(RETRY_AFTER_MAX),
                            _ => {}
                        }
                        let is_replaced = event == Event::Replaced;
                        self.note(event);
                        if is_replaced {
                            return None;
                        }
                    }
                    Came::Cursor(id) => self.note(Event::Cursor(id)),
                    Came::Ended(how) => {
                        let is_replaced = how.contains("4001");
                        self.note(Event::Broken(how));
                        return (!is_replaced).then_some(Next::Elsewhere(pause));
                    }
                },
                Some(order) = self.told.recv() => match order {
                    Order::GoTo(hub, after) => {
                        self.note(Event::Broken("hung up".into()));
                        return Some(Next::There(hub, after));
                    }
                    Order::Sleep(time) => sleep(time).await,
                },
            }
        }
    }

    fn note(&mut self, event: Event) {
        if event == Event::Other("heartbeat".into()) {
            return;
        }
        if let Some(id) = event.id() {
            self.position = Some(id);
            self.back_off = BACK_OFF.0;
        }
        self.shared.write(event);
    }

    fn set_token(&self, token: Option<String>) {
        *self.shared.token.lock().expect("no panic") = token;
    }
}
