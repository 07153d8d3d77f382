//! How many raw events a second are taken in and summed up, and what that takes of the processor.
//!
//! `cargo bench --bench events [-- --seconds N]`. Everything runs on loopback, in a folder of its own that is
//! removed at the end, and stops by itself. The hub's processor time is what the system says it used, on all of
//! its threads: events a second of one core are events by that.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const SECRET: &str = "a secret for the benchmark alone: 4711";
const SECONDS: u64 = 5;
const SENDERS: usize = 4;
/// As large as a body may be by default, and one as a small service sends it.
const BATCHES: [usize; 2] = [8000, 100];
/// Ticks of the processor's time in a second, as Linux tells them.
const TICKS_PER_SECOND: f64 = 100.0;

/// What is summed up: nothing; one number; four ways of one event, with groups and both sketches.
const AGGREGATES: [(&str, &str); 3] = [
    ("none is made from them", ""),
    (
        "sum of a field",
        "[[aggregate]]\nmetric = \"sum\"\nfrom = \"order\"\nop = \"sum\"\nfield = \"/amount\"\nwindow = \"1m\"\nevery = \"5s\"\n",
    ),
    (
        "count by plan, sum, p95, distinct",
        "[[aggregate]]\nmetric = \"by\"\nfrom = \"order\"\nop = \"count\"\nby = [\"/plan\"]\nwindow = \"1m\"\nevery = \"5s\"\n\
         [[aggregate]]\nmetric = \"sum\"\nfrom = \"order\"\nop = \"sum\"\nfield = \"/amount\"\nwindow = \"1m\"\nevery = \"5s\"\n\
         [[aggregate]]\nmetric = \"p95\"\nfrom = \"order\"\nop = \"p95\"\nfield = \"/ms\"\nwindow = \"1m\"\nevery = \"5s\"\n\
         [[aggregate]]\nmetric = \"users\"\nfrom = \"order\"\nop = \"distinct\"\nfield = \"/user\"\nwindow = \"1m\"\nevery = \"5s\"\n",
    ),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds");
    let seconds = arguments.nth(1).and_then(|text| text.parse().ok());
    let seconds = Duration::from_secs(seconds.unwrap_or(SECONDS));
    println!("{SENDERS} senders, NDJSON of some 110 bytes an event, worker threads: 1");
    println!("| summed up | events a batch | events/s | of one core | 503 |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, aggregates) in AGGREGATES {
        for batch in BATCHES {
            let hub = Hub::start(aggregates);
            let before = hub.processor_seconds();
            let began = Instant::now();
            let sent = join_all((0..SENDERS).map(|_| send(&hub, batch, seconds))).await;
            let took = began.elapsed().as_secs_f64();
            // What waits is counted too.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let used = hub.processor_seconds() - before;
            let (taken, refused) = sent.into_iter().fold((0, 0), |(taken, refused), one| {
                (taken + one.0, refused + one.1)
            });
            let events = (taken * batch) as f64;
            println!(
                "| {name} | {batch} | {:.0} | {:.0} | {refused} |",
                events / took,
                events / used
            );
        }
    }
}

/// Batches taken and refused.
async fn send(hub: &Hub, batch: usize, seconds: Duration) -> (usize, usize) {
    let client = reqwest::Client::new();
    let authorization = format!("Bearer {}", token());
    let mut body = String::new();
    for n in 0..batch {
        let data = json!({
            "amount": (n * 37 % 1000) as f64 / 10.0, "plan": ["free", "pro", "team"][n % 3], "ms": n * 13 % 700,
            "user": format!("u{}", n * 7 % 5000),
        });
        writeln!(body, "{}", json!({"event": "order", "data": data})).expect("a string");
    }
    let (mut taken, mut refused) = (0, 0);
    let ends = Instant::now() + seconds;
    while Instant::now() < ends {
        let request = client
            .post(format!("http://{}/api/admin/analytics/events", hub.address))
            .header("authorization", &authorization)
            .header("content-type", "application/x-ndjson")
            .body(body.clone());
        let answer = request.send().await.expect("an answer");
        match answer.status().as_u16() {
            202 => taken += 1,
            503 => {
                refused += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            status => panic!("{status}: {:?}", answer.json::<Value>().await),
        }
    }
    (taken, refused)
}

fn token() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let claims =
        json!({"sub": "bench", "role": "service", "exp": now.expect("a clock").as_secs() + 3600});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).expect("a token")
}

/// The program, as a child that is killed at the end.
struct Hub {
    address: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Hub {
    fn start(aggregates: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            "[http]\nworkers = 1\n[log]\nfilter = \"error\"\n[limits]\nper_ip_per_second = 1000000\n\
             per_ip_burst = 1000000\nper_user_per_second = 1000000\nper_user_burst = 1000000\n{aggregates}"
        );
        std::fs::write(folder.path().join("config.toml"), config).expect("a config.toml");
        let mut child = Command::new(env!("CARGO_BIN_EXE_statshub"))
            .current_dir(folder.path())
            .env_clear()
            .env("JWT_SECRET", SECRET)
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let line = stdout.lines().next().expect("a line").expect("text");
        let address = line.trim_start_matches("listening on http://").to_owned();
        Self {
            address,
            child,
            _folder: folder,
        }
    }

    /// In user mode and in the system's, on all threads.
    fn processor_seconds(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = std::fs::read_to_string(path).expect("a process");
        let (_, fields) = text.rsplit_once(") ").expect("a name");
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: f64 = ticks.map(|it| it.parse::<f64>().expect("a number")).sum();
        ticks / TICKS_PER_SECOND
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
