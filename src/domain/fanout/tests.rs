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
