//! A real Redis, and what it says about itself.

use std::collections::HashMap;
use std::net::TcpListener;
use std::ops::{Div, Mul, Sub};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, cmd};
use tempfile::TempDir;
use tokio::time::sleep;

/// Another program may take the port that was found free.
const ATTEMPTS: usize = 5;
const LOOKS: usize = 200;
const LOOKS_EVERY: Duration = Duration::from_millis(20);

/// A server, killed at the end.
pub struct Redis {
    pub port: u16,
    connection: MultiplexedConnection,
    child: Child,
    _folder: TempDir,
}

impl Redis {
    /// Whether there is such a program.
    pub fn is_there() -> bool {
        let mut command = Command::new("redis-server");
        let version = command.arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    }

    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// One that follows another, and has all that it has.
    pub async fn replica_of(primary: &Self) -> Self {
        let port = primary.port.to_string();
        let mut replica = Self::with(&["--replicaof", "127.0.0.1", &port]).await;
        for _ in 0..LOOKS {
            if replica
                .info("replication")
                .await
                .contains("master_link_status:up")
            {
                return replica;
            }
            sleep(LOOKS_EVERY).await;
        }
        panic!("a replica does not come up");
    }

    async fn with(arguments: &[&str]) -> Self {
        for _ in 0..ATTEMPTS {
            if let Some(redis) = Self::attempt(arguments).await {
                return redis;
            }
        }
        panic!("redis-server does not start");
    }

    async fn attempt(arguments: &[&str]) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a port").port();
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--repl-diskless-sync-delay", "0"])
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-server");
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("a URL");
        for _ in 0..LOOKS {
            if let Ok(connection) = client.get_multiplexed_async_connection().await {
                return Some(Self {
                    port,
                    connection,
                    child,
                    _folder: folder,
                });
            }
            if !matches!(child.try_wait(), Ok(None)) {
                return None;
            }
            sleep(LOOKS_EVERY).await;
        }
        let _ = child.kill().and_then(|()| child.wait());
        None
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub async fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let (name, arguments) = words.split_first().expect("a command");
        let mut command = cmd(name);
        let answer = command.arg(arguments).query_async(&mut self.connection);
        answer.await.expect("an answer of Redis")
    }

    async fn info(&mut self, section: &str) -> String {
        self.ask(&["INFO", section]).await
    }

    pub async fn books(&mut self) -> Books {
        Books::read(&self.info("all").await)
    }

    /// What a key of that kind takes in memory, on the average.
    pub async fn mean_bytes(&mut self, pattern: &str) -> f64 {
        let keys: Vec<String> = self.ask(&["KEYS", pattern]).await;
        let mut bytes = 0;
        for key in &keys {
            // All of its fields are counted, none is estimated.
            let all = ["MEMORY", "USAGE", key, "SAMPLES", "0"];
            bytes += self.ask::<Option<u64>>(&all).await.unwrap_or(0);
        }
        bytes as f64 / keys.len() as f64
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }
}

/// What Redis has counted since it began; or, of two of them, what it has between.
#[derive(Debug, Clone, Copy, Default)]
pub struct Books {
    /// Processor time of the whole server, in microseconds.
    pub processor_us: f64,
    /// Scripts, and what they took, the commands in them included.
    pub scripts: f64,
    pub scripts_us: f64,
    /// Reads of the log that ended.
    pub reads: f64,
    pub reads_us: f64,
    /// Commands of any kind, those in scripts included.
    pub commands: f64,
    /// Times to live that were set: a session's is with each write of it.
    pub renewals: f64,
    pub bytes_in: f64,
    pub bytes_out: f64,
    pub bytes_used: f64,
}

impl Books {
    fn read(info: &str) -> Self {
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        let lines: HashMap<_, _> = lines.collect();
        let number = |name: &str| lines.get(name).map_or(0.0, |it| it.parse().unwrap_or(0.0));
        let seconds = number("used_cpu_user") + number("used_cpu_sys");
        let (scripts, scripts_us) = calls(lines.get("cmdstat_evalsha"));
        let (reads, reads_us) = calls(lines.get("cmdstat_xread"));
        let commands = lines
            .iter()
            .filter(|(name, _)| name.starts_with("cmdstat_"));
        Self {
            processor_us: seconds * 1e6,
            scripts,
            scripts_us,
            reads,
            reads_us,
            commands: commands.map(|(_, line)| calls(Some(line)).0).sum(),
            renewals: calls(lines.get("cmdstat_pexpire")).0,
            bytes_in: number("total_net_input_bytes"),
            // This answer is counted only after it is written.
            bytes_out: number("total_net_output_bytes") + info.len() as f64,
            bytes_used: number("used_memory"),
        }
    }
}

/// Of a line as `calls=5,usec=17,usec_per_call=3.40`.
fn calls(line: Option<&&str>) -> (f64, f64) {
    let fields = line.map_or("", |line| line).split(',');
    let fields: HashMap<_, _> = fields.filter_map(|field| field.split_once('=')).collect();
    let number = |name| fields.get(name).map_or(0.0, |it| it.parse().unwrap_or(0.0));
    (number("calls"), number("usec"))
}

impl Books {
    fn with(self, other: Self, of: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            processor_us: of(self.processor_us, other.processor_us),
            scripts: of(self.scripts, other.scripts),
            scripts_us: of(self.scripts_us, other.scripts_us),
            reads: of(self.reads, other.reads),
            reads_us: of(self.reads_us, other.reads_us),
            commands: of(self.commands, other.commands),
            renewals: of(self.renewals, other.renewals),
            bytes_in: of(self.bytes_in, other.bytes_in),
            bytes_out: of(self.bytes_out, other.bytes_out),
            bytes_used: of(self.bytes_used, other.bytes_used),
        }
    }
}

impl Sub for Books {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        self.with(before, |now, before| now - before)
    }
}

impl Mul<f64> for Books {
    type Output = Self;

    fn mul(self, by: f64) -> Self {
        self.with(self, |it, _| it * by)
    }
}

impl Div<f64> for Books {
    type Output = Self;

    fn div(self, by: f64) -> Self {
        self.with(self, |it, _| it / by)
    }
}
