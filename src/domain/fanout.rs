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
        let Self {
            entries, routes, ..
        } = self;
        // Over SSE and over WebSocket, whole and as what changes.
        let mut encoded: [[Option<Rc<Outgoing>>; 2]; 2] = Default::default();
        let base = message.before.get().map(|(id, _)| *id);
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
                let pushed =
                    outbox.push_live(message.id, || encoded.get_or_insert_with(encode).clone());
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
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::rc::Rc;
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::message::Priority;
    use crate::domain::outbox::Limits;
    use crate::domain::testing::{id, message, metric, own_metric, subscription, user};

    struct TestOutlet(ConnectionKey, Rc<RefCell<Outbox>>);

    impl Outlet for TestOutlet {
        fn key(&self) -> ConnectionKey {
            self.0
        }

        fn transport(&self) -> Transport {
            Transport::Sse
        }

        fn with<R>(&self, act: impl FnOnce(&mut Outbox) -> R) -> R {
            act(&mut self.1.borrow_mut())
        }

        fn takes_patches(&self) -> bool {
            false
        }

        fn encode(&self, message: &Message, _: bool) -> Outgoing {
            Outgoing {
                priority: Some(message.priority),
                ..Outgoing::at(message.id, Bytes::from_static(b"a message"))
            }
        }
    }

    #[derive(Default)]
    struct Worker {
        fanout: Fanout<TestOutlet>,
        outboxes: HashMap<u64, Rc<RefCell<Outbox>>>,
    }

    fn key(number: u64) -> ConnectionKey {
        ConnectionKey::new(0, number)
    }

    impl Worker {
        fn attach(&mut self, number: u64, name: &str, patterns: &[&str], through: u64) {
            let limits = Limits {
                messages_max: 2,
                bytes_max: 1000,
            };
            let outbox = Rc::new(RefCell::new(Outbox::new(limits, Arc::default())));
            self.outboxes.insert(number, outbox.clone());
            let entry = Entry {
                outlet: TestOutlet(key(number), outbox),
                user: user(name),
                subscription: subscription(patterns),
            };
            self.fanout.attach(entry, Vec::new(), id(through));
        }

        /// The ids that the driver of a connection takes.
        fn take(&self, number: u64) -> Vec<u64> {
            let mut outbox = self.outboxes[&number].borrow_mut();
            std::iter::from_fn(|| outbox.take())
                .filter_map(|piece| Some(piece.position?.millis()))
                .collect()
        }

        fn deliver(&mut self, n: u64, topic: Topic) -> Vec<(u64, u64)> {
            let mut lagging = Vec::new();
            self.fanout
                .deliver(&message(n, topic, Priority::Normal), |key, became| {
                    if let Pushed::Overflow(position) = became {
                        lagging.push((key.number(), position.millis()));
                    }
                });
            lagging
        }
    }

    #[test]
    fn a_connection_gets_what_comes_after_its_opening_and_what_is_for_it() {
        let mut worker = Worker::default();
        worker.attach(1, "ann", &["a", "a.**"], 10);
        worker.attach(2, "bob", &[], 10);
        for (n, topic, to_ann, to_bob) in [
            (10, metric("a"), false, false),
            (11, metric("a"), true, true),
            (12, metric("b"), false, true),
            (13, own_metric("a", "ann"), true, false),
            (14, own_metric("b", "ann"), false, false),
            (15, Topic::Alerts, true, true),
            (16, Topic::Test(user("bob"), Transport::Sse), false, true),
            (
                17,
                Topic::Test(user("bob"), Transport::Websocket),
                false,
                false,
            ),
        ] {
            assert_eq!(worker.deliver(n, topic.clone()), []);
            let expected = |is| if is { vec![n] } else { vec![] };
            assert_eq!(worker.take(1), expected(to_ann), "{topic:?}");
            assert_eq!(worker.take(2), expected(to_bob), "{topic:?}");
            assert_eq!(worker.fanout.through(), id(n));
        }
    }

    #[test]
    fn a_full_queue_is_reported_once_and_holds_nobody_else_up() {
        let mut worker = Worker::default();
        worker.attach(1, "ann", &["a", "*"], 0);
        worker.attach(2, "bob", &[], 0);
        let reports: Vec<_> = (1..=4)
            .map(|n| {
                assert_eq!(worker.take(2).len(), usize::from(n > 1));
                worker.deliver(n, metric("a"))
            })
            .collect();
        assert_eq!(reports, [vec![], vec![], vec![(1, 2)], vec![]]);
        assert_eq!((worker.take(1), worker.take(2)), (vec![1, 2], vec![4]));
    }

    #[test]
    fn a_place_that_is_free_again_carries_nothing_over() {
        let mut worker = Worker::default();
        worker.attach(1, "ann", &[], 0);
        assert!(worker.fanout.detach(key(1)).is_some());
        assert!(worker.fanout.detach(key(1)).is_none());
        worker.attach(2, "bob", &["b"], 0);
        assert_eq!(worker.fanout.len(), 1);
        worker.deliver(1, metric("a"));
        worker.deliver(2, own_metric("b", "ann"));
        worker.deliver(3, metric("b"));
        assert_eq!((worker.take(1), worker.take(2)), (vec![], vec![3]));
        assert!(worker.fanout.get(key(1)).is_none());
    }

    proptest! {
        #[test]
        fn everybody_gets_exactly_what_its_subscription_admits(
            steps in prop::collection::vec(
                (0..4u64, 0..6usize, prop::collection::vec(prop::sample::select(vec!["a", "b", "a.b", "a.*", "*", "**"]), 0..3)),
                1..80,
            )
        ) {
            let mut worker = Worker::default();
            let mut model: HashMap<u64, Subscription> = HashMap::new();
            for (n, (number, what, patterns)) in (1u64..).zip(steps) {
                let new = subscription(&patterns);
                match (what, model.contains_key(&number)) {
                    (0, false) => {
                        worker.attach(number, "ann", &patterns, n);
                        model.insert(number, new);
                    }
                    (0, true) => {
                        worker.fanout.detach(key(number));
                        model.remove(&number);
                    }
                    (1, _) => {
                        worker.fanout.resubscribe(key(number), new.clone());
                        model.entry(number).and_modify(|subscription| *subscription = new);
                    }
                    _ => {
                        let name = ["a", "b", "a.b", "c"][number as usize];
                        let topic = if what < 4 { metric(name) } else { own_metric(name, "ann") };
                        let name = topic.metric().unwrap().clone();
                        worker.deliver(n, topic);
                        let got: BTreeSet<u64> = model.keys().copied().filter(|number| worker.take(*number) == [n]).collect();
                        let wanted = model.iter().filter(|(_, subscription)| subscription.admits(&name).is_some());
                        prop_assert_eq!(got, wanted.map(|(number, _)| *number).collect::<BTreeSet<_>>());
                    }
                }
                prop_assert_eq!(worker.fanout.len(), model.len());
            }
        }
    }
}
