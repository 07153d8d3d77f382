//! How everybody else asks the Hub something: bounded, and with an answer in every case.

mod lag;
mod log;
mod operators;

use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::actor::Hub;
use super::canary::{self, Canary};
use super::clock::Clock;
use super::fanout::Fanout;
use super::messages::*;
use super::meter::Meter;
use super::promise::Promise;
use super::shared::SharedLog;
use super::store::LastSave;
use crate::broker::redis::{Away, Held};
use crate::config::Settings;
use crate::domain::fanout::ConnectionKey;
use crate::domain::hub::{self, RefreshError, Refusal};
use crate::domain::message::{Draft, Json, MessageId};
use crate::domain::pattern::NameError;
use crate::store::{AlertWrite, Answer, AppendError, Health, Keyed, Outcome, Reader, Writer};
use crate::trace::{Context, Span, spans};

/// How long a request may wait for the Hub before its sender is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a publisher waits for workers that are behind, and how often it looks.
const PUBLISHER_PATIENCE: Duration = Duration::from_secs(2);
const PUBLISHER_LOOKS_EVERY: Duration = Duration::from_millis(5);
/// How often it is looked at the end whether the sessions are written.
const LOOKS_EVERY: Duration = Duration::from_millis(5);

/// Why the Hub did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is overloaded, or gone. Trying again later may help.
    #[error("the hub is overloaded")]
    Busy,
    #[error("the stream was refused: {0:?}")]
    Refused(Refusal),
    #[error(transparent)]
    NotTaken(#[from] AppendError),
    #[error(transparent)]
    Pattern(#[from] NameError),
    #[error("the token was not renewed: {0:?}")]
    NotRenewed(RefreshError),
    /// What all hubs together know cannot be asked.
    #[error("the shared log is away: {0}")]
    Away(String),
}

impl From<Away> for Error {
    fn from(Away(reason): Away) -> Self {
        Self::Away(reason)
    }
}

/// The Hub's address. Clones are the same hub.
#[derive(Clone)]
pub struct HubHandle {
    hub: Addr<Hub>,
    meters: Arc<RwLock<Vec<Arc<Meter>>>>,
    workers: Arc<AtomicU16>,
    waiting: Arc<AtomicUsize>,
    canary: Arc<Canary>,
    store_canary: Arc<Canary>,
    /// Bytes that one worker may be behind before publishers have to wait.
    worker_backlog_bytes_max: usize,
    clock: Clock,
    promise: Promise,
    store: Option<Writer>,
    reader: Option<Reader>,
    pub(super) shared: Option<SharedLog>,
}

impl HubHandle {
    /// `store` is the Hub's own, where it has one; `shared` the log of several hubs, where it is one of them.
    pub fn new(
        hub: Addr<Hub>,
        settings: &Settings,
        clock: Clock,
        store: Option<(Writer, Reader)>,
        shared: Option<SharedLog>,
    ) -> Self {
        let (store, reader) = store.unzip();
        Self {
            promise: Promise::of(settings, shared.is_some()),
            shared,
            reader,
            store,
            hub,
            meters: Arc::default(),
            workers: Arc::default(),
            waiting: Arc::default(),
            canary: Arc::default(),
            store_canary: Arc::default(),
            worker_backlog_bytes_max: settings.outgoing.worker_backlog_bytes_max,
            clock,
        }
    }

    /// The clock that the Hub goes by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// What a publisher's answer promises.
    pub fn durability(&self) -> Promise {
        self.promise
    }

    /// How the store is; `None` where there is none.
    pub fn store(&self) -> Option<Health> {
        self.store.as_ref().map(Writer::health)
    }

    /// The log as it is in the store; `None` where there is none.
    pub fn reader(&self) -> Option<&Reader> {
        self.reader.as_ref()
    }

    /// Writes down what is to outlive the process, and closes the store. Ready when that is done.
    pub async fn close_store(&self) {
        let last = loop {
            match self.ask(LastSave).await {
                Ok(Some(last)) => break last,
                // What is being written must not come after what is written last.
                Ok(None) => sleep(LOOKS_EVERY).await,
                Err(_) => return,
            }
        };
        if let Some(shared) = &self.shared {
            shared.leave(&last).await;
        }
        // That of a database in common the Hub does not know.
        if let Some(store) = last.store.or_else(|| self.store.clone()) {
            store.close().await;
        }
    }

    /// Publishes a batch, whole or not at all. Waits for workers that are far behind.
    ///
    /// # Errors
    /// More distinct metrics than allowed, or the hub is overloaded.
    pub async fn publish(
        &self,
        drafts: Vec<Draft>,
        keys: Vec<Option<Keyed>>,
        trace: &Context,
    ) -> Result<Vec<MessageId>, Error> {
        self.publish_by(drafts, keys, None, trace).await
    }

    /// Likewise, for what comes of a source; where hubs share those, by the right of `held`.
    ///
    /// # Errors
    /// As [`HubHandle::publish`], or another hub reads it by now.
    pub async fn publish_by(
        &self,
        drafts: Vec<Draft>,
        keys: Vec<Option<Keyed>>,
        held: Option<Held>,
        trace: &Context,
    ) -> Result<Vec<MessageId>, Error> {
        let span = spans::publish(trace, &drafts);
        if let Some(before) = self.published_before(&keys).await {
            return Ok(before?);
        }
        let publish = |answer| Publish {
            drafts,
            keys,
            held,
            answer,
        };
        self.ask_log(span, publish).await
    }

    /// Several hubs with a database in common know from there what the log in Redis may have forgotten. While it
    /// is away, what Redis knows has to do.
    async fn published_before(&self, keys: &[Option<Keyed>]) -> Option<Outcome> {
        let (Some(_), Some(reader)) = (&self.shared, &self.reader) else {
            return None;
        };
        reader.published_before(keys).await.ok().flatten()
    }

    /// Broadcasts an alert, or what has become of one, and writes that down; `data` must be an object.
    ///
    /// # Errors
    /// The alert is not any more as `write` says (nothing has changed then), or the hub is overloaded.
    pub async fn alert(
        &self,
        data: Json,
        write: AlertWrite,
        keys: Vec<Option<Keyed>>,
        trace: &Context,
    ) -> Result<MessageId, Error> {
        let span = spans::alert(trace);
        if let Some(before) = self.published_before(&keys).await {
            return Ok(before?.first().copied().unwrap_or_default());
        }
        let alert = |answer| Alert {
            data,
            write,
            keys,
            answer,
        };
        let ids = self.ask_log(span, alert).await?;
        Ok(ids.first().copied().unwrap_or_default())
    }

    /// Ready once everything that the Hub has been told so far has reached the connections it is for, however
    /// long that takes; false when the Hub is gone.
    pub async fn pulse(&self) -> bool {
        self.hub.send(Pulse).await.is_ok()
    }

    /// Settings that can change while running.
    pub fn reload(&self, settings: Arc<Settings>) {
        if let Some(shared) = &self.shared {
            shared.reload(settings.clone());
        }
        self.tell(Reload(settings));
    }

    /// Tells every stream goodbye. [`HubHandle::streams`] says when all have gone.
    pub fn drain(&self) {
        self.tell(Drain);
    }

    /// Streams that are open or being opened.
    pub fn streams(&self) -> usize {
        self.meters().iter().map(|meter| meter.streams()).sum()
    }

    /// Ends a connection whose new token has no permitted role, and forgets its session.
    pub fn end(&self, key: ConnectionKey) {
        self.tell(End(key));
    }

    pub(super) async fn connect(&self, connect: hub::Connect) -> Result<Admitted, Error> {
        match &self.shared {
            Some(shared) => shared.connect(self, connect).await,
            None => self.connect_here(connect).await,
        }
    }

    pub(super) async fn connect_here(&self, connect: hub::Connect) -> Result<Admitted, Error> {
        self.ask(Connect(connect)).await?.map_err(Error::Refused)
    }

    /// A number and a meter for a new worker.
    pub(super) fn enroll(&self) -> (u16, Arc<Meter>) {
        let meter = Arc::new(Meter::default());
        let mut meters = self.meters.write().unwrap_or_else(PoisonError::into_inner);
        meters.push(meter.clone());
        (self.workers.fetch_add(1, Ordering::Relaxed), meter)
    }

    pub(super) fn worker_started(&self, number: u16, fanout: Addr<Fanout>, meter: Arc<Meter>) {
        self.tell(WorkerStarted {
            number,
            fanout,
            meter,
        });
    }

    /// Something the Hub must hear and does not answer. There is a bounded number of these, a few
    /// for each connection, so they need not wait for room.
    pub(super) fn tell<M>(&self, what: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Hub: Handler<M>,
        <Hub as Actor>::Context: ToEnvelope<Hub, M>,
    {
        self.hub.do_send(what);
    }

    pub(super) async fn ask<M>(&self, what: M) -> Result<M::Result, Error>
    where
        M: Message + Send + Unpin + 'static,
        M::Result: Send,
        Hub: Handler<M>,
        <Hub as Actor>::Context: ToEnvelope<Hub, M>,
    {
        let _waiting = Waiting::new(&self.waiting);
        let answer = self.hub.send(what).timeout(PATIENCE).await;
        answer.map_err(|_| Error::Busy)
    }

    /// Asks for something that is answered when it is in the log; `span` is until then.
    async fn ask_log<M>(
        &self,
        mut span: Span,
        with: impl FnOnce(Answer) -> M,
    ) -> Result<Vec<MessageId>, Error>
    where
        M: Message<Result = ()> + Send + Unpin + 'static,
        Hub: Handler<M>,
        <Hub as Actor>::Context: ToEnvelope<Hub, M>,
    {
        let (answer, answered) = oneshot::channel();
        let wanted = with(Answer::new(answer, span.context()));
        let done = async {
            self.room().await?;
            let _waiting = Waiting::new(&self.waiting);
            let done = async {
                self.hub.send(wanted).await.map_err(|_| Error::Busy)?;
                answered.await.map_err(|_| Error::Busy)
            };
            Ok::<_, Error>(timeout(PATIENCE, done).await.map_err(|_| Error::Busy)???)
        };
        let outcome = done.await;
        spans::published(&mut span, &outcome);
        outcome
    }

    /// Waits until no worker is too far behind.
    async fn room(&self) -> Result<(), Error> {
        let mut waited = Duration::ZERO;
        while self.is_behind() {
            if waited >= PUBLISHER_PATIENCE {
                return Err(Error::Busy);
            }
            sleep(PUBLISHER_LOOKS_EVERY).await;
            waited += PUBLISHER_LOOKS_EVERY;
        }
        Ok(())
    }

    fn is_behind(&self) -> bool {
        let max = self.worker_backlog_bytes_max;
        let meters = self.meters.read().unwrap_or_else(PoisonError::into_inner);
        meters.iter().any(|meter| meter.undelivered_bytes() > max)
    }

    fn meters(&self) -> Vec<Arc<Meter>> {
        let meters = self.meters.read().unwrap_or_else(PoisonError::into_inner);
        meters.clone()
    }
}

/// Counts one request that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
