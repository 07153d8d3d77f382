//! A private MariaDB for one test: fresh, on a Unix socket in a temporary folder, gone afterwards.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(60);

pub struct MariaDb {
    server: Child,
    folder: TempDir,
}

impl MariaDb {
    /// # Panics
    /// When MariaDB is not installed or does not start; a test that needs it must not pass without.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = format!("--datadir={}", folder.path().join("data").display());
        let socket = format!("--socket={}", folder.path().join("socket").display());
        let installed = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=root", "--skip-test-db", &data])
            .arg("--auth-root-authentication-method=normal")
            .output()
            .expect("this test needs MariaDB: apt-get install mariadb-server");
        let said = String::from_utf8_lossy(&installed.stderr);
        assert!(installed.status.success(), "{said}");
        let server = Command::new(program())
            .args(["--no-defaults", "--user=root", "--skip-networking"])
            .args([&data, &socket])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut mariadb = Self { server, folder };
        mariadb.wait_until_ready();
        mariadb
    }

    pub fn url(&self) -> String {
        let socket = self.folder.path().join("socket");
        format!("mysql://root@localhost/mysql?socket={}", socket.display())
    }

    /// The socket is there a moment before the server takes connections.
    fn wait_until_ready(&mut self) {
        let began = Instant::now();
        while UnixStream::connect(self.folder.path().join("socket")).is_err() {
            let ended = self.server.try_wait().unwrap();
            assert!(ended.is_none(), "MariaDB ended: {ended:?}");
            assert!(began.elapsed() < START_TIMEOUT, "MariaDB did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for MariaDb {
    /// Nothing in it is worth a clean stop.
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Ordinary users rarely have `/usr/sbin` on their path.
fn program() -> PathBuf {
    let usual = PathBuf::from("/usr/sbin/mariadbd");
    if usual.exists() {
        usual
    } else {
        "mariadbd".into()
    }
}
