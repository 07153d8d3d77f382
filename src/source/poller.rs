//! The actor that reads one source again and again.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use futures::FutureExt;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::state::{self, Record, SharedRecord, lock};
use super::{Out, Reading, Source, SourceError, Turn};
use crate::config;
use crate::domain::message::{Draft, Json, Priority};
use crate::domain::pattern::MetricName;
use crate::trace::{self, Span, spans};

/// Reads its source when it starts and then once every interval, never twice at a time.
pub(super) struct Poller {
    source: Arc<dyn Source>,
    metric: MetricName,
    priority: Priority,
    interval: Duration,
    timeout: Duration,
    out: Out,
    record: SharedRecord,
    reading: bool,
    read_at: Option<Instant>,
}

/// Ends the polling; a read under way is given up.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;

impl Poller {
    pub fn new(
        setting: &config::Source,
        source: Arc<dyn Source>,
        update_interval: Duration,
        out: Out,
    ) -> Self {
        let interval = setting.interval.unwrap_or(update_interval);
        let record = Record::new(setting, interval, Timestamp::now());
        Self {
            source,
            metric: setting.metric.clone(),
            priority: setting.priority,
            interval,
            timeout: setting.timeout,
            out,
            record: Arc::new(Mutex::new(record)),
            reading: false,
            read_at: None,
        }
    }

    /// What becomes of its reads, for whoever shows it.
    pub fn record(&self) -> SharedRecord {
        self.record.clone()
    }

    fn poll(&mut self, ctx: &mut Context<Self>) {
        let mut fence = None;
        if let Some(turns) = &self.out.turns {
            let turn = turns.turn(&self.metric, self.interval);
            lock(&self.record).is_elsewhere(turn == Turn::Others);
            let Turn::Now(given) = turn else {
                return;
            };
            let is_due = |read: Instant| read.elapsed() >= self.interval;
            if self.reading || !self.read_at.is_none_or(is_due) {
                return;
            }
            fence = Some(given);
        }
        self.read_at = Some(Instant::now());
        if std::mem::replace(&mut self.reading, true) {
            lock(&self.record).skipped();
            return;
        }
        let span = self.source.span(&self.metric);
        let read = read(self.source.clone(), self.timeout, span);
        ctx.spawn(
            read.into_actor(self)
                .map(move |read, poller, _| poller.finish(read, fence)),
        );
    }

    fn finish(&mut self, read: Read, fence: Option<u64>) {
        self.reading = false;
        let Read { value, took, trace } = read;
        let result = value
            .and_then(|value| self.publish(&value, fence, trace))
            .map_err(|error| error.to_string());
        let error = result.clone().err();
        let change = lock(&self.record).finished(result, took, Timestamp::now());
        state::log(&self.metric, change, error.as_deref());
    }

    /// Hands the value on without waiting: a hub that cannot keep up wants fewer updates, and the
    /// next read brings a newer value anyway.
    fn publish(
        &self,
        value: &Value,
        fence: Option<u64>,
        trace: trace::Context,
    ) -> Result<(), SourceError> {
        let draft = Draft {
            metric: self.metric.clone(),
            data: Json::trusted(value.to_string()),
            priority: Some(self.priority),
            user: None,
            retain: None,
        };
        let sink = &self.out.sink;
        let sent = sink.try_send(Reading {
            draft,
            fence,
            trace,
        });
        sent.map_err(|error| match error {
            TrySendError::Full(_) => SourceError::SinkFull(sink.max_capacity()),
            TrySendError::Closed(_) => SourceError::SinkClosed,
        })
    }
}

/// What came of one read.
struct Read {
    value: Result<Value, SourceError>,
    took: Duration,
    trace: trace::Context,
}

/// One read, bounded in time, with a panic turned into an error.
async fn read(source: Arc<dyn Source>, timeout: Duration, mut span: Span) -> Read {
    let began = Instant::now();
    let read = AssertUnwindSafe(async { source.read(&mut span).await }).catch_unwind();
    let value = match tokio::time::timeout(timeout, read).await {
        Ok(Ok(value)) => value,
        Ok(Err(_)) => Err(SourceError::Panicked),
        Err(_) => Err(SourceError::TimedOut(timeout)),
    };
    spans::read(&mut span, &value);
    Read {
        value,
        took: began.elapsed(),
        trace: span.context(),
    }
}

impl Actor for Poller {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.poll(ctx);
        let looks_every = self.out.turns.as_ref().map(|turns| turns.looks_every());
        let every = looks_every.map_or(self.interval, |looks| looks.min(self.interval));
        ctx.run_interval(every, Self::poll);
    }
}

impl Handler<Stop> for Poller {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::BoxFuture;
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::source::SourceState;

    const INTERVAL: Duration = Duration::from_secs(10);
    const TIMEOUT: Duration = Duration::from_secs(35);

    /// What a read does: how long it takes, and what comes of it.
    #[derive(Clone, Copy)]
    enum Script {
        Answers(Duration),
        Panics,
        Fails,
        /// Fails the first time, then answers.
        Recovers,
    }

    struct Scripted(Script, AtomicUsize);

    impl Source for Scripted {
        fn read<'a>(&'a self, _: &'a mut Span) -> BoxFuture<'a, Result<Value, SourceError>> {
            let reads = self.1.fetch_add(1, Ordering::Relaxed);
            match self.0 {
                Script::Panics => panic!("as scripted"),
                Script::Recovers if reads > 0 => Box::pin(async { Ok(json!({"line": "1\n2"})) }),
                Script::Fails | Script::Recovers => {
                    Box::pin(async { Err(SourceError::Database("down".to_owned())) })
                }
                Script::Answers(after) => Box::pin(async move {
                    tokio::time::sleep(after).await;
                    Ok(json!(reads))
                }),
            }
        }
    }

    fn start(
        name: &str,
        script: Script,
        sink: &mpsc::Sender<Reading>,
    ) -> (Addr<Poller>, SharedRecord) {
        let setting = config::Source {
            metric: MetricName::parse(name).unwrap(),
            priority: Priority::High,
            kind: config::SourceKind::Host,
            interval: None,
            timeout: TIMEOUT,
        };
        let source = Arc::new(Scripted(script, AtomicUsize::new(0)));
        let out = Out {
            sink: sink.clone(),
            turns: None,
        };
        let poller = Poller::new(&setting, source, INTERVAL, out);
        let record = poller.record();
        (poller.start(), record)
    }

    /// Runs one source for `seconds` of virtual time, and a little more for what is due at the end.
    async fn after(seconds: u64, script: Script, sink_max: usize) -> (SourceState, Vec<Draft>) {
        tokio::time::pause();
        let (sink, mut drafts) = mpsc::channel(sink_max);
        let (_poller, record) = start("m", script, &sink);
        tokio::time::sleep(Duration::from_secs(seconds) + Duration::from_millis(100)).await;
        let mut published = Vec::new();
        while let Ok(draft) = drafts.try_recv() {
            published.push(draft.draft);
        }
        let state = lock(&record).state(Timestamp::now());
        (state, published)
    }

    #[actix::test]
    async fn the_first_read_is_at_the_start_and_then_one_every_interval() {
        let (state, drafts) = after(30, Script::Answers(Duration::ZERO), 10).await;
        let values: Vec<_> = drafts.iter().map(|draft| draft.data.as_str()).collect();
        assert_eq!(values, ["0", "1", "2", "3"]);
        assert_eq!(drafts[0].priority, Some(Priority::High));
        assert_eq!((state.polls, state.failures, state.skipped), (4, 0, 0));
        assert!(state.last_success.is_some());
    }

    #[actix::test]
    async fn a_read_that_is_due_while_one_still_runs_is_skipped() {
        let slow = Script::Answers(Duration::from_secs(25));
        let (state, drafts) = after(60, slow, 10).await;
        assert_eq!(drafts.len(), 2, "done at 25 and 55");
        assert_eq!(
            (state.polls, state.skipped),
            (2, 4),
            "skipped at 10, 20, 40, 50"
        );
        assert!(state.duration_ms.is_some_and(|ms| ms.abs_diff(25_000) < 10));
    }

    #[actix::test]
    async fn a_read_that_never_ends_is_given_up() {
        let (state, drafts) = after(40, Script::Answers(Duration::MAX), 10).await;
        assert!(drafts.is_empty());
        assert_eq!((state.polls, state.failures), (1, 1));
        assert_eq!(state.last_error.as_deref(), Some("no answer within 35s"));
    }

    #[actix::test]
    async fn neither_errors_nor_panics_end_a_source() {
        for (script, text) in [
            (Script::Fails, "down"),
            (Script::Panics, "the read panicked"),
        ] {
            let (state, _) = after(20, script, 10).await;
            assert_eq!((state.polls, state.failures), (3, 3));
            assert_eq!(state.last_error.as_deref(), Some(text));
            tokio::time::resume();
        }
    }

    #[actix::test]
    async fn a_value_is_published_on_one_line_after_a_failure_too() {
        let (state, drafts) = after(10, Script::Recovers, 10).await;
        assert_eq!(drafts[0].data.as_str(), r#"{"line":"1\n2"}"#);
        assert_eq!((state.polls, state.failures), (2, 1));
    }

    #[actix::test]
    async fn a_hub_that_takes_no_more_makes_reads_fail_and_never_wait() {
        let (state, drafts) = after(30, Script::Answers(Duration::ZERO), 2).await;
        assert_eq!(drafts.len(), 2);
        assert_eq!((state.polls, state.failures), (4, 2));
        let error = "the hub takes no more updates: 2 are waiting";
        assert_eq!(state.last_error.as_deref(), Some(error));
    }

    #[actix::test]
    async fn a_slow_source_delays_no_other() {
        tokio::time::pause();
        let (sink, mut drafts) = mpsc::channel(10);
        let (_slow, _) = start("slow", Script::Answers(Duration::MAX), &sink);
        let (_panics, _) = start("panics", Script::Panics, &sink);
        let (_good, record) = start("good", Script::Answers(Duration::ZERO), &sink);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(drafts.try_recv().unwrap().draft.metric.as_str(), "good");
        tokio::time::sleep(INTERVAL * 3 + INTERVAL / 2).await;
        assert_eq!(lock(&record).state(Timestamp::now()).polls, 4);
    }

    #[actix::test]
    async fn stopping_gives_up_the_read_under_way() {
        tokio::time::pause();
        let (sink, mut drafts) = mpsc::channel(10);
        let (poller, _) = start("m", Script::Answers(Duration::from_secs(5)), &sink);
        drop(sink);
        poller.send(Stop).await.unwrap();
        assert!(
            drafts.recv().await.is_none(),
            "the poller let go of the channel"
        );
    }
}
