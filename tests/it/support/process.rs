//! What a running hub takes of the machine, by the kernel's own books.

use std::fs;
use std::time::Duration;

use tokio::process::Command;

use super::hub::{Hub, Start};

/// For how long a hub is watched that should have nothing to do.
const WATCHED: Duration = Duration::from_millis(400);

/// The kernel shows times in hundredths of a second, on every architecture.
const TICKS_PER_SECOND: u64 = 100;

impl Start {
    /// How many descriptors it may have open, as `ulimit -n` sets it.
    pub fn descriptors_max(mut self, max: usize) -> Self {
        self.descriptors_max = Some(max);
        self
    }
}

/// The program, which may have so many descriptors open.
pub fn program(descriptors_max: Option<usize>) -> Command {
    let program = env!("CARGO_BIN_EXE_statshub");
    let Some(max) = descriptors_max else {
        return Command::new(program);
    };
    let mut shell = Command::new("/bin/sh");
    let script = r#"ulimit -n "$0" && exec "$@""#;
    shell.args(["-c", script, &max.to_string(), program]);
    shell
}

impl Hub {
    /// Bytes of memory that it has in use now.
    pub fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most it ever had.
    pub fn memory_peak(&self) -> usize {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> usize {
        let text = self.proc("status");
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let kilobytes =
            line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        1024 * kilobytes.unwrap_or_else(|| panic!("no {field} in {text}"))
    }

    /// Descriptors that it has open, sockets among them.
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.process_id());
        fs::read_dir(path).expect("a hub that runs").count()
    }

    /// Processor time used so far, by all threads.
    pub fn cpu_time(&self) -> Duration {
        let stat = self.proc("stat");
        // The name, which stands in brackets, may hold anything.
        let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
        let field = |nth: usize| rest.split_whitespace().nth(nth)?.parse::<u64>().ok();
        let (user, system) = (field(11).expect("utime"), field(12).expect("stime"));
        Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND)
    }

    /// Asserts that it has nothing to do, whatever was done to it before. A thread that goes round in
    /// circles takes what it can get of a core; a hub at rest takes next to nothing, however busy
    /// the machine is with something else.
    pub async fn is_at_rest(&self) {
        let before = self.cpu_time();
        tokio::time::sleep(WATCHED).await;
        let used = self.cpu_time() - before;
        assert!(
            used < WATCHED / 4,
            "{used:?} of {WATCHED:?} without a reason"
        );
    }

    fn proc(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.process_id());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}
