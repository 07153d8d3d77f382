//! The program, as a child that is killed at the end.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const SECRET: &str = "a secret for the benchmark alone: 4711";

pub struct Hub {
    pub address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Hub {
    pub fn start(durability: &str, audit: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Every publish in the trail, as none would be summed up.
        let config = format!(
            "[store]\ndurability = \"{durability}\"\n[audit]\nenabled = {audit}\n\
             alike_per_hour = 1000000000\n[log]\nfilter = \"error\"\n[limits]\nper_ip_per_second = 1000000\n\
             per_ip_burst = 1000000\nper_user_per_second = 1000000\nper_user_burst = 1000000\n"
        );
        std::fs::write(folder.path().join("config.toml"), config).expect("a config.toml");
        let (child, address) = launch(&folder);
        Self {
            address,
            child,
            folder,
        }
    }

    /// Returns how long it took from the start of the program until it listens.
    pub fn kill_and_start(&mut self) -> Duration {
        self.end();
        let began = Instant::now();
        (self.child, self.address) = launch(&self.folder);
        began.elapsed()
    }

    pub fn file_bytes(&self) -> u64 {
        let file = self.folder.path().join("statshub.db");
        std::fs::metadata(file).expect("a file").len()
    }

    fn end(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.end();
    }
}

fn launch(folder: &TempDir) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_statshub"))
        .current_dir(folder.path())
        .env_clear()
        .env("JWT_SECRET", SECRET)
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let line = stdout.lines().next().expect("a line").expect("text");
    let address = line.trim_start_matches("listening on http://").parse();
    (child, address.expect("an address"))
}
