//! A scenario as it runs.

use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::checker::{Rule, Violation, check};
use crate::clients::Client;
use crate::failures::Failures;
use crate::faults::Weather;
use crate::hubs::Hubs;
use crate::publishers::{Desk, Publisher};
use crate::ran::Ran;
use crate::record::Event::Refused;
use crate::record::{Event, Millis, Record};
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
    failures: Failures,
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
            failures: Failures::since(began),
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
                self.failures.happens();
                self.hubs.kill(hub).await;
                self.failures.happens();
            }
            Step::StopHub(hub) => {
                self.failures.happens();
                if let Err(text) = self.hubs.stop(hub).await {
                    self.is_wrong(text);
                }
            }
            Step::StartHub(hub) => self.hubs.start_again(hub),
            Step::StartHubEmpty(hub) => {
                self.hubs.forget(hub);
                self.hubs.start_again(hub);
            }
            Step::Silence => self.publishers.iter().for_each(Publisher::stop),
            Step::FreezeHub(hub) => {
                self.failures.begins(format!("hub {hub}"));
                self.hubs.signal(hub, Signal::STOP);
            }
            Step::ThawHub(hub) => {
                self.hubs.signal(hub, Signal::CONT);
                self.failures.ends(&format!("hub {hub}"));
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
                self.failures.ends("redis");
            }
            Step::ShowOnly(hub, node) => {
                self.failures.begins(format!("view {hub}"));
                self.servers.show_only(hub, Some(node));
            }
            Step::GoTo(client, hub) => self.clients[client].go_to(hub, Duration::ZERO),
            Step::Away(client, hub, time) => self.clients[client].go_to(hub, time),
            Step::Sleep(client, time) => self.clients[client].sleep(time),
            Step::ResumeTwice(client, hubs) => self.resume_twice(client, hubs),
        }
    }

    async fn take_redis(&mut self, step: Step) {
        match step {
            Step::StartRedis => self.servers.start_first(false).await,
            Step::StartRedisEmpty => self.servers.start_first(true).await,
            Step::ThawRedis => self.servers.freeze_first(false).await,
            Step::Well(command) => self.servers.tell_first(command).await,
            _ => {
                self.failures.begins("redis");
                match step {
                    Step::KillRedis => self.servers.kill_first().await,
                    Step::FreezeRedis => self.servers.freeze_first(true).await,
                    Step::Ill(command) => self.servers.tell_first(command).await,
                    _ => unreachable!("{step:?}"),
                }
                return;
            }
        }
        self.failures.ends("redis");
    }

    fn link(&mut self, hub: usize, weather: Weather) {
        let name = format!("link {hub}");
        match weather {
            Weather::Pass => self.failures.ends(&name),
            _ => self.failures.begins(name),
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
        self.failures.end_all();
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
        self.record.ended = self.failures.now();
        self.record.failures = self.failures.all().to_vec();
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
