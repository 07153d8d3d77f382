//! The Hub and its store: what the one tells the other.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Addr, Context, Handler, Message, MessageResult, WeakAddr};

use super::actor::Hub;
use crate::broker::redis::SessionWrite;
use crate::domain::history::History;
use crate::domain::hub::{HubState, Limits};
use crate::domain::message::MessageId;
use crate::domain::session::{Session, State};
use crate::domain::time::Now;
use crate::store::{Listener, Recovered, Saved, SessionChange, Settled, Writer};

/// Takes what the writer says to the Hub, which starts after it.
#[derive(Debug, Clone, Default)]
pub struct StoreLink(Arc<OnceLock<WeakAddr<Hub>>>);

impl StoreLink {
    /// From now on it leads there. Doing it again does nothing.
    pub fn lead_to(&self, hub: &Addr<Hub>) {
        let _ = self.0.set(hub.downgrade());
    }

    fn hub(&self) -> Option<Addr<Hub>> {
        self.0.get()?.upgrade()
    }
}

impl Listener for StoreLink {
    fn settled(&self, batches: Vec<Settled>) {
        // Without a Hub nobody waits for an answer any more.
        if let Some(hub) = self.hub() {
            hub.do_send(InLog(batches));
        }
    }

    fn sessions_wanted(&self) {
        if let Some(hub) = self.hub() {
            hub.do_send(SaveSessions { all: true });
        }
    }
}

/// These have been written, or not.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct InLog(Vec<Settled>);

/// Sessions that changed are written down; or all.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SaveSessions {
    pub all: bool,
}

/// Sessions are written down for the last time. `None`: they are just being written, where all hubs find them.
#[derive(Message)]
#[rtype(result = "Option<LastWords>")]
pub(super) struct LastSave;

/// What is left to be done by whoever asked.
pub(super) struct LastWords {
    /// To be closed.
    pub store: Option<Writer>,
    /// To be written where all hubs find them.
    pub sessions: Vec<SessionWrite>,
    pub ttl_ms: u64,
    pub seen: MessageId,
}

/// The state that an earlier process left behind.
pub fn restored(limits: Limits, recovered: Recovered, now: Now) -> HubState {
    let Recovered {
        origin,
        last,
        holes,
        rings,
        sessions,
    } = recovered;
    let history = History::restored(limits.history.clone(), origin, last, rings).with_holes(holes);
    let back = sessions.iter().filter_map(|saved| away(saved, now));
    let mut state = HubState::restored(limits, history, back);
    // From now on they are away, and are not to be away from the next start on.
    let were_there = sessions
        .iter()
        .filter(|saved| saved.away_since_ms.is_none());
    were_there.for_each(|saved| state.note(saved.token));
    state
}

/// Away since it was, or since now where its client was there to the end.
pub(super) fn away(saved: &Saved, now: Now) -> Option<Session> {
    let away_ms = saved
        .away_since_ms
        .map_or(0, |ms| now.wall_ms.saturating_sub(ms));
    let since = now.mono.saturating_sub(Duration::from_millis(away_ms));
    let mut session = saved.session(State::Away {
        since,
        position: saved.position,
    })?;
    session.since_ms = saved.away_since_ms.unwrap_or(now.wall_ms);
    Some(session)
}

impl Hub {
    /// Has changed sessions written down, once all that has arrived is handled.
    pub(super) fn save_soon(&mut self) {
        let is_kept = self.store.is_some() || self.shared.is_some();
        if !is_kept || self.is_saving || !self.state.has_changed() {
            return;
        }
        if let Some(me) = self.me.as_ref().and_then(WeakAddr::upgrade) {
            self.is_saving = true;
            me.do_send(SaveSessions { all: false });
        }
    }

    fn save(&mut self, mut changes: Vec<SessionChange>) {
        let Some(store) = &self.store else {
            return;
        };
        let change = |(token, session): (_, Option<&Session>)| match session {
            Some(session) => SessionChange::Saved(Box::new(Saved::of(session))),
            None => SessionChange::Forgotten(token),
        };
        changes.extend(self.state.take_changed().into_iter().map(change));
        if !changes.is_empty() {
            store.sessions(changes);
        }
    }

    /// How far the clients are, for a start after a crash.
    pub(super) fn save_positions(&mut self, ctx: &mut Context<Self>) {
        if let Some(redis) = self.redis() {
            self.save_positions_shared(&redis, ctx);
        } else if let Some(store) = &self.store {
            let moved = |(token, position)| SessionChange::Moved(token, position);
            let moved: Vec<_> = self.state.positions().map(moved).collect();
            if !moved.is_empty() {
                store.sessions(moved);
            }
        }
    }
}

impl Handler<InLog> for Hub {
    type Result = ();

    fn handle(&mut self, InLog(batches): InLog, _: &mut Context<Self>) {
        let now = self.clock.now();
        batches
            .into_iter()
            .for_each(|batch| self.settle(batch, now));
    }
}

impl Handler<SaveSessions> for Hub {
    type Result = ();

    fn handle(&mut self, wanted: SaveSessions, ctx: &mut Context<Self>) {
        self.is_saving = false;
        if let Some(redis) = self.redis() {
            return self.save_shared(&redis, ctx);
        }
        let mut changes = Vec::new();
        if wanted.all {
            // What was forgotten meanwhile is not among them.
            changes.push(SessionChange::Anew);
            self.state.note_all();
        }
        self.save(changes);
    }
}

impl Handler<LastSave> for Hub {
    type Result = MessageResult<LastSave>;

    fn handle(&mut self, _: LastSave, ctx: &mut Context<Self>) -> Self::Result {
        let mut sessions = Vec::new();
        if self.shared.is_some() {
            if self.is_saving {
                return MessageResult(None);
            }
            sessions = self.changes_shared();
        } else {
            self.save(Vec::new());
            self.save_positions(ctx);
        }
        MessageResult(Some(LastWords {
            store: self.store.clone(),
            sessions,
            ttl_ms: self.session_ttl_ms(),
            seen: self.state.history().last(),
        }))
    }
}
