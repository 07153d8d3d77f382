//! A scenario as it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::checker::{Rule, Violation, check};
use crate::clients::Client;
use crate::faults::Weather;
use crate::hubs::Hubs;
use crate::publishers::{Desk, Publisher};
use crate::record::Event::{self, Broken, Dropped, Message, Opened, Refused};
use crate::record::{ClientLog, Millis, Record};
use crate::scenario::{Scenario, Step};
use crate::servers::Servers;
use crate::support::id::Id;

/// How long everybody may take to have everything once all is well.
const QUIET_WITHIN: Duration = Duration::from_secs(10);

/// Whose messages are the last ones, one through each hub.
const LAST_BY: u64 = 9000;

pub struct World {
    scenario: Scenario,
    pub servers: Servers,
    pub hubs: Hubs,
    clients: Vec<Client>,
    publishers: Vec<Publisher>,
    began: Instant,
    /// What is broken now, and since when.
    broken: BTreeMap<String, Millis>,
    record: Record,
    violations: Vec<Violation>,
}

impl World {
    pub async fn start(scenario: Scenario, seed: u64) -> Self {
        let servers = Servers::start(scenario.topology, scenario.hubs).await;
        let urls: Vec<String> = (0..scenario.hubs).map(|hub| servers.url(hub)).collect();
        let mut hubs = Hubs::start(&urls, &scenario.settings).await;
        hubs.are_ready()
            .await
            .expect("hubs that start where nothing is wrong");
        for hub in &scenario.absent {
            hubs.kill(*hub).await;
        }
        let (began, addresses) = (Instant::now(), hubs.addresses());
        let client = |spec: &_| Client::start(Clone::clone(spec), addresses.clone(), began);
        let publisher =
            |spec: &_| Publisher::start(Clone::clone(spec), addresses.clone(), began, seed);
        Self {
            clients: scenario.clients.iter().map(client).collect(),
            publishers: scenario.publishers.iter().map(publisher).collect(),
            scenario,
            servers,
            hubs,
            began,
            broken: BTreeMap::new(),
            record: Record::default(),
            violations: Vec::new(),
        }
    }

    /// Goes through the steps, mends everything, waits until everybody has everything, and judges.
    pub async fn run(mut self) -> Ran {
        for (at, step) in self.scenario.steps.clone() {
            sleep_until(self.began + Duration::from_millis(at)).await;
            self.take(step).await;
        }
        sleep_until(self.began + Duration::from_millis(self.scenario.length)).await;
        self.mend().await;
        self.end().await;
        self.judge()
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::KillHub(hub) => {
                self.for_a_moment();
                self.hubs.kill(hub).await;
                self.for_a_moment();
            }
            Step::StopHub(hub) => {
                self.for_a_moment();
                if let Err(text) = self.hubs.stop(hub).await {
                    self.is_wrong(text);
                }
            }
            Step::StartHub(hub) => self.hubs.start_again(hub),
            Step::FreezeHub(hub) => {
                self.breaks(format!("hub {hub}"));
                self.hubs.signal(hub, Signal::STOP);
            }
            Step::ThawHub(hub) => {
                self.hubs.signal(hub, Signal::CONT);
                self.is_mended(&format!("hub {hub}"));
            }
            Step::Link(hub, weather) => self.link(hub, weather),
            Step::AllLinks(weather) => (0..self.hubs.len()).for_each(|hub| self.link(hub, weather)),
            Step::CutLink(hub) => self.servers.cut_link(hub),
            Step::CutAllLinks => (0..self.hubs.len()).for_each(|hub| self.servers.cut_link(hub)),
            Step::KillRedis
            | Step::StartRedis
            | Step::StartRedisEmpty
            | Step::FreezeRedis
            | Step::ThawRedis
            | Step::Ill(_)
            | Step::Well(_) => self.take_redis(step).await,
            Step::Inner(weather) => self.servers.set_inner(weather),
            Step::LedBy(node) => {
                self.servers.led_by(node).await;
                self.is_mended("redis");
            }
            Step::ShowOnly(hub, node) => {
                self.breaks(format!("view {hub}"));
                self.servers.show_only(hub, Some(node));
            }
            Step::GoTo(client, hub) => self.clients[client].go_to(hub, Duration::ZERO),
            Step::Away(client, hub, time) => self.clients[client].go_to(hub, time),
            Step::Sleep(client, time) => self.clients[client].sleep(time),
            Step::ResumeTwice(client, hubs) => self.resume_twice(client, hubs),
            Step::Leave(client) => {
                self.clients[client].vanish();
            }
        }
    }

    async fn take_redis(&mut self, step: Step) {
        match step {
            Step::StartRedis => self.servers.start_first(false).await,
            Step::StartRedisEmpty => self.servers.start_first(true).await,
            Step::ThawRedis => self.servers.freeze_first(false).await,
            Step::Well(command) => self.servers.tell_first(command).await,
            _ => {
                self.breaks("redis".into());
                match step {
                    Step::KillRedis => self.servers.kill_first().await,
                    Step::FreezeRedis => self.servers.freeze_first(true).await,
                    Step::Ill(command) => self.servers.tell_first(command).await,
                    _ => unreachable!("{step:?}"),
                }
                return;
            }
        }
        self.is_mended("redis");
    }

    fn link(&mut self, hub: usize, weather: Weather) {
        let name = format!("link {hub}");
        match weather {
            Weather::Pass => self.is_mended(&name),
            _ => self.breaks(name),
        }
        self.servers.set_link(hub, weather);
    }

    /// A client that is cloned, as by a browser that duplicates a tab: both know the same.
    fn resume_twice(&mut self, client: usize, hubs: [usize; 2]) {
        let (token, position) = self.clients[client].vanish();
        let spec = self.clients[client].spec().clone();
        for hub in hubs {
            let name = format!("{} at {hub}", spec.name);
            let spec = crate::clients::Spec {
                name,
                hub,
                ..spec.clone()
            };
            let addresses = self.hubs.addresses();
            let again = Client::resuming(spec, addresses, self.began, token.clone(), position);
            self.clients.push(again);
        }
    }

    // Failures ------------------------------------------------------------------------------------

    fn now(&self) -> Millis {
        u64::try_from(self.began.elapsed().as_millis()).expect("a short time")
    }

    fn breaks(&mut self, what: String) {
        let now = self.now();
        self.broken.entry(what).or_insert(now);
    }

    fn is_mended(&mut self, what: &str) {
        if let Some(since) = self.broken.remove(what) {
            self.record.failures.push((since, self.now()));
        }
    }

    fn for_a_moment(&mut self) {
        let now = self.now();
        self.record.failures.push((now, now));
    }

    fn is_wrong(&mut self, text: String) {
        self.violations.push(Violation {
            rule: Rule::Mended,
            text,
        });
    }

    // The end -------------------------------------------------------------------------------------

    async fn mend(&mut self) {
        self.servers.mend().await;
        for hub in 0..self.hubs.len() {
            self.hubs.signal(hub, Signal::CONT);
        }
        self.hubs.start_all_again();
        let now = self.now();
        let broken = std::mem::take(&mut self.broken);
        self.record
            .failures
            .extend(broken.into_values().map(|since| (since, now)));
        if let Err(text) = self.hubs.are_ready().await {
            self.is_wrong(text);
        }
    }

    async fn end(&mut self) {
        sleep(Duration::from_millis(300)).await;
        self.publishers.iter().for_each(Publisher::stop);
        for publisher in std::mem::take(&mut self.publishers) {
            self.record.publishes.extend(publisher.published().await);
        }
        let last = self.say_the_last().await;
        let unanswered = self
            .record
            .publishes
            .iter()
            .filter(|it| it.keyed && it.acknowledged.is_empty());
        let unanswered: Vec<_> = unanswered.map(|it| it.piece).collect();
        if !unanswered.is_empty() {
            self.is_wrong(format!("tried in vain until the end: {unanswered:?}"));
        }
        self.everybody_is_at(last).await;
        self.record.kept = self.servers.kept().await;
    }

    /// An alert through each hub, which is for everybody.
    async fn say_the_last(&mut self) -> Option<Id> {
        let (_, stopped) = watch::channel(true);
        for hub in 0..self.hubs.len() {
            let by = LAST_BY + hub as u64;
            let only: std::sync::Arc<[_]> = [self.hubs.addresses()[hub]].into();
            let mut desk = Desk::new(by, 0, only, self.began, stopped.clone());
            let draft = desk.draft();
            self.record
                .publishes
                .extend(desk.tell_until_answered(vec![draft], false).await);
        }
        self.record.publishes.iter().filter_map(|it| it.id()).max()
    }

    async fn everybody_is_at(&mut self, last: Option<Id>) {
        let began = Instant::now();
        let is_late =
            |it: &&Client| !it.is_done() && it.log().position() < last && !self.is_full(it);
        while self.clients.iter().any(|it| is_late(&it)) && began.elapsed() < QUIET_WITHIN {
            sleep(Duration::from_millis(20)).await;
        }
        let late = self.clients.iter().filter(is_late).map(Client::log);
        let late: Vec<_> = late
            .map(|it| format!("{} at {:?}", it.name, it.position()))
            .collect();
        if !late.is_empty() {
            self.is_wrong(format!("the last message is {last:?}, but {late:?}"));
        }
        // What comes in vain comes now.
        sleep(Duration::from_millis(200)).await;
    }

    /// It is rightly refused: its user has all the connections that are allowed.
    fn is_full(&self, client: &Client) -> bool {
        let log = client.log();
        let refused = |(_, event): &(Millis, Event)| matches!(event, Refused { status: 429, .. });
        let live = self
            .clients
            .iter()
            .map(Client::log)
            .filter(|it| it.user == log.user && it.is_live());
        log.events.iter().rev().take(2).any(refused)
            && live.count() >= self.scenario.promise.connections_max
    }

    fn judge(mut self) -> Ran {
        self.record.ended = self.now();
        self.record.clients = self.clients.iter().map(Client::log).collect();
        let mut violations = self.violations;
        violations.extend(check(&self.record, self.scenario.promise));
        let logs = self.hubs.logs();
        for (nth, _) in logs
            .iter()
            .enumerate()
            .filter(|(_, log)| log.contains("panicked at"))
        {
            let text = format!("hub {nth} has panicked");
            violations.push(Violation {
                rule: Rule::Mended,
                text,
            });
        }
        Ran {
            record: self.record,
            violations,
            hub_logs: logs,
            server_logs: self.servers.logs(),
        }
    }
}

/// What came of it.
pub struct Ran {
    pub record: Record,
    pub violations: Vec<Violation>,
    pub hub_logs: Vec<String>,
    pub server_logs: String,
}

impl Ran {
    /// What there was to judge, on one line.
    pub fn summary(&self) -> String {
        let count = |is_it: fn(&Event) -> bool| {
            let events = self.record.clients.iter().flat_map(|it| &it.events);
            events.filter(|(_, event)| is_it(event)).count()
        };
        let publishes = &self.record.publishes;
        let acknowledged = publishes.iter().filter(|it| it.id().is_some()).count();
        format!(
            "{acknowledged} of {} acknowledged, {} received, {} broken, {} refused, {} resumed, {} anew, {} told dropped, \
             {} ms",
            publishes.len(),
            count(|it| matches!(it, Message { .. })),
            count(|it| matches!(it, Broken(_))),
            count(|it| matches!(it, Refused { .. })),
            count(|it| matches!(it, Opened(opened) if opened.resumed)),
            count(|it| matches!(it, Opened(opened) if !opened.resumed)),
            self.told(),
            self.record.ended,
        )
    }

    /// Messages that clients were told they will not get.
    fn told(&self) -> u64 {
        let events = self.record.clients.iter().flat_map(|it| &it.events);
        let told = events.map(|(_, event)| match event {
            Opened(opened) => opened.dropped + opened.conflated,
            Dropped { dropped, conflated } => dropped + conflated,
            _ => 0,
        });
        told.sum()
    }

    /// A run in which nobody published or received proves nothing.
    pub fn saw_something(&self) -> bool {
        let has_some = |it: &ClientLog| {
            it.events
                .iter()
                .filter(|(_, event)| event.id().is_some())
                .count()
                > 5
        };
        self.record
            .publishes
            .iter()
            .filter(|it| it.id().is_some())
            .count()
            > 20
            && self.record.clients.iter().any(has_some)
    }
}
