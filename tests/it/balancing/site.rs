//! A proxy as a child process, run with the file that is shipped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::sse::{SseClient, bearer};
use crate::support::websocket::WsClient;
use crate::support::{A, START_PATIENCE, eventually, within};

/// Where nobody listens, for hubs that there are fewer of than in the file.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// A port that was free may be taken when the proxy wants it.
const STARTS_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    HaProxy,
    Caddy,
}

impl Kind {
    /// Those to test with. Not every release of Debian and Ubuntu has Caddy, the others must be there.
    pub fn installed() -> impl Iterator<Item = Self> {
        let caddy = Command::new("caddy").arg("version").output();
        let caddy = caddy.is_ok().then_some(Self::Caddy);
        [Self::Nginx, Self::HaProxy].into_iter().chain(caddy)
    }

    /// Below `examples`.
    fn file(self) -> &'static str {
        match self {
            Self::Nginx => "nginx/nginx.conf",
            Self::HaProxy => "haproxy/haproxy.cfg",
            Self::Caddy => "caddy/Caddyfile",
        }
    }

    /// What stands for this machine in the file, and what for `port` of it.
    fn listener(self, port: u16) -> [(&'static str, String); 1] {
        [match self {
            Self::Nginx => ("listen 8080;", format!("listen 127.0.0.1:{port};")),
            Self::HaProxy => ("bind :8080 ", format!("bind 127.0.0.1:{port} ")),
            Self::Caddy => (
                "http://:8080 {",
                format!("http://:{port} {{\n\tbind 127.0.0.1"),
            ),
        }]
    }

    /// Files and sockets outside of its directory.
    fn surroundings(self, directory: &Path) -> Vec<(&'static str, String)> {
        let directory = directory.display();
        match self {
            Self::Nginx => vec![
                ("/var/log/nginx/", format!("{directory}/")),
                ("/run/nginx.pid", format!("{directory}/nginx.pid")),
            ],
            Self::HaProxy => vec![],
            Self::Caddy => vec![(
                "admin localhost:2019",
                format!("admin unix/{directory}/admin"),
            )],
        }
    }

    /// The command that runs `file`, or only checks it.
    fn command(self, file: &Path, checks: bool) -> Command {
        let program = |name: &str| {
            let in_sbin = PathBuf::from("/usr/sbin").join(name);
            Command::new(if in_sbin.exists() {
                in_sbin
            } else {
                name.into()
            })
        };
        let mut command;
        match self {
            Self::Nginx => {
                command = program("nginx");
                match checks {
                    true => command.arg("-t"),
                    false => command.args(["-g", "daemon off;"]),
                };
                command.arg("-c").arg(file);
            }
            Self::HaProxy => {
                command = program("haproxy");
                command.arg(if checks { "-c" } else { "-db" });
                command.arg("-f").arg(file);
            }
            Self::Caddy => {
                command = program("caddy");
                command.arg(if checks { "validate" } else { "run" });
                command.args(["--adapter", "caddyfile", "--config"]);
                command.arg(file);
            }
        }
        let home = file.parent().expect("a directory");
        command.current_dir(home).env("HOME", home);
        command.env_remove("XDG_CONFIG_HOME");
        command.env_remove("XDG_DATA_HOME");
        command
    }
}

/// A running proxy. Stopped when dropped; when its test has failed, what it wrote is shown.
pub struct Site {
    pub kind: Kind,
    pub address: SocketAddr,
    child: Child,
    directory: TempDir,
}

impl Site {
    /// In front of `hubs`, which are at most as many as in the file.
    pub async fn of(kind: Kind, hubs: &[Hub]) -> Self {
        Self::with(kind, hubs, &[]).await
    }

    /// As [`Self::of`], with other times: pairs of what is in the file and what is to be there.
    pub async fn with(kind: Kind, hubs: &[Hub], more: &[(&str, &str)]) -> Self {
        let addresses: Vec<_> = hubs.iter().map(|hub| hub.address).collect();
        for _ in 0..STARTS_MAX {
            let mut site = Self::launch(kind, &addresses, more);
            let listens = site.listens();
            if within(START_PATIENCE, &format!("{kind:?} to listen"), listens).await {
                return site;
            }
        }
        panic!("{kind:?} did not start");
    }

    fn launch(kind: Kind, hubs: &[SocketAddr], more: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let file = write(kind, directory.path(), port, hubs, more);
        let output = |name: &str| File::create(directory.path().join(name)).expect("a file");
        let child = kind
            .command(&file, false)
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs {kind:?}, see tests/run: {error}"));
        Self {
            kind,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            child,
            directory,
        }
    }

    /// Whether it takes connections; false when it has ended instead.
    async fn listens(&mut self) -> bool {
        loop {
            let ended = self.child.try_wait().expect("a child");
            if let Some(status) = ended {
                eprintln!("{:?} ended with {status}: {}", self.kind, self.wrote());
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn api(&self, token: &str) -> Api {
        Api::at(format!("http://{}", self.address), Some(token.to_owned()))
    }

    /// A stream for `token`, which must be opened; `path` as in `/stream?metrics=a`.
    pub async fn sse(&self, path: &str, token: &str) -> SseClient {
        let client = self
            .sse_with(path, &[("Authorization", &bearer(token))])
            .await;
        assert_eq!(
            client.head.status, 200,
            "{:?}: {:?}",
            self.kind, client.head
        );
        client
    }

    /// Whatever is answered to these headers.
    pub async fn sse_with(&self, path: &str, headers: &[(&str, &str)]) -> SseClient {
        SseClient::open(RawClient::connect(self.address).await, path, headers).await
    }

    pub async fn websocket(&self, query: &str, token: &str) -> WsClient {
        let headers = [("authorization", &*bearer(token))];
        let opened = WsClient::open(&self.websocket_url(query), &headers).await;
        opened.unwrap_or_else(|refused| panic!("{:?}: {refused:?}", self.kind))
    }

    /// As [`Self::websocket`], by a client that tries again where it is refused.
    pub async fn comes_back(&self, query: &str, token: &str) -> WsClient {
        let authorization = bearer(token);
        let headers = [("authorization", &*authorization)];
        let url = self.websocket_url(query);
        let what = format!("{:?} to find a hub", self.kind);
        eventually(&what, async || WsClient::open(&url, &headers).await.ok()).await
    }

    pub fn websocket_url(&self, query: &str) -> String {
        format!("ws://{}{A}/websocket{query}", self.address)
    }

    /// Everything that it has written: logs, and its output.
    pub fn wrote(&self) -> String {
        let files = ["stdout", "stderr", "access.log", "error.log"];
        let texts = files.map(|name| fs::read(self.directory.path().join(name)));
        let texts = texts.into_iter().flatten();
        texts
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {:?}\n{}", self.kind, self.wrote());
        }
        // nginx has children, which it takes along when it is asked to stop. The others are one
        // process, and Caddy would wait for its streams.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        match (self.kind, pid, self.child.try_wait()) {
            (Kind::Nginx, Some(pid), Ok(None)) => drop(kill_process(pid, Signal::TERM)),
            _ => drop(self.child.kill()),
        }
        let _ = self.child.wait();
    }
}

/// The shipped file with other addresses, paths and whatever else is named, in `directory`.
fn write(
    kind: Kind,
    directory: &Path,
    port: u16,
    hubs: &[SocketAddr],
    more: &[(&str, &str)],
) -> PathBuf {
    let mut text = shipped(kind.file());
    let mut replace = |what: &str, with: &str| {
        assert!(text.contains(what), "no {what:?} in {}", kind.file());
        text = text.replace(what, with);
    };
    for nth in 0..3 {
        let hub = hubs.get(nth).unwrap_or(&NOBODY);
        replace(&format!("hub{}:3001", nth + 1), &hub.to_string());
    }
    for (what, with) in kind.listener(port) {
        replace(what, &with);
    }
    for (what, with) in kind.surroundings(directory) {
        replace(what, &with);
    }
    for (what, with) in more {
        replace(what, with);
    }
    let file = directory.join("proxy.conf");
    fs::write(&file, text).expect("a file");
    file
}

/// A file below `examples`.
pub fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// What the proxy's own check says of the shipped file: whether it is good, and the text.
pub fn check(kind: Kind) -> (bool, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write(kind, directory.path(), free_port(), &[], &[]);
    let output = kind
        .command(&file, true)
        .output()
        .expect("the proxy's program");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}
