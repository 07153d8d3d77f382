//! Real Redis servers, each a child on a port of its own with its data in a temporary folder.
//!
//! `STATSHUB_TEST_REDIS` names another `redis-server` (another version, or Valkey) to run it all with.

pub mod resp;

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

use super::certificates::Certificates;
use super::in_time;
use super::ports::{free, loopback};
use resp::{Reply, Resp};

/// What a server is started with.
#[derive(Default)]
pub struct Start {
    /// Lines of its configuration.
    lines: Vec<String>,
    /// As whom the test itself speaks to it.
    login: Option<String>,
    tls: bool,
    is_sentinel: bool,
}

impl Start {
    /// A line of `redis.conf`.
    pub fn set(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Every write is in a file before it is answered, so that a kill loses nothing.
    pub fn appendonly(self) -> Self {
        self.set("appendonly yes")
    }

    /// Nothing without this password.
    pub fn password(mut self, password: &str) -> Self {
        self.login = Some(password.to_owned());
        self.set(format!("requirepass {password}"))
    }

    /// A user besides the usual one; `rules` as in `~statshub* +@all`.
    pub fn user(self, name: &str, password: &str, rules: &str) -> Self {
        self.set(format!("user {name} on >{password} {rules}"))
    }

    /// Begins as a replica of what listens at `primary`.
    pub fn replica_of(self, primary: SocketAddr) -> Self {
        self.set(format!("replicaof {} {}", primary.ip(), primary.port()))
    }

    /// Listens with TLS too, on [`Redis::tls_address`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    pub fn sentinel(mut self) -> Self {
        self.is_sentinel = true;
        self
    }

    /// The server, once it answers.
    pub async fn start(self) -> Redis {
        let mut redis = self.launch();
        redis.answers().await;
        redis
    }

    /// The server while it starts.
    pub fn launch(self) -> Redis {
        let directory = tempfile::tempdir().expect("a directory");
        let certificates = self.tls.then(|| Certificates::make(directory.path()));
        let mut redis = Redis {
            child: None,
            start: self,
            directory,
            port: free(),
            tls_port: free(),
            certificates,
        };
        redis.write_configuration();
        redis.spawn();
        redis
    }
}

/// A server. Killed when dropped.
pub struct Redis {
    child: Option<Child>,
    start: Start,
    directory: TempDir,
    port: u16,
    tls_port: u16,
    pub certificates: Option<Certificates>,
}

impl Redis {
    pub fn with() -> Start {
        Start::default()
    }

    pub async fn start() -> Self {
        Self::with().start().await
    }

    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn tls_address(&self) -> SocketAddr {
        loopback(self.tls_port)
    }

    fn write_configuration(&self) {
        let folder = self.directory.path().display();
        let port = self.port;
        let mut text = format!("bind 127.0.0.1\nport {port}\ndir {folder}\nlogfile {folder}/log\n");
        if !self.start.is_sentinel {
            // No pauses for the sake of many replicas, and no snapshots behind a test's back.
            text += "save \"\"\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\nrepl-ping-replica-period 1\n";
        }
        if let Some(certificates) = &self.certificates {
            certificates.issue("redis");
            text += &format!(
                "tls-port {}\ntls-ca-cert-file {}\ntls-auth-clients no\n\
                 tls-cert-file {folder}/redis.pem\ntls-key-file {folder}/redis.key\n",
                self.tls_port,
                certificates.authority().display()
            );
        }
        let text = text + &self.start.lines.join("\n") + "\n";
        fs::write(self.configuration(), text).expect("a file");
    }

    fn configuration(&self) -> PathBuf {
        self.directory.path().join("redis.conf")
    }

    fn spawn(&mut self) {
        let program = std::env::var("STATSHUB_TEST_REDIS").unwrap_or("redis-server".into());
        // Even where the test is killed and drops nothing, its servers must not stay behind.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", &program]);
        command.arg(self.configuration());
        if self.start.is_sentinel {
            command.arg("--sentinel");
        }
        let out = File::create(self.directory.path().join("out")).expect("a file");
        command
            .stdin(Stdio::null())
            .stderr(out.try_clone().expect("a file"))
            .stdout(out);
        let child = command.spawn();
        self.child = Some(child.expect("this test needs Redis: apt-get install redis-server"));
    }

    /// Waits until it answers and has read its data.
    pub async fn answers(&mut self) {
        in_time("Redis to answer", async {
            while !self.is_ready().await {
                let ended = self
                    .child
                    .as_mut()
                    .and_then(|it| it.try_wait().expect("a child"));
                assert!(
                    ended.is_none(),
                    "Redis did not start: {ended:?}\n{}",
                    self.log()
                );
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    async fn is_ready(&self) -> bool {
        let reply = self.try_ask(&["PING"]).await;
        reply.is_ok_and(|reply| reply.text() == "PONG")
    }

    /// A command over a connection of its own, and its answer, which may be an error.
    pub async fn try_ask(&self, words: &[&str]) -> io::Result<Reply> {
        let mut connection = Resp::connect(self.address()).await?;
        if let Some(password) = &self.start.login {
            connection.ask(&["AUTH", password]).await?;
        }
        connection.ask(words).await
    }

    /// As [`Self::try_ask`], of a server that must be there and do it.
    pub async fn ask(&self, words: &[&str]) -> Reply {
        let reply = self.try_ask(words).await;
        let reply = reply.unwrap_or_else(|error| panic!("{words:?}: {error}\n{}", self.log()));
        assert_eq!(reply.error(), None, "{words:?}");
        reply
    }

    /// A field of `INFO`.
    pub async fn info(&self, field: &str) -> Option<String> {
        let text = self.try_ask(&["INFO"]).await.ok()?.text();
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(name, _)| *name == field)
            .map(|(_, value)| value.to_owned())
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGSTOP: it is there and does nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let Some(child) = &self.child else { return };
        let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(process.expect("a process id"), signal).expect("a server that runs");
    }

    pub fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// Starts it again after an end, on its port and with what it had written.
    pub async fn again(&mut self) {
        self.kill();
        self.spawn();
        self.answers().await;
    }

    /// As [`Self::again`], with everything gone.
    pub async fn again_empty(&mut self) {
        self.kill();
        for kept in ["dump.rdb", "appendonly.aof"] {
            let _ = fs::remove_file(self.directory.path().join(kept));
        }
        let _ = fs::remove_dir_all(self.directory.path().join("appendonlydir"));
        self.again().await;
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.path().join(name)).unwrap_or_default();
        read("log") + &read("out")
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
