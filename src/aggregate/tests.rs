//! The counter with a log and hubs that are played.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::counter::Counter;
use super::queue::Queue;
use super::*;
use crate::config::{Overrides, Settings};
use crate::domain::message::{Json, Message, Priority, Retain, StateName, Topic};
use crate::domain::time::Now;
use crate::wire::message::{Publication, encode};

const START: u64 = 1_769_860_800_000;

fn settings(tables: &str) -> Vec<config::Aggregate> {
    let text = format!("[auth]\nsecret = \"0123456789abcdef0123456789abcdef-unit\"\n{tables}");
    let settings = Settings::parse("test", &text, &Default::default(), &Overrides::default());
    settings.unwrap().aggregates
}

fn rules(tables: &str) -> Arc<Rules> {
    Arc::new(Rules::of(&settings(tables), None))
}

const SUM: &str = "[[aggregate]]\nmetric = \"total\"\nfrom = \"sale\"\nop = \"sum\"\nfield = \"/amount\"\n\
    window = \"10s\"\nevery = \"5s\"\ngrace = \"1s\"\nby = [\"/shop\"]\n";

/// What outlives a hub, and what hubs have in common.
#[derive(Default)]
struct World {
    log: Vec<(MessageId, String)>,
    documents: BTreeMap<StateName, Json>,
    /// The hub that tells results.
    holder: &'static str,
    has_others: bool,
}

struct Hub {
    name: &'static str,
    world: Arc<Mutex<World>>,
}

impl Surroundings for Hub {
    fn origin(&self) -> String {
        self.name.to_owned()
    }

    fn has_others(&self) -> bool {
        self.world.lock().unwrap().has_others
    }

    fn has_log(&self) -> bool {
        true
    }

    fn wanted(&self, _: &[MetricName]) {}

    fn turn(&self, _: &MetricName) -> Option<Right> {
        let world = self.world.lock().unwrap();
        (world.holder == self.name).then_some(Right(None))
    }

    fn logged<'a>(&'a self, _: &'a MetricName, after: MessageId) -> BoxFuture<'a, Logged> {
        let world = self.world.lock().unwrap();
        // Two at a time, so that there are pages.
        let values = world.log.iter().filter(|(id, _)| *id > after).take(2);
        let values: Vec<_> = values.cloned().collect();
        let next = values.last().map(|(id, _)| *id);
        async move { Logged { values, next } }.boxed()
    }

    fn kept(&self) -> BoxFuture<'_, Vec<Document>> {
        let kept = documents(&self.world);
        async move { kept }.boxed()
    }
}

fn documents(world: &Arc<Mutex<World>>) -> Vec<Document> {
    let world = world.lock().unwrap();
    let all = world.documents.iter();
    let document = |(name, json): (&StateName, &Json)| Document {
        name: name.clone(),
        json: json.clone(),
    };
    all.map(document).collect()
}

fn keep(world: &Arc<Mutex<World>>, out: Out) {
    if let Out::Keep(Keep {
        documents, heard, ..
    }) = out
    {
        let mut world = world.lock().unwrap();
        for document in documents {
            match document.json.as_str() {
                "null" => _ = world.documents.remove(&document.name),
                _ => _ = world.documents.insert(document.name, document.json),
            }
        }
        heard(true);
    }
}

/// One hub's counter, and what it has told.
struct Played {
    counter: Counter,
    world: Arc<Mutex<World>>,
    told: Vec<Value>,
}

impl Played {
    async fn start(name: &'static str, world: &Arc<Mutex<World>>, tables: &str, now: u64) -> Self {
        let hub = Hub {
            name,
            world: world.clone(),
        };
        let (queue, _) = Queue::new(1000);
        let mut counter = Counter::new(Arc::new(hub), queue);
        let new = counter.follow(rules(tables), now);
        counter.recover(&new).await;
        Self {
            counter,
            world: world.clone(),
            told: Vec::new(),
        }
    }

    /// What is due is told, and what is to be kept is in the world.
    fn tick(&mut self, now: u64) {
        for out in self.counter.tick(now) {
            match out {
                Out::Result(told) => {
                    self.told
                        .push(serde_json::from_str(told.draft.data.as_str()).unwrap());
                }
                out => keep(&self.world, out),
            }
        }
    }

    fn event(&mut self, tables: &str, shop: &str, amount: i32, at: u64, now: u64) {
        let mut observed = Observed::new(rules(tables));
        let value = json!({"shop": shop, "amount": amount}).to_string();
        let at = MessageId::new(at, 0).unwrap();
        observed.add("sale", &value, at).unwrap();
        self.counter.count_events(observed, now);
    }

    fn sums(&self) -> Vec<Value> {
        let sums = self.told.iter().map(|it| it["groups"].clone());
        sums.filter(|groups| *groups != json!({})).collect()
    }
}

fn message(at: u64, sequence: u64, value: &Value) -> Message {
    let topic = Topic::Metric(MetricName::parse("sale").unwrap());
    logged(at, sequence, topic, Json::trusted(value.to_string()))
}

/// What a hub remembers, as all others get it.
fn state(document: Document) -> Message {
    logged(START, 0, Topic::State(document.name), document.json)
}

fn logged(at: u64, sequence: u64, topic: Topic, data: Json) -> Message {
    let publication = Publication {
        topic,
        data,
        priority: Priority::Normal,
        retain: Retain::All,
    };
    let now = Now {
        wall_ms: at,
        mono: Default::default(),
    };
    encode(MessageId::new(at, sequence).unwrap(), publication, now)
}

fn world() -> Arc<Mutex<World>> {
    Arc::new(Mutex::new(World {
        holder: "a",
        ..World::default()
    }))
}

#[actix_rt::test]
async fn a_result_says_what_it_is_of() {
    let world = world();
    let mut hub = Played::start("a", &world, SUM, START).await;
    hub.event(SUM, "north", 5, START + 1, START + 1);
    hub.event(SUM, "south", 7, START + 2, START + 2);
    hub.event(SUM, "north", 1, START + 4999, START + 5500);
    hub.tick(START + 5999);
    assert_eq!(hub.sums(), Vec::<Value>::new(), "its grace is not over");
    hub.told.clear();
    hub.tick(START + 6000);
    let expected = json!({
        "groups": {"north": {"value": 6, "count": 2}, "south": {"value": 7, "count": 1}},
        "count": 3, "late": 0, "ungrouped": 0,
        "windowStart": "2026-01-31T11:59:55.000Z", "windowEnd": "2026-01-31T12:00:05.000Z",
    });
    assert_eq!(hub.told, [expected]);
}

/// What was counted from the log is counted once, whatever was written down and however far the log was read.
#[actix_rt::test]
async fn a_restart_counts_every_message_once() {
    let world = world();
    let mut first = Played::start("a", &world, SUM, START).await;
    let sale = |at: u64, sequence: u64, amount: i32| {
        message(at, sequence, &json!({"shop": "north", "amount": amount}))
    };
    let publish = |hub: Option<&mut Played>, message: &Message| {
        let value = String::from_utf8(message.value().into()).unwrap();
        world.lock().unwrap().log.push((message.id, value));
        if let Some(hub) = hub {
            hub.counter.take(message);
        }
    };
    publish(Some(&mut first), &sale(START + 1, 0, 1));
    publish(Some(&mut first), &sale(START + 1, 1, 2));
    first.tick(START + 5100);
    publish(Some(&mut first), &sale(START + 5200, 0, 4));
    // It ends here: the last message is in the log, and in no document. More come while there is no hub.
    drop(first);
    publish(None, &sale(START + 5300, 0, 8));
    publish(None, &sale(START + 5300, 1, 16));
    let mut second = Played::start("a", &world, SUM, START + 5400).await;
    // What waited is passed on although it was read from the log.
    let again = sale(START + 5300, 1, 16);
    second.counter.take(&again);
    publish(Some(&mut second), &sale(START + 5500, 0, 32));
    second.tick(START + 11_000);
    let north = |value: i32, count: i32| json!({"north": {"value": value, "count": count}});
    assert_eq!(second.sums(), [north(3, 2), north(63, 6)]);
}

/// Also with documents from further back than what the log still has.
#[actix_rt::test]
async fn events_survive_a_restart_as_far_as_they_were_written_down() {
    let world = world();
    let mut first = Played::start("a", &world, SUM, START).await;
    first.event(SUM, "north", 1, START + 10, START + 10);
    first.tick(START + 5000);
    first.event(SUM, "north", 2, START + 5010, START + 5010);
    for last in first.counter.last_words(START + 5020) {
        keep(&world, last);
    }
    let mut second = Played::start("a", &world, SUM, START + 5500).await;
    second.event(SUM, "north", 4, START + 5600, START + 5600);
    second.tick(START + 11_000);
    let north = |value: i32, count: i32| json!({"north": {"value": value, "count": count}});
    assert_eq!(second.sums(), [north(1, 1), north(7, 3)]);
    // Under another rule nothing of it counts.
    let other = SUM.replace("10s", "20s");
    let mut third = Played::start("a", &world, &other, START + 11_000).await;
    third.tick(START + 40_000);
    assert_eq!(third.sums(), Vec::<Value>::new());
}

/// Each is sent a part of the events; one tells, and when it goes the other goes on where it was.
#[actix_rt::test]
async fn hubs_tell_together_what_each_of_them_counted() {
    let world = world();
    world.lock().unwrap().has_others = true;
    let mut a = Played::start("a", &world, SUM, START).await;
    let mut b = Played::start("b", &world, SUM, START).await;
    let exchange = |from: &mut Played, to: &mut Played, now: u64| {
        from.tick(now);
        for document in documents(&world) {
            to.counter.take(&state(document));
        }
    };
    a.event(SUM, "north", 1, START + 10, START + 10);
    b.event(SUM, "north", 2, START + 20, START + 20);
    b.event(SUM, "south", 4, START + 20, START + 20);
    // What both saw in the log counts once.
    let logged = message(START + 30, 0, &json!({"shop": "north", "amount": 8}));
    a.counter.take(&logged);
    b.counter.take(&logged);
    exchange(&mut b, &mut a, START + 6000);
    exchange(&mut a, &mut b, START + 7000);
    let first = json!({"north": {"value": 11, "count": 3}, "south": {"value": 4, "count": 1}});
    assert_eq!(a.sums(), std::slice::from_ref(&first));
    b.event(SUM, "south", 16, START + 7500, START + 7500);
    world.lock().unwrap().holder = "b";
    exchange(&mut a, &mut b, START + 12_000);
    exchange(&mut b, &mut a, START + 12_000);
    let second = json!({"north": {"value": 11, "count": 3}, "south": {"value": 20, "count": 2}});
    assert_eq!(b.sums(), [second]);
    assert_eq!(a.sums(), [first], "each result is told once");
}

#[actix_rt::test]
async fn what_does_not_fit_is_refused_whole_and_counted() {
    let (aggregates, _results) = testing::start(&settings(SUM), 10);
    let batch = |count: usize| {
        let mut observed = Observed::new(aggregates.rules());
        for _ in 0..count {
            let at = MessageId::new(now_ms(), 0).unwrap();
            observed.add("sale", "{}", at).unwrap();
        }
        observed
    };
    assert_eq!(aggregates.take(batch(11)), Err(Full));
    assert_eq!(aggregates.take(batch(10)), Ok(()));
    let totals = aggregates.totals();
    assert_eq!((totals.events, totals.refused), (10, 11));
    aggregates.stop().now_or_never();
}

#[actix_rt::test]
async fn a_reload_keeps_what_stays_the_same() {
    let world = world();
    let mut hub = Played::start("a", &world, SUM, START).await;
    hub.event(SUM, "north", 1, START + 10, START + 10);
    let more = format!(
        "{SUM}[[aggregate]]\nmetric = \"many\"\nfrom = \"sale\"\nop = \"count\"\nwindow = \"5s\"\ngrace = \"1s\"\n"
    );
    let new = hub.counter.follow(rules(&more), START + 20);
    assert_eq!(
        new.iter().map(MetricName::as_str).collect::<Vec<_>>(),
        ["many"]
    );
    hub.event(&more, "north", 2, START + 30, START + 30);
    hub.tick(START + 6000);
    let values: Vec<_> = hub
        .told
        .iter()
        .map(|it| (&it["value"], &it["groups"]))
        .collect();
    assert!(values.contains(&(&json!(1), &Value::Null)), "{values:?}");
    let both = json!({"north": {"value": 3, "count": 2}});
    assert!(values.contains(&(&Value::Null, &both)), "{values:?}");
    // Another window is another rule.
    let longer = SUM.replace("10s", "15s");
    let new = hub.counter.follow(rules(&longer), START + 6100);
    assert_eq!(new.len(), 1);
}

/// What is long past is forgotten: of hubs that are gone, and of aggregates that are none any more.
#[actix_rt::test]
async fn nothing_is_kept_that_nobody_needs() {
    let world = world();
    let mut gone = Played::start("gone", &world, SUM, START).await;
    gone.event(SUM, "north", 1, START + 10, START + 10);
    gone.tick(START + 6000);
    let mut hub = Played::start("a", &world, SUM, START + 6000).await;
    assert!(
        hub.counter.tidy(START + 6000).await.is_empty(),
        "it is needed"
    );
    hub.tick(START + 6500);
    hub.tick(START + 21_000);
    let forget = async |hub: &mut Played, now| {
        for document in hub.counter.tidy(now).await {
            let heard = Box::new(|_| {});
            let right = Right(None);
            let documents = vec![document];
            keep(
                &world,
                Out::Keep(Keep {
                    documents,
                    right,
                    heard,
                }),
            );
        }
    };
    forget(&mut hub, START + 21_000).await;
    let names: Vec<_> = documents(&world)
        .into_iter()
        .map(|it| it.name.to_string())
        .collect();
    assert_eq!(names, ["aggregate/total/log/head"]);
    hub.counter.follow(Arc::default(), START + 22_000);
    forget(&mut hub, START + 22_000).await;
    assert_eq!(documents(&world).len(), 1);
    forget(&mut hub, START + 9 * 24 * 3_600_000).await;
    assert_eq!(documents(&world).len(), 0);
}
