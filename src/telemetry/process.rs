//! What the operating system counts of this process, under the names that every client library of
//! Prometheus has for it.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::exposition::Out;

/// At one moment. What cannot be read is left out.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Process {
    pub open_fds: Option<u64>,
    pub max_fds: Option<u64>,
    pub resident_bytes: u64,
    pub cpu_seconds: f64,
    /// Seconds since the Unix epoch.
    pub started_at: u64,
}

impl Process {
    /// Asks the kernel, which takes milliseconds where many files are open: nothing for a thread that has
    /// others to serve. `None` where it does not say.
    pub fn read() -> Option<Self> {
        let id = sysinfo::get_current_pid().ok()?;
        let mut system = System::new().ok()?;
        let wanted = ProcessRefreshKind::nothing()
            .with_memory()
            .with_cpu()
            .without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, wanted);
        let process = system.process(id)?;
        Some(Self {
            open_fds: process.open_files().map(|files| files as u64),
            max_fds: rlimit::Resource::NOFILE.get_soft().ok(),
            resident_bytes: process.memory(),
            cpu_seconds: process.accumulated_cpu_time() as f64 / 1e3,
            started_at: process.start_time(),
        })
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        if let Some(open) = &self.open_fds {
            out.gauge("open_fds", "File descriptors that are open.", None, open)?;
        }
        if let Some(max) = &self.max_fds {
            out.gauge("max_fds", "File descriptors that may be open.", None, max)?;
        }
        let (bytes, seconds) = (Some(&Unit::Bytes), Some(&Unit::Seconds));
        let help = "Memory in use.";
        out.gauge("resident_memory", help, bytes, &self.resident_bytes)?;
        let help = "Processor time spent, the user's and the system's.";
        out.describe("cpu", help, seconds, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, f64>(&self.cpu_seconds, None)?;
        let help = "When it was started, since the Unix epoch.";
        out.gauge("start_time", help, seconds, &self.started_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_of_itself() {
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        let process = Process::read().expect("this is Linux");
        assert!(process.open_fds > Some(3) && process.open_fds < process.max_fds);
        assert!(process.resident_bytes > 1 << 20);
        let now = jiff::Timestamp::now().as_second() as u64;
        assert!(process.started_at <= now && process.started_at > 1_600_000_000);
        while Process::read().unwrap().cpu_seconds <= process.cpu_seconds {}
        drop(file);
    }
}
