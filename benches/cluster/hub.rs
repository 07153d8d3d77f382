//! The program, as a child that is killed at the end.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::http::{Answers, get};

pub const SECRET: &str = "a secret for the benchmark alone: 4711";

/// How long a hub may take to have read the log's past and to be ready.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Nothing is bounded that is measured, and nothing is written but what is measured: a hub without Redis
/// keeps nothing on disk, and neither do those with it.
const SETTINGS: &str = r#"
[store]
durability = "memory"
[audit]
enabled = false
[log]
filter = "error"
[limits]
per_ip_per_second = 1000000
per_ip_burst = 1000000
per_user_per_second = 1000000
per_user_burst = 1000000
"#;

/// How a hub is started.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// `None`: it stands alone.
    pub redis: Option<String>,
    /// A publish is acknowledged when so many replicas have it; none: when the primary has it.
    pub replicas: usize,
    /// `None`: as it comes.
    pub heartbeat: Option<Duration>,
}

pub struct Hub {
    pub address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Hub {
    pub async fn start(start: &Start) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("config.toml"), start.settings()).expect("a config.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_statshub"));
        command
            .current_dir(folder.path())
            .env_clear()
            .env("JWT_SECRET", SECRET)
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(url) = &start.redis {
            command.env("REDIS_URL", url);
        }
        let mut child = command.spawn().expect("the program");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let line = stdout.lines().next().expect("a line").expect("text");
        let address = line.trim_start_matches("listening on http://").parse();
        let hub = Self {
            address: address.expect("an address"),
            child,
            _folder: folder,
        };
        hub.is_ready().await;
        hub
    }

    async fn is_ready(&self) {
        let until = Instant::now() + READY_WITHIN;
        while get(self.address, "/api/health/ready").await != Answers::Ok {
            assert!(Instant::now() < until, "a hub is not ready");
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Start {
    fn settings(&self) -> String {
        let mut settings = SETTINGS.to_owned();
        if self.replicas > 0 {
            let replicas = self.replicas;
            settings += &format!("[redis]\nacknowledge = \"replicated\"\nreplicas = {replicas}\n");
        }
        if let Some(heartbeat) = self.heartbeat {
            let millis = heartbeat.as_millis();
            settings += &format!("[realtime]\nheartbeat_interval_ms = {millis}\n");
        }
        settings
    }
}

/// Processor time that a process has taken so far, all of its threads together. Linux counts it in
/// nanoseconds here; what `/proc/<pid>/stat` has are hundredths of a second.
pub fn processor_time(process: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("Linux");
    let nanoseconds = threads.flatten().filter_map(|thread| {
        // A thread may end meanwhile.
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}
