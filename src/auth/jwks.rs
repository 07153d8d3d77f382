//! The keys behind a JWKS URL: fetched in the background, never per request, the last good ones kept.
//!
//! One thread with a runtime of its own fetches for all workers. A fetch that ran on a worker would
//! die with the request that began it, and its connection would belong to that worker's runtime;
//! here a request only waits, on a channel that works from any runtime, and may stop waiting.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use jsonwebtoken::Algorithm;
use reqwest::{Client, Url};
use tokio::sync::{mpsc, watch};

use super::keys::KeySet;
use super::token::Refusal;

/// Largest JWKS document in bytes. Real ones have a few kilobytes.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;
/// Longest fetch from connect to last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after the first failed fetch; it doubles with each further one.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Where to fetch, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteSettings {
    pub url: String,
    pub algorithms: Vec<Algorithm>,
    /// Pause after a good fetch.
    pub refresh: Duration,
    /// Least time between fetches that unknown `kid`s ask for, whoever sends them.
    pub cool_down: Duration,
    /// How long keys serve while they cannot be fetched anew.
    pub keep: Duration,
}

/// What the fetches so far have brought.
#[derive(Default, Clone)]
pub struct Fetched {
    /// The last good keys.
    pub keys: Option<Arc<KeySet>>,
    /// When they were fetched, in milliseconds since the Unix epoch.
    pub refreshed_at_ms: Option<u64>,
    /// Why the last fetch failed; `None` when it did not.
    pub error: Option<String>,
    /// Fetches that failed.
    pub failures: u64,
    /// When the last fetch began; `None` before one has ended.
    attempted_at: Option<Instant>,
    /// When the last good keys were fetched.
    good_at: Option<Instant>,
}

/// A JWKS URL and its keys. Fetching stops when it is dropped.
pub struct Remote {
    pub settings: RemoteSettings,
    fetched: watch::Receiver<Fetched>,
    wanted: mpsc::Sender<()>,
}

impl Remote {
    /// Starts to fetch. `predecessor`'s keys serve until the first fetch has succeeded, if they are
    /// from the same place: a reload while the URL is down loses nothing.
    ///
    /// # Errors
    /// No usable URL, or no TLS or thread to be had.
    pub fn start(settings: RemoteSettings, predecessor: Option<&Self>) -> anyhow::Result<Self> {
        let fetcher = Fetcher::new(&settings)?;
        let inherited = predecessor.filter(|old| {
            old.settings.url == settings.url && old.settings.algorithms == settings.algorithms
        });
        let known = inherited.map(Self::fetched).unwrap_or_default();
        let (publish, fetched) = watch::channel(Fetched {
            attempted_at: None,
            ..known
        });
        let (wanted, wants) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("jwks".into())
            .spawn(move || runtime.block_on(fetcher.run(wants, publish)))?;
        Ok(Self {
            settings,
            fetched,
            wanted,
        })
    }

    /// What the fetches so far have brought. Keys that could not be fetched anew for too long are none:
    /// one that the issuer has withdrawn must not serve for as long as somebody keeps it from telling.
    pub fn fetched(&self) -> Fetched {
        let mut fetched = self.fetched.borrow().clone();
        let is_old = |at: Instant| at.elapsed() >= self.settings.keep;
        if fetched.error.is_some() && fetched.good_at.is_some_and(is_old) {
            fetched.keys = None;
        }
        fetched
    }

    /// The keys to judge a token by that names `kid`. Waits for the first fetch where there are no
    /// keys yet, and for a new one where none goes by `kid` and the cool-down allows it.
    ///
    /// # Errors
    /// There have never been any keys, or none for too long.
    pub async fn keys(&self, kid: Option<&str>) -> Result<Arc<KeySet>, Refusal> {
        let mut fetched = self.fetched.clone();
        // Each wait ends in an error only when the thread is gone; then what is known has to do.
        let _ = fetched
            .wait_for(|it| it.keys.is_some() || it.attempted_at.is_some())
            .await;
        if self.worth_fetching(&fetched.borrow_and_update(), kid) {
            // A full channel means that somebody has asked already.
            let _ = self.wanted.try_send(());
            let _ = fetched.changed().await;
        }
        let now = self.fetched();
        let missing = || Refusal::Unavailable(now.error.unwrap_or_default());
        now.keys.ok_or_else(missing)
    }

    fn worth_fetching(&self, fetched: &Fetched, kid: Option<&str>) -> bool {
        let known = |kid| fetched.keys.as_ref().is_some_and(|keys| keys.knows(kid));
        let cool = fetched
            .attempted_at
            .is_none_or(|at| at.elapsed() >= self.settings.cool_down);
        cool && kid.is_some_and(|kid| !known(kid))
    }
}

struct Fetcher {
    client: Client,
    url: Url,
    algorithms: Vec<Algorithm>,
    refresh: Duration,
    cool_down: Duration,
}

impl Fetcher {
    fn new(settings: &RemoteSettings) -> anyhow::Result<Self> {
        let url = Url::parse(&settings.url).context("the JWKS URL is no URL")?;
        ensure!(
            matches!(url.scheme(), "http" | "https"),
            "the JWKS URL is neither http nor https"
        );
        let client = Client::builder()
            .user_agent(concat!("statshub/", env!("CARGO_PKG_VERSION")))
            // A redirect must not lead from https to http, where anyone could hand us keys.
            .https_only(url.scheme() == "https")
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self {
            client,
            url,
            algorithms: settings.algorithms.clone(),
            refresh: settings.refresh,
            cool_down: settings.cool_down,
        })
    }

    async fn run(self, mut wants: mpsc::Receiver<()>, publish: watch::Sender<Fetched>) {
        let mut retry_pause = RETRY_PAUSE_MIN;
        loop {
            let began = Instant::now();
            let result = self.fetch().await;
            let pause = if result.is_ok() {
                retry_pause = RETRY_PAUSE_MIN;
                self.refresh
            } else {
                let pause = retry_pause.min(self.refresh);
                retry_pause = (retry_pause * 2).min(RETRY_PAUSE_MAX);
                pause
            };
            publish.send_modify(|fetched| fetched.take(result, began));
            if !self.pause(pause, began, &mut wants).await {
                return;
            }
        }
    }

    /// Until `pause` is over or somebody wants keys; `false` when there is nobody left to want them.
    async fn pause(&self, pause: Duration, began: Instant, wants: &mut mpsc::Receiver<()>) -> bool {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return true,
                want = wants.recv() => match want {
                    None => return false,
                    // A want from before the last fetch ended has been served by it.
                    Some(()) if began.elapsed() < self.cool_down => {}
                    Some(()) => return true,
                },
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<KeySet> {
        let document = tokio::time::timeout(FETCH_TIMEOUT, self.download())
            .await
            .with_context(|| format!("no answer within {} s", FETCH_TIMEOUT.as_secs()))??;
        KeySet::from_jwks(&document, &self.algorithms)
    }

    async fn download(&self) -> anyhow::Result<Vec<u8>> {
        // The URL may hold a password and is known anyway, so errors go without it.
        let request = self.client.get(self.url.clone());
        let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
        ensure!(
            response.status().is_success(),
            "the answer was {}",
            response.status()
        );
        let mut document = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(reqwest::Error::without_url)?
        {
            ensure!(
                document.len() + chunk.len() <= DOCUMENT_BYTES_MAX,
                "the document is larger than {DOCUMENT_BYTES_MAX} bytes"
            );
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}

impl Fetched {
    /// Time since the last good keys were fetched.
    pub fn age(&self) -> Option<Duration> {
        self.good_at.map(|at| at.elapsed())
    }

    /// Takes a fetch's result in; one log line when the fortune changes.
    fn take(&mut self, result: anyhow::Result<KeySet>, began: Instant) {
        self.attempted_at = Some(began);
        match result {
            Ok(keys) => {
                if self.error.take().is_some() || self.keys.is_none() {
                    log::info!("JWKS: {} keys fetched", keys.len());
                }
                self.keys = Some(Arc::new(keys));
                self.good_at = Some(began);
                self.refreshed_at_ms = Some(wall_clock_ms());
            }
            Err(error) => {
                self.failures += 1;
                let error = format!("{error:#}");
                if self.error.is_none() {
                    let kept = self.keys.as_ref().map_or(0, |keys| keys.len());
                    log::warn!("JWKS: {error}; {kept} keys kept");
                }
                self.error = Some(error);
            }
        }
    }
}

fn wall_clock_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
