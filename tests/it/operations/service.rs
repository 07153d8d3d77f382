//! What a service manager is told over its socket, what it may pass, and the unit that says so.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::UnixDatagram;

use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::{in_time, token};

/// As systemd has it: a socket that the service's messages come to.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _directory: TempDir,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        Self {
            socket,
            path,
            _directory: directory,
        }
    }

    fn path(&self) -> &str {
        self.path.to_str().expect("UTF-8")
    }

    /// The next message, as lines.
    async fn told(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let received = self.socket.recv(&mut bytes);
        let length = in_time("a message to the service manager", received).await;
        let length = length.expect("a message");
        let text = std::str::from_utf8(&bytes[..length]).expect("UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    /// The next message that is no sign of life.
    async fn told_besides_signs(&self) -> Vec<String> {
        loop {
            let told = self.told().await;
            if told != ["WATCHDOG=1"] {
                return told;
            }
        }
    }
}

#[tokio::test]
async fn a_service_manager_hears_of_each_stage() {
    let manager = Manager::new();
    let hub = Hub::with().env("NOTIFY_SOCKET", manager.path());
    let hub = hub.start().await;
    let listening = format!("STATUS=listening on {}", hub.address);
    assert_eq!(manager.told().await, ["READY=1", &listening]);
    hub.signal(Signal::HUP);
    let told = manager.told().await;
    assert_eq!(told[0], "RELOADING=1");
    let time = told[1].strip_prefix("MONOTONIC_USEC=");
    assert!(
        time.is_some_and(|time| time.parse::<u64>().is_ok()),
        "{told:?}"
    );
    assert_eq!(manager.told().await, ["READY=1", &listening]);
    hub.stop().await;
    assert_eq!(manager.told().await[0], "STOPPING=1");
}

#[tokio::test]
async fn signs_of_life_come_where_they_are_wanted_until_the_end() {
    let manager = Manager::new();
    let hub = Hub::with()
        .env("NOTIFY_SOCKET", manager.path())
        .env("WATCHDOG_USEC", "60000");
    let hub = hub.start().await;
    assert_eq!(manager.told().await[0], "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.told().await, ["WATCHDOG=1"]);
    }
    hub.signal(Signal::HUP);
    assert_eq!(manager.told_besides_signs().await[0], "RELOADING=1");
    assert_eq!(manager.told_besides_signs().await[0], "READY=1");
    assert_eq!(manager.told().await, ["WATCHDOG=1"]);
    hub.stop().await;
    assert_eq!(manager.told_besides_signs().await[0], "STOPPING=1");
}

#[tokio::test]
async fn signs_that_are_meant_for_another_process_are_not_given() {
    let manager = Manager::new();
    let hub = Hub::with()
        .env("NOTIFY_SOCKET", manager.path())
        .env("WATCHDOG_USEC", "30000")
        .env("WATCHDOG_PID", "1");
    let hub = hub.start().await;
    assert_eq!(manager.told().await[0], "READY=1");
    hub.stop().await;
    assert_eq!(manager.told().await[0], "STOPPING=1");
}

#[tokio::test]
async fn a_manager_that_does_not_listen_is_no_reason_not_to_serve() {
    let hub = Hub::with().env("NOTIFY_SOCKET", "/nowhere/notify");
    let hub = hub.start().await;
    hub.logged("the service manager cannot be told").await;
    hub.stop().await;
}

/// The program with a socket that somebody has opened, as the third descriptor.
fn passed(listener: &TcpListener, arguments: &str) -> tokio::process::Command {
    let socket: OwnedFd = listener.try_clone().expect("a socket").into();
    let script =
        format!("exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" {arguments}");
    let mut command = tokio::process::Command::new("sh");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_statshub")])
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .env_clear()
        .env("JWT_SECRET", token::SECRET)
        // Nobody could listen there.
        .env("HOST", "192.0.2.1")
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn who_came_before_the_hub_waits_on_the_socket_that_was_passed_to_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let api = Api::at(format!("http://{address}"), Some(token::admin("ada")));
    let directory = tempfile::tempdir().expect("a directory");
    let start = async {
        let mut command = passed(&listener, "serve");
        command
            .current_dir(directory.path())
            .spawn()
            .expect("a hub")
    };
    let (answer, mut hub) = tokio::join!(api.get("/metrics"), start);
    assert_eq!(answer.status, 200);
    let process = hub.id().and_then(|id| i32::try_from(id).ok());
    let process = process.and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(process.expect("a process"), Signal::TERM).expect("a signal");
    let status = in_time("the hub to stop", hub.wait()).await;
    assert!(status.expect("a child").success());
    // It is its owner's still, who may pass it to the next.
    std::net::TcpStream::connect(address).expect("a port that is open");
}

#[tokio::test]
async fn development_mode_takes_no_socket_that_others_reach() {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = passed(&listener, "serve --dev");
    command.env_remove("HOST").current_dir(directory.path());
    let output = in_time("the program to end", command.output()).await;
    let output = output.expect("the program can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("development mode stays on loopback"),
        "{said}"
    );
}

/// systemd's own word on the units, with the program where the build has put it. `None` where it is not here.
fn analyzed(arguments: &[&str]) -> Option<Output> {
    let directory = tempfile::tempdir().expect("a directory");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    for name in ["statshub.service", "statshub.socket"] {
        let text = std::fs::read_to_string(shipped.join(name)).expect("a unit");
        let text = text.replace(
            "ExecStart=statshub",
            &format!("ExecStart={}", env!("CARGO_BIN_EXE_statshub")),
        );
        std::fs::write(directory.path().join(name), text).expect("a file");
    }
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).current_dir(directory.path());
    command.args(["./statshub.service"]);
    if arguments.contains(&"verify") {
        command.arg("./statshub.socket");
    }
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("SKIPPED: systemd-analyze: {error}");
            None
        }
    }
}

#[test]
fn systemd_takes_the_units_and_finds_little_exposed() {
    // Of 10, in tenths.
    for arguments in [
        &["verify", "--man=no"][..],
        &["security", "--offline=true", "--no-pager", "--threshold=15"],
    ] {
        if let Some(output) = analyzed(arguments) {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(output.status.success(), "{arguments:?}: {said}");
            assert!(!said.contains("Unknown"), "{said}");
        }
    }
}

#[test]
fn the_unit_says_what_the_program_does() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd/statshub.service");
    let unit = std::fs::read_to_string(unit).expect("a unit");
    for line in ["Type=notify", "NotifyAccess=main", "WatchdogSec=30"] {
        assert!(unit.lines().any(|it| it == line), "{line}");
    }
}
