//! How a stream comes to be where sessions are shared: first all hubs are asked, then this one.

use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler, Message};
use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

use super::super::actor::Hub;
use super::super::handle::{Error, HubHandle};
use super::super::messages::{Admitted, Chosen};
use super::super::store::away;
use super::{Question, Reached};
use crate::broker::redis::{Open, Opened, Opening as Asked, Redis, TakenOver};
use crate::config::Settings;
use crate::domain::hub::{Connect, Opening, Refusal};
use crate::domain::message::{MessageId, Transport, UserId};
use crate::domain::session::Session;
use crate::domain::time::Now;
use crate::store::Saved;
use crate::store::postgres::Scribe;
use crate::wire::hex::Hex;

/// How long a stream waits until this hub has read what another had sent already.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(2);

/// The shared log as whoever opens streams sees it. Clones are the same.
#[derive(Clone)]
pub struct SharedLog {
    pub redis: Redis,
    reached: watch::Receiver<Reached>,
    settings: Arc<ArcSwap<Settings>>,
    /// What writes the log down, where hubs have a database in common.
    pub scribe: Option<Scribe>,
}

/// Somebody wants a stream, of a session that may come from another hub.
#[derive(Message)]
#[rtype(result = "Result<Admitted, Refusal>")]
pub(in crate::hub) struct ConnectShared {
    pub connect: Connect,
    pub taken_over: Option<TakenOver>,
}

/// A session of this hub's is to be written again, where there is one.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct SaveAgain(Uuid);

impl SharedLog {
    /// `reached` says how far the Hub is.
    pub fn new(
        redis: Redis,
        reached: watch::Receiver<Reached>,
        settings: Arc<Settings>,
        scribe: Option<Scribe>,
    ) -> Self {
        Self {
            redis,
            reached,
            settings: Arc::new(ArcSwap::new(settings)),
            scribe,
        }
    }

    pub(in crate::hub) fn reload(&self, settings: Arc<Settings>) {
        if let Some(scribe) = &self.scribe {
            scribe.retain(settings.store.retention.clone());
            scribe.retain_audit(settings.audit.retention);
        }
        self.settings.store(settings);
    }

    /// For how long a session is kept that nobody writes any more.
    pub(in crate::hub) fn session_ttl(&self) -> Duration {
        session_ttl(&self.settings.load())
    }

    /// Opens a stream, of a session of this hub's or of another's. While Redis is away, what this hub knows by
    /// itself has to do.
    ///
    /// # Errors
    /// The refusal; or the session is not of this hub's and Redis is away.
    pub(in crate::hub) async fn connect(
        &self,
        hub: &HubHandle,
        connect: Connect,
    ) -> Result<Admitted, Error> {
        let unknown = unknown(&connect.opening);
        let (mut slot, taken_over) = match self.admit(hub, &connect).await {
            Ok(admitted) => admitted,
            Err(error) => {
                let away = match error {
                    // Redis may have lost it, and not been told of it again yet.
                    Error::Refused(refusal) if refusal == unknown => None,
                    // What the client has seen this hub may not have read: ids would go back for it.
                    Error::Away(reason)
                        if connect.last_event_id <= Some(self.reached.borrow().id) =>
                    {
                        Some(reason)
                    }
                    error => return Err(error),
                };
                let here = ConnectShared {
                    connect,
                    taken_over: None,
                };
                let admitted = hub.ask(here).await?;
                return admitted.map_err(|refusal| match away {
                    Some(reason) if refusal == unknown => Error::Away(reason),
                    _ => Error::Refused(refusal),
                });
            }
        };
        let wanted = ConnectShared {
            connect,
            taken_over,
        };
        let admitted = hub.ask(wanted).await?;
        slot.is_settled = admitted.is_ok();
        admitted.map_err(Error::Refused)
    }

    /// What all hubs say to a stream: the user's slot for it, and the session where another hub has it.
    async fn admit(
        &self,
        hub: &HubHandle,
        connect: &Connect,
    ) -> Result<(Slot, Option<TakenOver>), Error> {
        let ttl = self.session_ttl();
        let (token, user, opening) = self.session_of(connect).await?;
        let open = Open {
            opening,
            token,
            user: &user,
            connection: connect.fresh_connection_id,
            transport: connect.transport,
            connections_max: self.settings.load().sessions.connections_per_user_max,
            position: connect.last_event_id,
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
        };
        // From before it is asked for: the answer may be late, or nobody may wait for it any more.
        let mut slot = Slot {
            redis: self.redis.clone(),
            hub: hub.clone(),
            user: user.clone(),
            token,
            connection: (open.connection, open.transport),
            is_settled: false,
        };
        let refusal = match self.redis.open(open).await? {
            Opened::Limit => Refusal::ConnectionLimit,
            Opened::Unknown => unknown(&connect.opening),
            Opened::Open {
                taken_over,
                read_first,
            } => {
                return match self.reaches(read_first).await {
                    true => Ok((slot, taken_over)),
                    false => Err(Error::Busy),
                };
            }
        };
        slot.is_settled = true;
        Err(Error::Refused(refusal))
    }

    /// Whose session it is to be, by its token.
    async fn session_of(&self, connect: &Connect) -> Result<(Uuid, UserId, Asked), Error> {
        match &connect.opening {
            Opening::New { identity, .. } => {
                Ok((connect.fresh_token, identity.user.clone(), Asked::New))
            }
            Opening::Resume {
                identity, token, ..
            } => Ok((*token, identity.user.clone(), Asked::Resume)),
            Opening::ByTicket { ticket, token } => {
                let opened = self.redis.opened_by(&Hex(ticket).to_string()).await?;
                let opened = opened.filter(|(of, _)| token.is_none_or(|token| token == *of));
                let (token, user) = opened.ok_or(Error::Refused(Refusal::UnknownTicket))?;
                Ok((token, user, Asked::Resume))
            }
        }
    }

    /// Waits until the Hub has read up to `id` and knows the log's past.
    pub async fn reaches(&self, id: MessageId) -> bool {
        let mut reached = self.reached.clone();
        let there = reached.wait_for(|reached| reached.is_current && reached.id >= id);
        timeout(CATCHES_UP_WITHIN, there)
            .await
            .is_ok_and(|there| there.is_ok())
    }
}

/// A user's slot for a stream that is being opened. Let go of when nothing came of it.
struct Slot {
    redis: Redis,
    hub: HubHandle,
    user: UserId,
    token: Uuid,
    connection: (Uuid, Transport),
    /// It is held by a stream, or was never taken.
    is_settled: bool,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.is_settled {
            let (redis, hub, user) = (self.redis.clone(), self.hub.clone(), self.user.clone());
            let (token, connection) = (self.token, self.connection);
            actix_rt::spawn(async move {
                // Redis is away, and forgets it by itself.
                let _ = redis.release(&user, token, connection).await;
                // A stream of the same session that this one was to take the place of has a slot again.
                let _ = hub.ask(SaveAgain(token)).await;
            });
        }
    }
}

/// For how long a session is kept that nobody writes any more.
pub(in crate::hub) fn session_ttl(settings: &Settings) -> Duration {
    let beats = 3 * settings.realtime.heartbeat_interval;
    settings.sessions.timeout.max(beats)
}

fn unknown(opening: &Opening) -> Refusal {
    match opening {
        Opening::ByTicket { .. } => Refusal::UnknownTicket,
        Opening::New { .. } | Opening::Resume { .. } => Refusal::UnknownToken,
    }
}

impl Handler<ConnectShared> for Hub {
    type Result = Result<Admitted, Refusal>;

    fn handle(&mut self, mut wanted: ConnectShared, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let is_here =
            |known: &TakenOver| known.is_mine && self.state.session(&known.token).is_some();
        wanted.taken_over = wanted.taken_over.filter(|it| !is_here(it));
        let saved = wanted.taken_over.as_ref().map(|session| session.position);
        let position = wanted.connect.last_event_id.or(saved);
        let has_read = |position| {
            let shared = self.shared.as_ref();
            shared.is_some_and(|shared| shared.read.knows(position))
        };
        if !position.is_none_or(has_read) {
            // Of a log that is gone: as if the client had never had anything.
            wanted.connect.last_event_id = Some(MessageId::ZERO);
        }
        if let Some(taken_over) = wanted.taken_over {
            let refusal = unknown(&wanted.connect.opening);
            let now = self.clock.now();
            let session = taken_over_session(&taken_over, now).ok_or(refusal)?;
            if is_ended(&session, &taken_over.ends) {
                return Err(refusal);
            }
            let token = session.token;
            self.state.adopt(session);
            for (at, change) in &taken_over.changes {
                self.change_again(token, *at, change);
            }
        }
        let admitted = self.connect(wanted.connect)?;
        self.save_again_soon(admitted.token, ctx);
        Ok(admitted)
    }
}

impl Handler<SaveAgain> for Hub {
    type Result = ();

    fn handle(&mut self, SaveAgain(token): SaveAgain, _: &mut Context<Self>) {
        if self.state.session(&token).is_some() {
            self.state.note(token);
            self.save_soon();
        }
    }
}

impl Hub {
    /// A change that came while the session was nowhere.
    fn change_again(&mut self, token: Uuid, at: MessageId, change: &str) {
        let Ok(Question::Change {
            change, selectors, ..
        }) = serde_json::from_str(change)
        else {
            return;
        };
        self.with(|state, _, outlets| {
            // Too many patterns change nothing, as when they were asked for.
            let _ = state.change_session(token, change, &selectors, at, outlets);
        });
    }
}

fn taken_over_session(taken_over: &TakenOver, now: Now) -> Option<Session> {
    let mut saved: Saved = serde_json::from_str(&taken_over.record).ok()?;
    saved.position = taken_over.position;
    away(&saved, now)
}

fn is_ended(session: &Session, ends: &[(MessageId, String)]) -> bool {
    let ends = ends.iter();
    let ends = ends.filter_map(|(_, end)| serde_json::from_str(end).ok());
    let picks = |chosen: Chosen| chosen.picks(session);
    ends.into_iter().any(picks)
}
