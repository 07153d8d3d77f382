//! The Hub among others: it takes over what the shared log says, in its order.

mod asking;
mod nodes;
mod opening;
mod saving;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message as ActixMessage, WrapFuture};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::actor::Hub;
use crate::broker::redis::{
    AlertNote, Append, Control, Entry, Event, Held, Logged, NotAppended, Redis,
};
use crate::domain::history::ReadIds;
use crate::domain::message::{MessageId, Topic};
use crate::domain::time::Now;
use crate::store::postgres::Scribe;
use crate::store::{AlertWrite, Answer, AppendError, Batch, Keyed};
use crate::trace::spans;
use crate::wire::message::Publication;

pub(super) use asking::Question;
pub use nodes::{About, Node};
pub use opening::SharedLog;

/// Ids remembered of what was read: 8 bytes each.
const READ_IDS_MAX: usize = 200_000;

/// What the Hub knows about the log that it shares.
pub struct Shared {
    pub(super) redis: Redis,
    /// What was read of it.
    read: ReadIds,
    /// What comes is the past.
    is_warming: bool,
    /// All that was in the log when this hub came was read: it takes part.
    has_caught_up: bool,
    /// Sessions opened lately, of which nobody else knows yet what their clients were sent first.
    opened: Vec<Uuid>,
    /// How far it is, for those who have to wait until it is further.
    reached: watch::Sender<Reached>,
    /// What writes the log down, where hubs have a database in common.
    scribe: Option<Scribe>,
}

/// How far a hub is in the shared log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reached {
    pub id: MessageId,
    /// The log's past is known.
    pub is_current: bool,
}

impl Shared {
    /// Of a log that was read up to `last`. `reached` is where others look how far the Hub is; `scribe` is told
    /// of news.
    pub fn new(
        redis: Redis,
        last: MessageId,
        reached: watch::Sender<Reached>,
        scribe: Option<Scribe>,
    ) -> Self {
        Self {
            read: ReadIds::new(READ_IDS_MAX, last),
            redis,
            is_warming: false,
            has_caught_up: false,
            opened: Vec::new(),
            reached,
            scribe,
        }
    }
}

/// A batch for the log that all hubs share.
pub(super) struct ForAll {
    pub publications: Vec<Publication>,
    /// One a publication, or nothing at all.
    pub keys: Vec<Option<Keyed>>,
    pub alert: Option<AlertWrite>,
    /// By which right a source was read.
    pub held: Option<Held>,
    pub answer: Answer,
}

/// The log goes on.
#[derive(ActixMessage)]
#[rtype(result = "()")]
pub(super) struct FromLog(Event);

/// Takes what the log says to the Hub, no faster than that handles it.
pub async fn follow(mut events: mpsc::Receiver<Event>, hub: actix::Addr<Hub>) {
    while let Some(event) = events.recv().await {
        if hub.send(FromLog(event)).await.is_err() {
            return;
        }
    }
}

impl Handler<FromLog> for Hub {
    type Result = ();

    fn handle(&mut self, FromLog(event): FromLog, ctx: &mut Context<Self>) {
        let Some(shared) = &mut self.shared else {
            return;
        };
        match event {
            Event::Anew { origin } => {
                shared.is_warming = true;
                shared.read.begin_anew(origin);
                self.state.begin_anew(origin);
            }
            Event::Values(values) => {
                let keep = |value| self.state.keep_value(value);
                values.into_iter().for_each(keep);
            }
            Event::Entries(entries) => {
                let now = self.clock.now();
                if let Some(scribe) = &shared.scribe {
                    scribe.news();
                }
                self.take_entries(entries, now, ctx);
            }
            Event::Current => {
                shared.has_caught_up = true;
                if std::mem::take(&mut shared.is_warming) {
                    self.with(|state, _, outlets| state.tell_anew(outlets));
                }
                // Redis may have lost them, or may lack what happened while it was away.
                self.state.note_all();
                self.save_soon();
            }
        }
        self.tell_reached();
    }
}

impl Hub {
    fn tell_reached(&self) {
        if let Some(shared) = &self.shared {
            shared.reached.send_replace(Reached {
                id: self.state.history().last(),
                is_current: shared.has_caught_up && !shared.is_warming,
            });
        }
    }

    fn take_entries(&mut self, entries: Vec<Entry>, now: Now, ctx: &mut Context<Self>) {
        let Some(shared) = &mut self.shared else {
            return;
        };
        let is_past = shared.is_warming;
        // What was asked before this hub came is nothing to its streams.
        let takes_part = shared.has_caught_up && !is_past;
        entries
            .iter()
            .for_each(|entry| shared.read.push(entry.id()));
        for entry in entries {
            match entry {
                Entry::Message(logged) => self.take_logged(logged, is_past, now),
                Entry::Control(id, control) => {
                    self.state.pass(id);
                    if takes_part {
                        self.take_control(control, ctx);
                    }
                }
            }
        }
    }

    fn take_logged(&mut self, logged: Logged, is_past: bool, now: Now) {
        let (message, trace) = (logged.message.clone(), logged.trace.clone());
        self.record(logged);
        if is_past {
            // Of a log that began anew, followers see again what they have seen: ids tell.
            self.followers.iter().for_each(|it| it.pass_on(&message));
            self.state.remember(message);
        } else {
            let (state, mut outlets) = self.parts(now);
            outlets.trace = trace;
            state.passed_on(message, &mut outlets);
        }
    }

    /// The hub's own history: what it has already it is not given again.
    fn record(&self, logged: Logged) {
        let Some(store) = &self.store else {
            return;
        };
        if logged.message.id <= self.recorded_before {
            return;
        }
        let alert = logged.alert.as_deref();
        let batch = Batch {
            messages: vec![logged.message],
            keys: Vec::new(),
            wall_ms: logged.wall_ms,
            alert: alert.and_then(|text| serde_json::from_str(text).ok()),
            is_copy: true,
            answer: Answer::unheard(),
        };
        // The store itself remembers what it lacks, and says so to operators.
        let _ = store.append(batch);
    }

    fn take_control(&mut self, control: Control, ctx: &mut Context<Self>) {
        match control {
            Control::Epoch | Control::Mark => {}
            Control::Taken { token, by } => {
                let is_mine = self.shared.as_ref().is_some_and(|it| it.redis.node() == by);
                if !is_mine {
                    self.with(|state, _, outlets| state.taken(token, outlets));
                }
            }
            Control::Ask(asked) => self.answer(&asked, ctx),
        }
    }

    /// Hands a batch over to the shared log; it comes back with all others.
    pub(super) fn append_shared(&mut self, redis: &Redis, wanted: ForAll, ctx: &mut Context<Self>) {
        let ForAll {
            publications,
            keys,
            alert,
            held,
            answer,
        } = wanted;
        let counted = publications
            .iter()
            .filter(|it| !matches!(it.topic, Topic::State(_)));
        let priorities: Vec<_> = counted.map(|it| it.priority).collect();
        let topics = publications.iter().map(|it| &it.topic);
        let is_new = |topic: &&Topic| !self.state.history().has(topic);
        let new: Vec<Topic> = topics.filter(is_new).cloned().collect();
        self.new_topics.extend(new.iter().cloned());
        let mut span = spans::append(&answer.trace, publications.len());
        let hexadecimal = |keyed: Keyed| (keyed.key.to_string(), keyed.of.to_string());
        let appended = redis.append(Append {
            publications,
            keys: keys
                .into_iter()
                .map(|keyed| keyed.map(hexadecimal))
                .collect(),
            wall_ms: self.clock.now().wall_ms,
            alert: alert.map(noted),
            held,
            trace: span.context(),
        });
        let appended = appended.into_actor(self).map(move |appended, hub, _| {
            let unknown = || NotAppended::Away("the connection to Redis was lost".to_owned());
            let outcome = appended.unwrap_or_else(|_| Err(unknown()));
            for topic in &new {
                hub.new_topics.remove(topic);
            }
            if outcome.is_ok() {
                hub.state.count_published(&priorities);
            }
            let outcome = outcome.map_err(AppendError::from);
            spans::published(&mut span, &outcome);
            answer.send(outcome);
        });
        ctx.spawn(appended);
    }
}

fn noted(write: AlertWrite) -> AlertNote {
    let change = match &write {
        AlertWrite::New(_) | AlertWrite::Again => None,
        AlertWrite::Change(change) => Some((change.id, change.from.as_str(), change.to.as_str())),
    };
    AlertNote {
        // Cannot fail: strings and numbers.
        text: serde_json::to_string(&write).unwrap_or_default(),
        change,
    }
}

impl From<NotAppended> for AppendError {
    fn from(why: NotAppended) -> Self {
        match why {
            NotAppended::KeyReused => Self::KeyReused,
            NotAppended::AlertChanged => Self::AlertChanged,
            NotAppended::Away(reason) => Self::Failed(reason),
            NotAppended::NotHeld => Self::Failed(why.to_string()),
        }
    }
}
