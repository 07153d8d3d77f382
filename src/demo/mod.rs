//! The simulated school platform behind `statshub demo`: a database that moves, and sources that
//! read it, so that a dashboard shows life without any set-up.
//!
//! `platform` decides what happens, without clock or database, the same for the same seed. This file
//! makes the database, writes the past, and lets it live on. May use `config` and
//! `domain`; knows no hub: what it has to say goes through ordinary `sql` sources.

mod platform;
mod store;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::config::{Aggregate, Source, SourceKind};
use crate::domain::aggregate::Op;
use crate::domain::alert::Severity;
use crate::domain::message::Priority;
use crate::domain::pattern::MetricName;
use crate::domain::rule::{Rule, Spec};
use platform::Platform;
use store::Store;

/// The past that is there from the start, in seconds.
const HISTORY_SECONDS: i64 = 3 * 24 * 3600;
/// The past is written in steps of an hour.
const HISTORY_STEP_SECONDS: i64 = 3600;
const LIVE_STEP: Duration = Duration::from_secs(1);
const READ_INTERVAL: Duration = Duration::from_secs(2);
const SUM_INTERVAL: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A living database. Dropping it ends the life; [`Demo::stop`] also waits until it has.
pub struct Demo {
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    life: JoinHandle<()>,
    /// Removed with everything in it at the end.
    _folder: Option<TempDir>,
}

impl Demo {
    /// Makes the database at `path`, or in a temporary folder, writes three days of the past, and starts a task
    /// on the current runtime that goes on about every second.
    ///
    /// # Errors
    /// The file exists already, for it could be something dear; or it cannot be made.
    pub async fn start(path: Option<&Path>, seed: u64) -> anyhow::Result<Self> {
        let (path, folder) = place(path)?;
        let mut store = Store::create(&path)
            .await
            .with_context(|| format!("making the demo's database {}", path.display()))?;
        let now = Timestamp::now().as_second();
        let mut platform = Platform::founded(seed, now - HISTORY_SECONDS);
        let mut past = Vec::new();
        while platform.time() < now {
            past.push(platform.advance((platform.time() + HISTORY_STEP_SECONDS).min(now)));
        }
        store.write(&past).await?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self {
            path,
            stop: Some(stop),
            life: tokio::spawn(live(platform, store, stopped)),
            _folder: folder,
        })
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the life and waits until the database is closed.
    pub async fn stop(mut self) {
        self.stop = None;
        // An error would be the life's panic, which has been told by then.
        let _ = (&mut self.life).await;
    }
}

fn place(path: Option<&Path>) -> anyhow::Result<(PathBuf, Option<TempDir>)> {
    let Some(path) = path else {
        let folder = tempfile::Builder::new()
            .prefix("statshub-demo-")
            .tempdir()?;
        return Ok((folder.path().join("demo.db"), Some(folder)));
    };
    anyhow::ensure!(
        !path.exists(),
        "{} exists already, and the demo wants a file of its own",
        path.display()
    );
    Ok((path.to_owned(), None))
}

async fn live(mut platform: Platform, mut store: Store, mut stopped: oneshot::Receiver<()>) {
    let mut ticks = tokio::time::interval(LIVE_STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = ticks.tick() => {}
        }
        let happened = platform.advance(Timestamp::now().as_second());
        if let Err(error) = store.write(&[happened]).await {
            log::error!("the demo's platform stands still: {error}");
            break;
        }
    }
    store.close().await;
}

/// What `statshub demo` reads: `dashboard`, `users`, `credits` and `content` from the database at
/// `path`, and this machine as `system`.
pub fn sources(path: &Path) -> Vec<Source> {
    let sql = |name, query: &str| {
        let kind = SourceKind::Sql {
            url: url(path),
            query: query.to_owned(),
            rows_max: 1,
        };
        source(name, kind)
    };
    [
        sql("dashboard", include_str!("queries/dashboard.sql")),
        sql("users", include_str!("queries/users.sql")),
        sql("credits", include_str!("queries/credits.sql")),
        sql("content", include_str!("queries/content.sql")),
        source("system", SourceKind::Host),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What `statshub demo` sums up of these: `sessions.peak`, the most active sessions of five minutes, and `cpu.p95`.
pub fn aggregates() -> Vec<Aggregate> {
    let aggregate = |name: &str, from: &str, op, field: &str| {
        Some(Aggregate {
            metric: MetricName::parse(name).ok()?,
            from: MetricName::parse(from).ok()?,
            op,
            field: Some(field.to_owned()),
            window: Duration::from_secs(300),
            every: SUM_INTERVAL,
            grace: Duration::ZERO,
            per: Duration::from_secs(1),
            by: Vec::new(),
            groups_max: 1,
            priority: Priority::Normal,
        })
    };
    [
        aggregate("sessions.peak", "dashboard", Op::Max, "/activeSessions"),
        aggregate("cpu.p95", "system", Op::P95, "/cpu/percent"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What `statshub demo` tells by itself: something that comes and goes within minutes.
pub fn rules() -> Vec<Rule> {
    let spec = Spec {
        name: "demo_wave".to_owned(),
        on: "dashboard".to_owned(),
        severity: Severity::Low,
        when: Some("int(data.activeSessions) % 40 >= 30".to_owned()),
        resolve: None,
        hold: Some("4s".to_owned()),
        keep_firing_for: Some("10s".to_owned()),
        absent_for: Some("30s".to_owned()),
        anomaly: None,
        repeat_every: None,
        message: Some(
            "{data.activeSessions} sessions: a rule of the demo, which comes and goes".to_owned(),
        ),
    };
    Rule::parse(spec).into_iter().collect()
}

fn source(name: &str, kind: SourceKind) -> Option<Source> {
    Some(Source {
        metric: MetricName::parse(name).ok()?,
        priority: Priority::Normal,
        kind,
        interval: Some(READ_INTERVAL),
        timeout: READ_TIMEOUT,
    })
}

/// The characters that mean something in a URL are escaped, for a path may hold any.
fn url(path: &Path) -> String {
    let path = path.to_string_lossy();
    let path = path.replace('%', "%25").replace('?', "%3F");
    format!("sqlite:{}", path.replace('#', "%23"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;
    use serde_json::Value;
    use tokio::sync::mpsc;

    use super::*;
    use crate::source::{HubStats, Sources, Surroundings};

    #[actix::test]
    async fn the_numbers_move_and_hang_together() {
        let demo = Demo::start(None, 1).await.unwrap();
        let hub: HubStats = Arc::new(|| async { Ok(Value::Null) }.boxed());
        let (sink, mut drafts) = mpsc::channel(64);
        let surroundings = Surroundings::alone(sink, hub);
        let sources = sources(demo.path());
        let sources = Sources::start(&sources, READ_INTERVAL, surroundings).unwrap();
        let mut seen: Vec<(String, Value)> = Vec::new();
        let credits = loop {
            let draft = drafts.recv().await.unwrap();
            let value: Value = serde_json::from_str(draft.draft.data.as_str()).unwrap();
            let metric = draft.draft.metric.to_string();
            let before = seen.iter().find(|(known, _)| *known == metric);
            // Reads go on until something was bought or spent, some two seconds as a rule.
            if before.is_some_and(|(known, before)| known == "credits" && *before != value) {
                break value;
            }
            seen.push((metric, value));
        };
        let first = |name: &str| {
            let found = seen.iter().find(|(metric, _)| metric == name);
            found.map(|(_, value)| value).unwrap()
        };
        let (dashboard, users) = (first("dashboard"), first("users"));
        for number in [
            "totalUsers",
            "totalSchools",
            "activeUsers",
            "activeSessions",
        ] {
            assert!(
                dashboard[number].as_i64() > Some(0),
                "{number} in {dashboard}"
            );
        }
        assert_eq!(dashboard["topSchools"].as_array().map(Vec::len), Some(5));
        let by = |key: &str| -> i64 {
            let counts = users[key].as_object().unwrap().values();
            counts.filter_map(Value::as_i64).sum()
        };
        assert_eq!(users["total"], by("byRole"));
        assert_eq!(users["total"], by("byPlan"));
        assert!(credits["balance"].as_i64() > Some(0));
        assert!(first("content")["mostUsed"][0]["uses"].as_i64() > Some(0));
        assert!(first("system")["cpu"].is_object());
        assert!(sources.states().iter().all(|state| state.failures == 0));
    }

    #[actix::test]
    async fn an_existing_file_is_left_alone_and_a_temporary_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dear.db");
        std::fs::write(&path, "dear").unwrap();
        assert!(Demo::start(Some(&path), 1).await.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear");

        let demo = Demo::start(None, 1).await.unwrap();
        let path = demo.path().to_owned();
        demo.stop().await;
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn its_rule_is_one() {
        assert_eq!(rules().len(), 1);
    }

    #[test]
    fn a_path_may_hold_any_character() {
        assert_eq!(
            url(Path::new("/a b/50%?#.db")),
            "sqlite:/a b/50%25%3F%23.db"
        );
    }
}
