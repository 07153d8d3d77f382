//! The program as a child process, on a port of its own, in a directory of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::process::program;
use super::{A, START_PATIENCE, database, eventually, found, token, within};

/// What `serve` prints on standard output once it takes requests.
const ANNOUNCEMENT: &str = "listening on http";

/// Longest that a stop may take by the contract.
const STOP_MAX: Duration = Duration::from_secs(10);

/// How a hub is started. Its environment is empty but for what is named here.
pub struct Start {
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    /// By their names in the hub's directory.
    files: BTreeMap<String, String>,
    pub(super) descriptors_max: Option<usize>,
}

impl Start {
    /// Sets a variable, over the defaults.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Takes a variable out of the defaults.
    pub fn without_env(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Text of `config.toml` in the hub's directory.
    pub fn config(self, text: &str) -> Self {
        self.file("config.toml", text)
    }

    /// A file in the hub's directory, where it also runs.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.insert(name.into(), text.into());
        self
    }

    /// One more word on the command line.
    pub fn arg(mut self, word: &str) -> Self {
        self.arguments.push(word.into());
        self
    }

    /// The hub, once it takes requests.
    pub async fn start(self) -> Hub {
        let mut hub = self.launch();
        hub.listens(0).await;
        hub
    }

    /// The hub while it is starting: nobody knows yet where it will listen, see [`Hub::listens`].
    pub fn launch(self) -> Hub {
        Hub::launch(self, tempfile::tempdir().expect("a directory"))
    }

    /// Runs to the end a command that ends by itself, such as a start that is refused.
    pub async fn run(self) -> Output {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = self.command(directory.path());
        within(
            START_PATIENCE,
            "the program to end by itself",
            command.stdin(Stdio::null()).output(),
        )
        .await
        .expect("the program can be run")
    }

    pub(super) fn command(&self, directory: &Path) -> Command {
        for (name, text) in &self.files {
            fs::write(directory.join(name), text).expect("a file");
        }
        let mut command = program(self.descriptors_max);
        command
            .args(&self.arguments)
            .current_dir(directory)
            .env_clear()
            .envs(&self.environment);
        // Coverage is written where the test runner wants it.
        if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", profile);
        }
        command.kill_on_drop(true);
        command
    }
}

/// A running hub. Killed when dropped; when its test has failed, what it wrote is shown.
pub struct Hub {
    pub address: SocketAddr,
    child: Child,
    start: Start,
    directory: TempDir,
}

/// How a hub ended.
#[derive(Debug)]
pub struct Ended {
    /// `None`: by a signal.
    pub code: Option<i32>,
    pub took: Duration,
    pub stdout: String,
    pub stderr: String,
}

impl Hub {
    /// A hub as the tests have it unless they say otherwise: free port, known secret.
    pub async fn start() -> Self {
        Self::with().start().await
    }

    pub fn with() -> Start {
        let environment = [
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("JWT_SECRET", token::SECRET),
        ];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        Start {
            arguments: Vec::new(),
            environment: environment.into(),
            files: BTreeMap::new(),
            descriptors_max: None,
        }
    }

    fn launch(mut start: Start, directory: TempDir) -> Self {
        let config = start.files.remove("config.toml").unwrap_or_default();
        let config = database::with_store(&config).unwrap_or(config);
        if let Some(config) = with_driver(&config).or((!config.is_empty()).then_some(config)) {
            start.files.insert("config.toml".into(), config);
        }
        // Files and not pipes: a hub must not stop because a test does not read what it says.
        let file = |name: &str| {
            let path = directory.path().join(name);
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .expect("a file for output")
        };
        let child = start
            .command(directory.path())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the program can be run");
        Self {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            child,
            start,
            directory,
        }
    }

    /// Waits until it says that it listens, after the first `already` bytes of its output.
    pub async fn listens(&mut self, already: usize) {
        let stdout = self.path("stdout");
        let child = &mut self.child;
        let address = found(|| {
            let ended = child.try_wait().expect("a child");
            let text = fs::read_to_string(&stdout).unwrap_or_default();
            let address = announced(&text[already..]);
            assert!(
                address.is_some() || ended.is_none(),
                "the hub did not start: {ended:?}"
            );
            std::future::ready(address)
        });
        self.address = within(START_PATIENCE, "the hub to listen", address).await;
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://<address>` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `path` below the interface's base, as in `/stats`.
    pub fn api_url(&self, path: &str) -> String {
        self.url(&format!("{A}{path}"))
    }

    /// A file in the hub's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another `config.toml`, as an editor would write it.
    pub fn write_config(&self, config: &str) {
        let with_driver = with_driver(config);
        let config = with_driver.as_deref().unwrap_or(config);
        fs::write(self.path("config.toml"), config).expect("a config.toml");
    }

    /// Another one, and the signal to read it.
    pub fn reload(&self, config: &str) {
        self.write_config(config);
        self.signal(Signal::HUP);
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(self.path("stdout")).unwrap_or_default()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    /// Waits until standard error has a line with `text`, and returns the first.
    pub async fn logged(&self, text: &str) -> String {
        eventually(&format!("{text:?} in the log"), || {
            let log = self.stderr();
            let line = log.lines().find(|line| line.contains(text));
            std::future::ready(line.map(str::to_owned))
        })
        .await
    }

    /// Whether it is still there, or how it ended.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    pub fn process_id(&self) -> u32 {
        self.child.id().expect("a hub that runs")
    }

    /// Whether it has a handler of its own for `signal`, as proc(5) tells.
    pub fn handles(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process_id()));
        let status = status.expect("a hub that runs");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.expect("a mask") & (1 << (signal.as_raw() - 1)) != 0
    }

    pub fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.process_id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(process.expect("a process id"), signal).expect("a hub that runs");
    }

    /// Asks it to stop (SIGTERM) and holds it to what every stop must be: in time, exit 0, no panic
    /// and no token in anything it wrote.
    pub async fn stop(mut self) -> Ended {
        self.signal(Signal::TERM);
        let ended = self.ended().await;
        assert_eq!(ended.code, Some(0), "a stop is no failure");
        assert!(ended.took < STOP_MAX, "it took {:?} to stop", ended.took);
        ended
    }

    /// Waits for an end that something else brings about.
    pub async fn ended(&mut self) -> Ended {
        let began = Instant::now();
        let limit = STOP_MAX + Duration::from_secs(2);
        let status = tokio::time::timeout(limit, self.child.wait()).await;
        let status = status.expect("the hub did not stop").expect("a child");
        let ended = Ended {
            code: status.code(),
            took: began.elapsed(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        };
        self.assert_clean_output(&ended);
        ended
    }

    /// Ends it as a crash would (SIGKILL), and keeps its directory and port for [`Self::again`].
    pub async fn crash(&mut self) {
        self.child.kill().await.expect("a hub that runs");
    }

    /// Starts it again after an end, in the same directory and on the same port.
    pub async fn again(self) -> Self {
        let already = self.stdout().len();
        let mut hub = self.launch_again();
        hub.listens(already).await;
        hub
    }

    /// As [`Self::again`], without waiting for anything.
    pub fn launch_again(mut self) -> Self {
        if self.port() != 0 {
            let port = self.port().to_string();
            self.start.environment.insert("PORT".into(), port);
        }
        let start = std::mem::replace(&mut self.start, Self::with());
        let empty = tempfile::tempdir().expect("a directory");
        let directory = std::mem::replace(&mut self.directory, empty);
        Self::launch(start, directory)
    }

    fn assert_clean_output(&self, ended: &Ended) {
        assert!(
            !ended.stderr.contains("panicked at"),
            "the hub panicked:\n{}",
            ended.stderr
        );
        // Only a hub in development mode shows a token, on purpose.
        let shows = |word: &String| word == "--dev" || word == "demo";
        if !self.start.arguments.iter().any(shows) {
            let all = format!("{}{}", ended.stdout, ended.stderr);
            let leak = all.lines().find(|line| has_jwt(line));
            assert_eq!(leak, None, "a token was written");
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- stdout of the hub\n{}", self.stdout());
            eprintln!("--- stderr of the hub\n{}", self.stderr());
        }
    }
}

/// `config` with the driver of connections that all tests are to be run with, where one is named.
fn with_driver(config: &str) -> Option<String> {
    let driver = std::env::var("IT_DRIVER").ok()?;
    let line = format!("[outgoing]\ndriver = \"{driver}\"\n");
    let (before, after) = match config.split_once("[outgoing]\n") {
        Some((before, after)) => (before.to_owned(), after),
        None => (format!("{config}\n"), ""),
    };
    (!config.contains("driver =")).then(|| format!("{before}{line}{after}"))
}

fn announced(stdout: &str) -> Option<SocketAddr> {
    let (_, rest) = stdout.split_once(ANNOUNCEMENT)?;
    let (_, rest) = rest.split_once("://")?;
    // A line that is not complete may lack a digit of the port.
    let (address, _) = rest.split_once(['\n', ' ', '/'])?;
    address.trim().parse().ok()
}

/// Every JWT begins with the base64 of `{"`, and so does the payload after its first dot.
fn has_jwt(line: &str) -> bool {
    line.match_indices("eyJ")
        .any(|(at, _)| line[at..].contains(".eyJ"))
}

#[test]
fn the_announced_address_is_read_once_it_is_complete() {
    for (stdout, expected) in [
        ("", None),
        ("listening on http://127.0.0.1:30", None),
        (
            "listening on http://127.0.0.1:3001\n",
            Some("127.0.0.1:3001"),
        ),
        (
            "hello\nlistening on https://[::1]:5/ as x\n",
            Some("[::1]:5"),
        ),
    ] {
        assert_eq!(
            announced(stdout),
            expected.map(|text| text.parse().unwrap()),
            "{stdout:?}"
        );
    }
}

#[test]
fn a_token_in_the_output_is_found() {
    assert!(has_jwt(&format!(
        "GET /stream?token={}",
        token::admin("ada")
    )));
    assert!(!has_jwt("eyJ alone, or a.b.c"));
}
