//! Sessions are written where every hub finds them.

use std::collections::HashMap;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use uuid::Uuid;

use super::super::actor::Hub;
use super::super::store::LastWords;
use super::opening::{SharedLog, session_ttl};
use crate::broker::redis::{Redis, SessionWrite, What};
use crate::domain::message::MessageId;
use crate::domain::session::Session;
use crate::store::Saved;
use crate::wire::hex::Hex;

/// After how long it is tried again where Redis refused.
const TRIES_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// By then the client of a new stream has been sent its snapshot, or its backlog.
const BEGINS_WITHIN: Duration = Duration::from_secs(1);

impl Hub {
    /// Writes down what has changed; one call at a time, so that an older state never follows a newer.
    pub(in crate::hub) fn save_shared(&mut self, redis: &Redis, ctx: &mut Context<Self>) {
        if self.is_saving || !redis.is_there() {
            return;
        }
        let writes = self.changes_shared();
        if writes.is_empty() {
            return;
        }
        self.write_shared(redis.clone(), writes, ctx);
    }

    /// How far the clients are, for the case that this hub ends without a word.
    pub(in crate::hub) fn save_positions_shared(&mut self, redis: &Redis, ctx: &mut Context<Self>) {
        if self.is_saving || !redis.is_there() {
            return;
        }
        let moved = |(token, position)| SessionWrite {
            token,
            what: What::Moved(position),
        };
        let writes: Vec<_> = self.state.positions().map(moved).collect();
        if !writes.is_empty() {
            self.write_shared(redis.clone(), writes, ctx);
        }
    }

    /// A session is written when it is opened, before its client was sent anything. Without a second time another
    /// hub would have to begin anew with it, until positions are written with the next heartbeat.
    pub(super) fn save_again_soon(&mut self, token: Uuid, ctx: &mut Context<Self>) {
        let Some(shared) = &mut self.shared else {
            return;
        };
        if shared.opened.is_empty() {
            ctx.run_later(BEGINS_WITHIN, |hub, _| hub.save_opened());
        }
        shared.opened.push(token);
    }

    fn save_opened(&mut self) {
        let shared = self.shared.as_mut();
        let opened = shared.map(|shared| std::mem::take(&mut shared.opened));
        for token in opened.unwrap_or_default() {
            if self.state.session(&token).is_some() {
                self.state.note(token);
            }
        }
        self.save_soon();
    }

    fn write_shared(&mut self, redis: Redis, writes: Vec<SessionWrite>, ctx: &mut Context<Self>) {
        self.is_saving = true;
        let (ttl_ms, seen) = (self.session_ttl_ms(), self.state.history().last());
        let connection = |write: &SessionWrite| (write.token, self.connection_of(write.token));
        let written: HashMap<_, _> = writes.iter().map(connection).collect();
        let save = async move { redis.save(&writes, ttl_ms, seen).await };
        let saved = save.into_actor(self).map(|saved, hub, ctx| {
            hub.is_saving = false;
            match saved {
                Ok(lost) => {
                    // One that has come back meanwhile is not what was written.
                    let is_same =
                        |token: &Uuid| written.get(token) == Some(&hub.connection_of(*token));
                    let lost = lost.into_iter().filter(is_same).collect();
                    hub.lose(lost);
                }
                Err(error) => {
                    log::warn!("sessions could not be written: {error}");
                    // Those that are no more, too.
                    written.into_keys().for_each(|token| hub.state.note(token));
                    hub.state.note_all();
                    ctx.run_later(TRIES_AGAIN_AFTER, |hub, _| hub.save_soon());
                    return;
                }
            }
            hub.save_soon();
        });
        ctx.spawn(saved);
    }

    fn connection_of(&self, token: Uuid) -> Option<Uuid> {
        let session = self.state.session(&token);
        session.map(|session| session.connection_id)
    }

    /// They are said to be other hubs'.
    fn lose(&mut self, lost: Vec<Uuid>) {
        for token in lost {
            self.with(|state, _, outlets| state.lost(token, outlets));
        }
    }

    /// What this hub has forgotten for its age, those that start need not learn.
    pub(in crate::hub) fn clean_up_shared(&self, before: MessageId, ctx: &mut Context<Self>) {
        if let Some(redis) = self.redis() {
            let forget = async move { redis.forget_idle(before).await };
            let forgotten = forget.into_actor(self).map(|forgotten, _, _| {
                if let Err(error) = forgotten {
                    log::debug!("old values stay: {error}");
                }
            });
            ctx.spawn(forgotten);
        }
    }

    /// What is to be written of the sessions that have changed.
    pub(in crate::hub) fn changes_shared(&mut self) -> Vec<SessionWrite> {
        let write = |(token, session): (Uuid, Option<&Session>)| SessionWrite {
            token,
            what: session.map_or(What::Forgotten, saved),
        };
        self.state.take_changed().into_iter().map(write).collect()
    }

    pub(in crate::hub) fn session_ttl_ms(&self) -> u64 {
        let ttl = session_ttl(&self.settings);
        u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
    }
}

impl SharedLog {
    /// What is left to be said before this hub is gone.
    pub(in crate::hub) async fn leave(&self, last: &LastWords) {
        let saved = self
            .redis
            .save(&last.sessions, last.ttl_ms, last.seen)
            .await;
        let left = self.redis.leave().await;
        if let Err(error) = saved.map(drop).and(left) {
            log::warn!("the other hubs are not told that this one stops: {error}");
        }
        // Last: its database may be slow.
        if let Some(scribe) = &self.scribe {
            scribe.close().await;
        }
    }
}

fn saved(session: &Session) -> What {
    What::Saved {
        user: session.user().clone(),
        position: session.position(),
        // Cannot fail: strings, numbers and lists of them.
        record: serde_json::to_string(&Saved::of(session)).unwrap_or_default(),
        connection: session.connection_id,
        transport: session.transport,
        is_connected: session.is_live(),
        ticket: session.ticket.as_deref().map(|hash| Hex(hash).to_string()),
    }
}
