//! A private PostgreSQL for one test: fresh, on a Unix socket in a temporary folder, gone afterwards.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const USER: &str = "postgres";

pub struct Postgres {
    server: Child,
    folder: TempDir,
}

impl Postgres {
    /// # Panics
    /// When PostgreSQL is not installed or does not start; a test that needs it must not pass without.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let bin = binaries();
        if is_root() {
            run(Command::new("chown").arg(USER).arg(folder.path()));
        }
        let mut initdb = unprivileged(&bin.join("initdb"), folder.path());
        initdb.args([
            "--auth=trust",
            "--no-sync",
            "--username=statshub",
            "--encoding=UTF8",
        ]);
        run(initdb.arg("--pgdata").arg(&data));
        let mut server = unprivileged(&bin.join("postgres"), folder.path());
        server.arg("-D").arg(&data).arg("-k").arg(folder.path());
        server.args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        let server = server
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let postgres = Self { server, folder };
        postgres.wait_until_ready(&bin);
        postgres
    }

    pub fn url(&self) -> String {
        format!(
            "postgres://statshub@localhost/postgres?host={}",
            self.folder.path().display()
        )
    }

    fn wait_until_ready(&self, bin: &Path) {
        let began = Instant::now();
        let mut ready = Command::new(bin.join("pg_isready"));
        ready.arg("-q").arg("-h").arg(self.folder.path());
        while !ready.status().unwrap().success() {
            assert!(began.elapsed() < START_TIMEOUT, "PostgreSQL did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postgres {
    /// SIGQUIT is PostgreSQL's way to stop at once and still give its shared memory back.
    fn drop(&mut self) {
        let pid = self.server.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.server.wait();
    }
}

/// The newest installed version's folder of programs.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    let mut installed: Vec<_> = folders.filter(|bin| bin.join("initdb").exists()).collect();
    installed.sort();
    installed
        .pop()
        .expect("this test needs PostgreSQL: apt-get install postgresql")
}

/// PostgreSQL refuses to run as root, and in containers tests often do.
fn unprivileged(program: &Path, folder: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]);
    command.arg(program).current_dir(folder);
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
