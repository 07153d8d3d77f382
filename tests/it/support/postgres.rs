//! A private PostgreSQL for one test: fresh, on a Unix socket in a temporary folder, gone afterwards.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const USER: &str = "postgres";

pub struct Postgres {
    /// A shell that waits for its standard input to end, and then stops the server: however the tests end,
    /// it does not stay behind. `None`: stopped.
    server: Option<Child>,
    folder: TempDir,
    /// Nobody will drop it.
    is_for_all: bool,
}

impl Postgres {
    /// # Panics
    /// When PostgreSQL is not installed or does not start; a test that needs it must not pass without.
    pub fn start() -> Self {
        Self::begin(false)
    }

    /// One that lives as long as the tests of this process, and then takes its folder with it.
    ///
    /// # Panics
    /// As [`Postgres::start`].
    pub fn start_for_all() -> Self {
        Self::begin(true)
    }

    fn begin(is_for_all: bool) -> Self {
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
            is_for_all,
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

    /// Makes a database.
    pub fn create(&self, name: &str) {
        let mut create = Command::new(binaries().join("createdb"));
        create.arg("-h").arg(self.folder());
        run(create.args(["-U", "statshub", name]));
    }

    /// Stops it at once, as a crash would; what was committed is there when it starts again.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            drop(server.stdin.take());
            let _ = server.wait();
        }
    }

    /// After a stop.
    pub fn start_again(&mut self) {
        // SIGQUIT is PostgreSQL's way to stop at once and still give its shared memory back.
        const WATCH: &str = "folder=$1; shift; \"$@\" & server=$!; cat; \
                             kill -QUIT $server; wait $server; rm -rf \"$folder\"";
        let (bin, folder) = (binaries(), self.folder());
        let mut server = unprivileged(Path::new("sh"), folder);
        server.args(["-c", WATCH, "sh"]);
        server.arg(match self.is_for_all {
            true => folder.as_os_str(),
            false => "".as_ref(),
        });
        server.arg(bin.join("postgres"));
        server
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(folder);
        server.args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        let server = server
            .stdin(Stdio::piped())
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
