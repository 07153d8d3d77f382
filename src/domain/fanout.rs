//! One worker's share of the fan-out, as a plain value: its connections and their routes.
//!
//! The worker hears of everything in one order: an opening, then the live messages after it. So
//! nothing can fall between a snapshot and the first live message, and no lock is needed.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use indexmap::IndexSet;

use super::message::{Message, MessageId, Topic, Transport, UserId};
use super::outbox::{Outbox, Outgoing, Pushed};
use super::pattern::MetricName;
use super::routing::{Routes, Slot, admits};
use super::subscription::Subscription;
use super::view::View;

/// Names a connection, the same in the hub and on its worker. Never used twice in a process.
///
/// Packed into 64 bits, 16 for the worker and 48 for the number, because tables of all connections are
/// made of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey(u64);

impl ConnectionKey {
    const NUMBER_BITS: u32 = 48;
    const NUMBER_MAX: u64 = (1 << Self::NUMBER_BITS) - 1;

    /// The connection of this number, up to 2^48, on a worker.
    pub fn new(worker: u16, number: u64) -> Self {
        debug_assert!(number <= Self::NUMBER_MAX, "a number too many");
        Self(u64::from(worker) << Self::NUMBER_BITS | number & Self::NUMBER_MAX)
    }

    /// The worker that the connection lives on.
    pub fn worker(self) -> u16 {
        (self.0 >> Self::NUMBER_BITS) as u16
    }

    pub fn number(self) -> u64 {
        self.0 & Self::NUMBER_MAX
    }
}

impl fmt::Debug for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionKey({}-{})", self.worker(), self.number())
    }
}

/// What the fan-out needs of a connection.
pub trait Outlet {
    fn key(&self) -> ConnectionKey;

    fn transport(&self) -> Transport;

    /// Lets `act` at the connection's outbox and then wakes its driver if there is something new.
    fn with<R>(&self, act: impl FnOnce(&mut Outbox) -> R) -> R;

    /// Whether its client can do with what changes.
    fn takes_patches(&self) -> bool;

    /// The message in the bytes of this connection's transport, or what it changes, where that can be said.
    fn encode(&self, message: &Message, as_patch: bool) -> Outgoing;
}

/// What the worker knows of one connection.
#[derive(Debug)]
pub struct Entry<O> {
    pub outlet: O,
    pub user: UserId,
    pub subscription: Subscription,
}

#[derive(Debug)]
pub struct Fanout<O> {
    entries: Vec<Option<Entry<O>>>,
    free: Vec<Slot>,
    by_key: HashMap<ConnectionKey, Slot>,
    routes: Routes,
    through: MessageId,
}

impl<O: Outlet> Default for Fanout<O> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            routes: Routes::default(),
            through: MessageId::ZERO,
        }
    }
}

impl<O: Outlet> Fanout<O> {
    /// Takes a connection in: its opening is sent, and live messages after `through` follow.
    pub fn attach(&mut self, entry: Entry<O>, opening: Vec<Outgoing>, through: MessageId) {
        entry
            .outlet
            .with(|outbox| outbox.catch_up(opening, through));
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            (self.entries.len() - 1) as Slot
        });
        self.routes.add(slot, &entry.user, &entry.subscription);
        self.by_key.insert(entry.outlet.key(), slot);
        self.entries[slot as usize] = Some(entry);
        self.through = self.through.max(through);
    }

    /// Lets a connection go.
    pub fn detach(&mut self, key: ConnectionKey) -> Option<Entry<O>> {
        let slot = self.by_key.remove(&key)?;
        let entry = self.entries[slot as usize].take()?;
        self.routes.remove(slot, &entry.user, &entry.subscription);
        self.free.push(slot);
        Some(entry)
    }

    pub fn get(&self, key: ConnectionKey) -> Option<&Entry<O>> {
        self.entries[*self.by_key.get(&key)? as usize].as_ref()
    }

    pub fn resubscribe(&mut self, key: ConnectionKey, subscription: Subscription) {
        let Some(&slot) = self.by_key.get(&key) else {
            return;
        };
        let Some(entry) = self.entries[slot as usize].as_mut() else {
            return;
        };
        self.routes.change(slot, &entry.subscription, &subscription);
        entry.subscription = subscription;
        // What it asks for anew it may not have had before.
        entry.outlet.with(|outbox| outbox.begin_whole(self.through));
    }

    /// Hands a message to every connection it is for. `became` hears of each what that made of it.
    pub fn deliver(&mut self, message: &Message, became: impl FnMut(ConnectionKey, Pushed)) {
        self.hand_out(message, None, became);
        self.through = message.id;
    }

    /// The same to those who see it by `view`. Before the message itself: then all of this id is done.
    pub fn deliver_as(
        &mut self,
        view: &View,
        message: &Message,
        became: impl FnMut(ConnectionKey, Pushed),
    ) {
        self.hand_out(message, Some(view), became);
    }

    fn hand_out(
        &mut self,
        message: &Message,
        view: Option<&View>,
        mut became: impl FnMut(ConnectionKey, Pushed),
    ) {
        let base = message.before.get().map(|(id, _)| *id);
        if base.is_some() || matches!(message.topic, Topic::UserMetric(..)) {
            return self.hand_out_in_parts(message, view, base, became);
        }
        let Self {
            entries, routes, ..
        } = self;
        let (mut sse, mut websocket) = (None, None);
        routes.visit(&message.topic, view, |slot| {
            let Some(entry) = &entries[slot as usize] else {
                return;
            };
            let transport = entry.outlet.transport();
            if !admits(&message.topic, view, transport, &entry.subscription) {
                return;
            }
            let encoded = match transport {
                Transport::Sse => &mut sse,
                Transport::Websocket => &mut websocket,
            };
            let encode = || Rc::new(entry.outlet.encode(message, false));
            let piece = || encoded.get_or_insert_with(encode).clone();
            let pushed = entry
                .outlet
                .with(|outbox| outbox.push_live(message.id, piece));
            became(entry.outlet.key(), pushed);
        });
    }

    /// The same where some may be sent what it changes in `base`, or it is some user's own; apart, since nobody else
    /// is to pay for it.
    fn hand_out_in_parts(
        &mut self,
        message: &Message,
        view: Option<&View>,
        base: Option<MessageId>,
        mut became: impl FnMut(ConnectionKey, Pushed),
    ) {
        let Self {
            entries, routes, ..
        } = self;
        // Over SSE and over WebSocket, whole and as what changes.
        let mut encoded: [[Option<Rc<Outgoing>>; 2]; 2] = Default::default();
        routes.visit(&message.topic, view, |slot| {
            let Some(entry) = &entries[slot as usize] else {
                return;
            };
            let transport = entry.outlet.transport();
            if !admits(&message.topic, view, transport, &entry.subscription) {
                return;
            }
            let base = base.filter(|_| entry.outlet.takes_patches());
            let pushed = entry.outlet.with(|outbox| {
                let as_patch = base.is_some_and(|base| outbox.has_had(base));
                let encoded = &mut encoded[transport as usize][usize::from(as_patch)];
                let encode = || Rc::new(entry.outlet.encode(message, as_patch));
                let piece = || encoded.get_or_insert_with(encode).clone();
                let pushed = outbox.push_live(message.id, piece);
                if let Topic::UserMetric(..) = &message.topic {
                    // To the client it is the metric's value, whosever it is.
                    outbox.begin_whole(message.id);
                }
                pushed
            });
            became(entry.outlet.key(), pushed);
        });
    }

    /// Says something to everybody who gets the metric, in whatever form.
    pub fn announce(&mut self, name: &MetricName, piece: impl Fn(Transport) -> Rc<Outgoing>) {
        let mut slots = IndexSet::new();
        self.routes.visit_all(name, |slot| _ = slots.insert(slot));
        let entries = slots
            .into_iter()
            .filter_map(|slot| self.entries[slot as usize].as_ref());
        for entry in entries {
            let piece = piece(entry.outlet.transport());
            entry.outlet.with(|outbox| outbox.push(piece));
        }
    }

    /// Everything up to here has been fanned out on this worker.
    pub fn through(&self) -> MessageId {
        self.through
    }

    /// Every connection.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<O>> {
        self.entries.iter().flatten()
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests;
