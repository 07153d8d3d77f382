//! Publishers that number what they say and write down what they were told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::record::{Failed, Millis, Piece, Publish};
use crate::support::id::Id;
use crate::support::rng::Rng;
use crate::support::{A, token};

/// Then there was no answer.
const ANSWER_PATIENCE: Duration = Duration::from_millis(2500);

/// Between tries of a publish with a key.
const PAUSE: Duration = Duration::from_millis(80);

/// For how long one is tried after everything should be well again.
const PATIENCE_AFTER_STOP: Duration = Duration::from_secs(12);

/// What a publisher is like. Rates are per mille.
#[derive(Debug, Clone)]
pub struct Spec {
    pub by: u64,
    pub per_second: u64,
    /// Where it begins; when that one is gone it goes to the next.
    pub hub: usize,
    /// Only for one of these users, on the metric `own.<by>`.
    pub users: Vec<String>,
    pub private: u32,
    pub alerts: u32,
    pub keyed: u32,
    pub batches: u32,
}

impl Spec {
    pub fn new(by: u64, hub: usize) -> Self {
        let users = Vec::new();
        Self {
            by,
            per_second: 30,
            hub,
            users,
            private: 0,
            alerts: 50,
            keyed: 0,
            batches: 50,
        }
    }
}

/// Publishes until it is stopped.
pub struct Publisher {
    stop: watch::Sender<bool>,
    task: JoinHandle<Vec<Publish>>,
}

impl Publisher {
    pub fn start(spec: Spec, hubs: Arc<[SocketAddr]>, began: Instant, seed: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let desk = Desk::new(spec.by, spec.hub, hubs, began, stopped);
        let rng = Rng::new(seed.wrapping_add(spec.by << 32));
        let task = tokio::spawn(publish(desk, spec, rng));
        Self { stop, task }
    }

    /// Nothing new; what has a key is tried until there is an answer.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub async fn published(self) -> Vec<Publish> {
        self.stop();
        self.task.await.expect("no panic")
    }
}

async fn publish(mut desk: Desk, spec: Spec, mut rng: Rng) -> Vec<Publish> {
    let mut clock = interval(Duration::from_millis(1000 / spec.per_second.max(1)));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut all = Vec::new();
    while !*desk.stopped.borrow() {
        clock.tick().await;
        let count = if rng.per_mille(spec.batches) {
            rng.between(2, 4)
        } else {
            1
        };
        let is_alert = count == 1 && rng.per_mille(spec.alerts);
        let drafts = (0..count)
            .map(|_| draft(&mut desk, &spec, is_alert, &mut rng))
            .collect();
        let published = match rng.per_mille(spec.keyed) {
            true => desk.tell_until_answered(drafts, rng.per_mille(100)).await,
            false => desk.tell_once(drafts).await,
        };
        all.extend(published);
    }
    all
}

fn draft(desk: &mut Desk, spec: &Spec, is_alert: bool, rng: &mut Rng) -> Publish {
    let mut publish = desk.draft();
    if is_alert {
        return publish;
    }
    if !spec.users.is_empty() && rng.per_mille(spec.private) {
        publish.user = Some(spec.users[rng.below(spec.users.len())].clone());
        publish.metric = Some(format!("own.{}", spec.by));
    } else {
        publish.metric = Some(format!("m.{}", rng.below(5)));
    }
    publish
}

/// Where one publisher sends from.
pub struct Desk {
    by: u64,
    next: u64,
    hub: usize,
    hubs: Arc<[SocketAddr]>,
    began: Instant,
    client: Client,
    jwt: String,
    stopped: watch::Receiver<bool>,
}

impl Desk {
    pub fn new(
        by: u64,
        hub: usize,
        hubs: Arc<[SocketAddr]>,
        began: Instant,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let client = Client::builder().no_proxy().timeout(ANSWER_PATIENCE);
        let client = client.build().expect("a client");
        let jwt = token::service(&format!("publisher-{by}"));
        Self {
            by,
            next: 0,
            hub,
            hubs,
            began,
            client,
            jwt,
            stopped,
        }
    }

    /// The next alert, which may still be made a metric.
    pub fn draft(&mut self) -> Publish {
        self.next += 1;
        Publish {
            piece: Piece {
                by: self.by,
                n: self.next,
            },
            metric: None,
            user: None,
            keyed: false,
            asked: 0,
            done: 0,
            acknowledged: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn now(&self) -> Millis {
        u64::try_from(self.began.elapsed().as_millis()).expect("a short time")
    }

    async fn tell_once(&mut self, mut drafts: Vec<Publish>) -> Vec<Publish> {
        self.tell(&mut drafts).await;
        drafts
    }

    /// With a key, and `again` after the answer, which must be the same.
    pub async fn tell_until_answered(
        &mut self,
        mut drafts: Vec<Publish>,
        again: bool,
    ) -> Vec<Publish> {
        drafts.iter_mut().for_each(|it| it.keyed = true);
        let mut stopped = None;
        while !self.tell(&mut drafts).await {
            sleep(PAUSE).await;
            if *self.stopped.borrow() {
                let since = *stopped.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE_AFTER_STOP {
                    return drafts;
                }
            }
        }
        if again {
            self.hub = (self.hub + 1) % self.hubs.len();
            self.tell(&mut drafts).await;
        }
        drafts
    }

    /// One try; whether that is the end of it.
    async fn tell(&mut self, drafts: &mut [Publish]) -> bool {
        let asked = self.now();
        let answer = self.request(drafts).send().await;
        let outcome = match answer {
            Ok(answer) => match answer.status().as_u16() {
                202 => answer
                    .json()
                    .await
                    .map(|it| ids(&it))
                    .map_err(|_| Failed::NoAnswer),
                status @ (429 | 503) => Err(Failed::Unavailable(status)),
                status @ 400..500 => Err(Failed::Refused(status)),
                _ => Err(Failed::NoAnswer),
            },
            Err(error) if error.is_connect() => Err(Failed::NoConnection),
            Err(_) => Err(Failed::NoAnswer),
        };
        let done = self.now();
        for (nth, draft) in drafts.iter_mut().enumerate() {
            if draft.asked == 0 {
                draft.asked = asked;
            }
            draft.done = done;
            match &outcome {
                Ok(ids) => draft.acknowledged.push((done, ids[nth])),
                Err(failed) => draft.failed.push(*failed),
            }
        }
        if outcome.is_err() {
            self.hub = (self.hub + 1) % self.hubs.len();
        }
        matches!(outcome, Ok(_) | Err(Failed::Refused(_)))
    }

    fn request(&self, drafts: &[Publish]) -> RequestBuilder {
        let (path, body) = match drafts {
            [alert] if alert.metric.is_none() => ("alerts", alert_body(alert)),
            [one] => ("publish", body(one)),
            many => {
                let list: Vec<Value> = many.iter().map(body).collect();
                ("publish", json!({ "messages": list }))
            }
        };
        let url = format!("http://{}{A}/{path}", self.hubs[self.hub]);
        let request = self.client.post(url).bearer_auth(&self.jwt).json(&body);
        match drafts[0].keyed {
            true => request.header("Idempotency-Key", format!("k{}", drafts[0].piece.n)),
            false => request,
        }
    }
}

fn body(publish: &Publish) -> Value {
    let mut body = json!({"metric": publish.metric, "data": publish.piece.json()});
    if let Some(user) = &publish.user {
        body["userId"] = json!(user);
    }
    body
}

fn alert_body(publish: &Publish) -> Value {
    let mut body = publish.piece.json();
    body["severity"] = json!("low");
    body["message"] = json!("from the laboratory");
    body
}

/// Of one message or of a batch.
fn ids(answer: &Value) -> Vec<Id> {
    let data = &answer["data"];
    match data["messageIds"].as_array() {
        Some(list) => list.iter().map(Id::of).collect(),
        None => vec![Id::of(&data["messageId"])],
    }
}
