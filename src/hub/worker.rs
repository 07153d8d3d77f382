//! How a stream comes to be on a worker thread, and how it is let go.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, WeakAddr};
use actix_rt::time::sleep;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::clock::Clock;
use super::connection::{Connection, Takes};
use super::due::{self, Due};
use super::fanout::Fanout;
use super::handle::{Error, HubHandle};
use super::line::Line;
use super::messages::{Admitted, Disconnected, Drained, Lagging};
use super::meter::{Meter, Pass};
use super::packer::Packer;
use crate::domain::fanout::{self, ConnectionKey};
use crate::domain::hub::{self, Opening, Refusal};
use crate::domain::message::{MessageId, Transport};
use crate::domain::notice::Goodbye;
use crate::domain::outbox::Limits;
use crate::domain::session::Identity;
use crate::telemetry::audit::{Action, Audit, Event};

/// A connection that has just gone may be noticed a moment after its user has come back: a user
/// who has too many gets these chances, this far apart, before being refused.
const LIMIT_RETRIES: u32 = 5;
const LIMIT_RETRY_AFTER: Duration = Duration::from_millis(50);

/// What one worker thread's fan-out and its connections share.
pub(super) struct WorkerState {
    pub hub: HubHandle,
    pub clock: Clock,
    pub meter: Arc<Meter>,
    pub audit: Audit,
    pub fanout: RefCell<fanout::Fanout<Rc<Connection>>>,
    /// The actor that keeps `fanout`, and keeps this.
    pub fanout_actor: OnceCell<WeakAddr<Fanout>>,
    /// Connections whose opening has not come yet.
    pub opening: RefCell<HashMap<ConnectionKey, Rc<Connection>>>,
    pub due: Due,
    pub packer: Packer,
}

impl WorkerState {
    /// What is written from now until it is dropped, in one go.
    pub fn pass(&self) -> Pass<'_> {
        Pass::new(&self.meter, self.clock.now())
    }

    pub fn drained(&self, key: ConnectionKey) {
        self.hub.tell(Drained(key));
    }

    pub fn lagging(&self, key: ConnectionKey, position: MessageId) {
        self.hub.tell(Lagging { key, position });
    }
}

/// One worker thread's way to open streams. Clones are the same worker.
#[derive(Clone)]
pub struct Worker {
    number: u16,
    next: Rc<Cell<u64>>,
    limits: Limits,
    state: Rc<WorkerState>,
}

/// A stream that somebody asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub transport: Transport,
    pub opening: Opening,
    pub last_event_id: Option<MessageId>,
    pub takes: Takes,
    pub remote: IpAddr,
    pub user_agent: Arc<str>,
    pub request_id: Arc<str>,
}

/// Who is at the other end of a stream, for the audit trail.
#[derive(Debug)]
pub struct Client {
    /// Whose session it is, as its token says or, for one resumed by ticket, said.
    pub identity: Arc<Identity>,
    pub connection_id: Uuid,
    pub remote: IpAddr,
    /// Of the request that opened the stream.
    pub request_id: Arc<str>,
}

impl Client {
    /// An event about its stream that went well; fill in the rest with `..client.event(action)`.
    pub fn event(&self, action: Action) -> Event {
        Event {
            actor: Some(self.identity.user.clone()),
            role: Some(self.identity.role.to_string()),
            target: Some(self.connection_id.to_string()),
            remote: Some(self.remote.to_string()),
            request_id: Some(self.request_id.to_string()),
            ..Event::new(action, Timestamp::now())
        }
    }
}

/// A stream that was granted.
#[derive(Debug)]
pub struct Stream {
    /// The session's reconnect token.
    pub token: Uuid,
    pub client: Rc<Client>,
    pub connection: Rc<Connection>,
    /// Keep it as long as the stream lives.
    pub registration: Registration,
}

impl Worker {
    /// Starts this thread's share of the fan-out. For each thread that serves streams. What is shorter than
    /// `gzip_min_bytes` is not compressed for those who take gzip; `None`: nothing is.
    ///
    /// # Panics
    /// Outside an actix system.
    pub fn start(
        hub: HubHandle,
        limits: Limits,
        gzip_min_bytes: Option<usize>,
        audit: Audit,
    ) -> Self {
        let (number, meter) = hub.enroll();
        let state = Rc::new(WorkerState {
            hub: hub.clone(),
            clock: hub.clock(),
            meter: meter.clone(),
            audit,
            fanout: RefCell::default(),
            fanout_actor: OnceCell::new(),
            opening: RefCell::default(),
            due: Due::default(),
            packer: Packer::new(gzip_min_bytes),
        });
        actix_rt::spawn(due::write(state.clone()));
        let fanout = Fanout::new(state.clone()).start();
        // The cell is new, so there is nothing in it yet.
        let _ = state.fanout_actor.set(fanout.downgrade());
        hub.worker_started(number, fanout, meter);
        Self {
            number,
            next: Rc::default(),
            limits,
            state,
        }
    }

    pub fn hub(&self) -> &HubHandle {
        &self.state.hub
    }

    /// Asks the Hub for a stream; its first words come into the connection's queue by themselves.
    /// Dropping the future at any point leaves nothing behind.
    ///
    /// # Errors
    /// The Hub's refusal, or that it cannot answer.
    pub async fn connect(&self, wanted: Wanted, line: Arc<dyn Line>) -> Result<Stream, Error> {
        let number = self.next.replace(self.next.get() + 1);
        let key = ConnectionKey::new(self.number, number);
        let transport = wanted.transport;
        let state = self.state.clone();
        let is_packed = transport == Transport::Sse && state.packer.is_on();
        let takes = Takes {
            gzip: wanted.takes.gzip && is_packed,
            ..wanted.takes
        };
        let connection = Connection::new(key, transport, takes, self.limits, line, state);
        let mut registration = Registration::new(connection.clone(), self.state.clone());
        let admitted = self.admitted(key, &connection, &wanted).await?;
        let client = Rc::new(Client {
            identity: admitted.identity,
            connection_id: admitted.connection_id,
            remote: wanted.remote,
            request_id: wanted.request_id,
        });
        registration.client = Some(client.clone());
        Ok(Stream {
            token: admitted.token,
            client,
            connection,
            registration,
        })
    }

    async fn admitted(
        &self,
        key: ConnectionKey,
        connection: &Connection,
        wanted: &Wanted,
    ) -> Result<Admitted, Error> {
        let mut retries = LIMIT_RETRIES;
        loop {
            let connect = hub::Connect {
                key,
                transport: wanted.transport,
                opening: wanted.opening.clone(),
                last_event_id: wanted.last_event_id,
                progress: connection.progress(),
                remote: wanted.remote,
                user_agent: wanted.user_agent.clone(),
                fresh_token: Uuid::new_v4(),
                fresh_connection_id: Uuid::new_v4(),
            };
            match self.state.hub.connect(connect).await {
                Err(Error::Refused(Refusal::ConnectionLimit)) if retries > 0 => {
                    retries -= 1;
                    sleep(LIMIT_RETRY_AFTER).await;
                }
                answer => return answer,
            }
        }
    }
}

/// The Hub counts a connection from when this is made until it is dropped.
pub struct Registration {
    connection: Rc<Connection>,
    worker: Rc<WorkerState>,
    /// Once it was granted.
    client: Option<Rc<Client>>,
}

impl Registration {
    fn new(connection: Rc<Connection>, worker: Rc<WorkerState>) -> Self {
        worker.meter.opened();
        if connection.patches() {
            worker.meter.patching_begins();
        }
        let mut opening = worker.opening.borrow_mut();
        opening.insert(connection.key, connection.clone());
        drop(opening);
        Self {
            connection,
            worker,
            client: None,
        }
    }

    /// Lets go of the connection; returns up to where everything was handed to its socket.
    fn detach(&self) -> MessageId {
        let key = self.connection.key;
        let mut fanout = self.worker.fanout.borrow_mut();
        let was_attached = fanout.detach(key).is_some();
        let position = self.connection.abandon(fanout.through());
        drop(fanout);
        self.worker.opening.borrow_mut().remove(&key);
        if was_attached {
            position
        } else {
            MessageId::ZERO
        }
    }

    fn record_end(&self) {
        let Some(client) = &self.client else {
            return;
        };
        let reason = match self.connection.goodbye() {
            None => "client_gone",
            Some(Goodbye::Replaced) => "replaced",
            Some(Goodbye::TokenExpired) => "token_expired",
            Some(Goodbye::Disconnected) => "disconnected",
            Some(Goodbye::Shutdown { .. }) => "shutdown",
            Some(Goodbye::TooManyMessages) => "too_many_messages",
            Some(Goodbye::Trouble) => "trouble",
        };
        self.worker.audit.record(Event {
            details: Some(json!({ "transport": self.connection.transport, "reason": reason })),
            ..client.event(Action::Disconnect)
        });
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registration")
            .field(&self.connection.key)
            .finish()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let key = self.connection.key;
        let position = self.detach();
        self.worker.hub.tell(Disconnected { key, position });
        self.worker.meter.closed();
        if self.connection.patches() {
            self.worker.meter.patching_ends();
        }
        self.record_end();
    }
}

/// Counts as a stream, of which nothing else is left.
pub struct Lingering(Rc<WorkerState>);

impl Lingering {
    pub(super) fn new(worker: Rc<WorkerState>) -> Self {
        worker.meter.opened();
        Self(worker)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.meter.closed();
    }
}
