//! A private PostgreSQL for one test: fresh, on a Unix socket in a temporary folder, gone afterwards.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const USER: &str = "postgres";

pub struct Postgres {
    /// `None`: stopped.
    server: Option<Child>,
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
        let mut postgres = Self {
            server: None,
            folder,
        };
        postgres.start_again();
        postgres
    }

    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Of a database that somebody has to make first.
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://statshub@localhost/{database}?host={}",
            self.folder().display()
        )
    }

    /// Where its socket is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops it at once, as a crash would; what was committed is there when it starts again.
    ///
    /// SIGQUIT is PostgreSQL's way to do so and still give its shared memory back.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let pid = server.id().to_string();
            let _ = Command::new("kill").args(["-QUIT", &pid]).status();
            let _ = server.wait();
        }
    }

    /// After a stop.
    pub fn start_again(&mut self) {
        let (bin, folder) = (binaries(), self.folder());
        let mut server = unprivileged(&bin.join("postgres"), folder);
        server
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(folder);
        server.args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        let server = server
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.server = Some(server);
        self.wait_until_ready(&bin);
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
    fn drop(&mut self) {
        self.stop();
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
