//! One worker's share of the fan-out, as a plain value: its connections and their routes.
//!
//! The worker hears of everything in one order: an opening, then the live messages after it. So
//! nothing can fall between a snapshot and the first live message, and no lock is needed.

use std::collections::HashMap;

use super::message::{Message, MessageId, Transport, UserId};
use super::outbox::{Outbox, Outgoing, Pushed};
use super::pattern::Subscription;
use super::routing::{Routes, Slot, admits_own};

/// Names a connection, the same in the hub and on its worker. Never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey {
    /// The worker that the connection lives on.
    pub worker: u16,
    pub number: u64,
}

/// What the fan-out needs of a connection.
pub trait Outlet {
    /// Lets `act` at the connection's outbox and then wakes its driver if there is something new.
    fn with<R>(&self, act: impl FnOnce(&mut Outbox) -> R) -> R;

    /// The message in the bytes of this connection's transport.
    fn encode(&self, message: &Message) -> Outgoing;
}

/// What the worker knows of one connection.
#[derive(Debug)]
pub struct Entry<O> {
    pub key: ConnectionKey,
    pub outlet: O,
    pub user: UserId,
    pub transport: Transport,
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
        self.by_key.insert(entry.key, slot);
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
    }

    /// Hands a message to every connection it is for. `overflowed` hears of each connection that
    /// is lagging from now on, with its position.
    pub fn deliver(
        &mut self,
        message: &Message,
        mut overflowed: impl FnMut(ConnectionKey, MessageId),
    ) {
        let Self {
            entries, routes, ..
        } = self;
        routes.visit(&message.topic, |slot| {
            let Some(entry) = &entries[slot as usize] else {
                return;
            };
            if !admits_own(&message.topic, entry.transport, &entry.subscription) {
                return;
            }
            let pushed = entry
                .outlet
                .with(|outbox| outbox.push_live(message.id, || entry.outlet.encode(message)));
            if let Pushed::Overflow(position) = pushed {
                overflowed(entry.key, position);
            }
        });
        self.through = message.id;
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
