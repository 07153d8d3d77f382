//! Several hubs, each a process on a port that stays its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use crate::scenario::LEASE;
use crate::support::hub::Hub;
use crate::support::ports::{free, loopback};

/// Everything that is seconds in life is parts of one here, and nothing is dropped unless a scenario
/// wants that.
const SETTINGS: &str = "
[http]
drain_timeout_ms = 3000
[realtime]
heartbeat_interval_ms = 300
cleanup_interval_ms = 500
buffer_flush_interval_ms = 200
sse_retry_ms = 100
reconnect_spread_min_ms = 20
reconnect_spread_max_ms = 300
[websocket]
ping_interval_ms = 1000
[sessions]
connections_per_user_max = 10
backlog_messages_max = 3000
";

/// How long all may take to be well again.
const MENDED_WITHIN: Duration = Duration::from_secs(12);

pub struct Hubs {
    members: Vec<Member>,
    addresses: Arc<[SocketAddr]>,
    client: Client,
}

struct Member {
    /// Gone only while it is started again.
    hub: Option<Hub>,
    is_up: bool,
}

impl Hubs {
    /// One hub for each URL of a Redis; none where that is empty. `settings` go over the usual ones.
    pub async fn start(urls: &[String], settings: &str) -> Self {
        let addresses: Arc<[_]> = urls.iter().map(|_| loopback(free())).collect();
        let mut settings = merged(SETTINGS, settings);
        if urls.iter().any(|url| !url.is_empty()) {
            settings = merged(&format!("[redis]\nlease_ms = {LEASE}\n"), &settings);
        }
        let member = |(url, address): (&String, &SocketAddr)| {
            let port = address.port().to_string();
            let hub = Hub::with()
                .env("PORT", &port)
                .env("REDIS_URL", url)
                .config(&settings);
            let hub = hub.env("RUST_LOG", "info,statshub=debug").launch();
            Member {
                hub: Some(hub),
                is_up: true,
            }
        };
        let members = urls.iter().zip(addresses.iter()).map(member).collect();
        let client = Client::builder().no_proxy().build().expect("a client");
        Self {
            members,
            addresses,
            client,
        }
    }

    pub fn addresses(&self) -> Arc<[SocketAddr]> {
        self.addresses.clone()
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Waits until every hub takes requests. What has ended by itself, or does not come to itself, is
    /// told.
    pub async fn are_ready(&mut self) -> Result<(), String> {
        for nth in 0..self.len() {
            let waited = timeout(MENDED_WITHIN, async {
                while !self.is_ready(nth).await {
                    let ended = self.members[nth].hub.as_mut().and_then(Hub::has_ended);
                    if let Some(status) = ended {
                        return Err(format!("hub {nth} has ended by itself with {status}"));
                    }
                    sleep(Duration::from_millis(20)).await;
                }
                Ok(())
            });
            let late = |_| format!("hub {nth} is not ready after {MENDED_WITHIN:?}");
            waited.await.map_err(late)??;
        }
        Ok(())
    }

    async fn is_ready(&self, nth: usize) -> bool {
        let url = format!("http://{}/api/health/ready", self.addresses[nth]);
        let answer = self
            .client
            .get(url)
            .timeout(Duration::from_secs(2))
            .send()
            .await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// SIGKILL.
    pub async fn kill(&mut self, nth: usize) {
        let member = &mut self.members[nth];
        if std::mem::replace(&mut member.is_up, false) {
            member.hub.as_mut().expect("a hub").crash().await;
        }
    }

    /// SIGTERM, and waits for the end, which must be a good one.
    pub async fn stop(&mut self, nth: usize) -> Result<(), String> {
        let member = &mut self.members[nth];
        let hub = member.hub.as_mut().expect("a hub");
        if !member.is_up || hub.has_ended().is_some() {
            member.is_up = false;
            return Ok(());
        }
        hub.signal(Signal::TERM);
        self.ends(nth).await
    }

    /// Waits for the end of one that was asked to stop.
    pub async fn ends(&mut self, nth: usize) -> Result<(), String> {
        let member = &mut self.members[nth];
        member.is_up = false;
        let ended = member.hub.as_mut().expect("a hub").ended().await;
        match ended.code {
            Some(0) => Ok(()),
            code => Err(format!(
                "hub {nth} was asked to stop and ended with {code:?}"
            )),
        }
    }

    /// SIGSTOP or SIGCONT.
    pub fn signal(&mut self, nth: usize, signal: Signal) {
        let hub = self.members[nth].hub.as_mut().expect("a hub");
        if hub.has_ended().is_none() {
            hub.signal(signal);
        }
    }

    /// Starts one that is down, on its port and in its folder, and does not wait for it.
    pub fn start_again(&mut self, nth: usize) {
        let member = &mut self.members[nth];
        if !std::mem::replace(&mut member.is_up, true) {
            member.hub = member.hub.take().map(Hub::launch_again);
        }
    }

    /// Its store is gone.
    pub fn forget(&self, nth: usize) {
        let hub = self.members[nth].hub.as_ref().expect("a hub");
        for name in ["statshub.db", "statshub.db-wal", "statshub.db-shm"] {
            let _ = std::fs::remove_file(hub.path(name));
        }
    }

    pub fn start_all_again(&mut self) {
        (0..self.len()).for_each(|nth| self.start_again(nth));
    }

    /// What each hub has logged.
    pub fn logs(&self) -> Vec<String> {
        let log = |member: &Member| member.hub.as_ref().map(Hub::stderr).unwrap_or_default();
        self.members.iter().map(log).collect()
    }
}

/// The settings of `over` in the place of those of `base`.
fn merged(base: &str, over: &str) -> String {
    let parse = |text: &str| text.parse::<toml::Table>().expect("settings");
    let mut all = parse(base);
    for (section, keys) in parse(over) {
        let into = all
            .entry(section)
            .or_insert_with(|| toml::Table::new().into());
        let (Some(into), toml::Value::Table(keys)) = (into.as_table_mut(), keys) else {
            panic!("settings stand in sections: {over}");
        };
        into.extend(keys);
    }
    all.to_string()
}

#[test]
fn settings_go_over_the_usual_ones() {
    let all = merged("[a]\nx = 1\ny = 2\n", "[a]\ny = 3\n[b]\nz = 4\n");
    assert_eq!(
        all.parse::<toml::Table>(),
        "[a]\nx = 1\ny = 3\n[b]\nz = 4".parse()
    );
}
