//! This machine: CPU, memory, disks, network, load.

use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use sysinfo::{Disks, MINIMUM_CPU_UPDATE_INTERVAL, Networks, System};

use super::{Source, SourceError};
use crate::trace::Span;

/// Reads what the kernel counts. The counters that need two looks (CPU, network rates) tell about the time
/// since the read before.
#[derive(Default)]
pub(super) struct Host(Arc<Mutex<Option<Counters>>>);

impl Source for Host {
    fn read<'a>(&'a self, _: &'a mut Span) -> BoxFuture<'a, Result<Value, SourceError>> {
        let counters = self.0.clone();
        Box::pin(async move {
            // A dead mount can hold a thread for ever, so reads take turns without waiting: one
            // thread at most is lost, not one each interval.
            let read = tokio::task::spawn_blocking(move || match counters.try_lock() {
                Ok(mut counters) => read(&mut counters),
                Err(TryLockError::Poisoned(poisoned)) => read(&mut poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => Err(SourceError::Busy),
            });
            read.await.unwrap_or(Err(SourceError::Panicked))
        })
    }
}

struct Counters {
    system: System,
    disks: Disks,
    networks: Networks,
    read_at: Instant,
}

fn read(counters: &mut Option<Counters>) -> Result<Value, SourceError> {
    let host = |error: sysinfo::Error| SourceError::Host(format!("{error:?}"));
    let counters = match counters {
        Some(counters) => counters,
        none => none.insert(Counters::new().map_err(host)?),
    };
    counters.refresh();
    counters.value().map_err(host)
}

impl Counters {
    fn new() -> Result<Self, sysinfo::Error> {
        let mut system = System::new()?;
        system.refresh_cpu_usage();
        Ok(Self {
            system,
            disks: Disks::new()?,
            networks: Networks::new_with_refreshed_list()?,
            read_at: Instant::now(),
        })
    }

    /// Waits where the last look is too recent for a CPU share to mean anything, as it is the first time.
    fn refresh(&mut self) {
        let wait = MINIMUM_CPU_UPDATE_INTERVAL.saturating_sub(self.read_at.elapsed());
        std::thread::sleep(wait);
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.disks.refresh(true);
    }

    fn value(&mut self) -> Result<Value, sysinfo::Error> {
        let system = &self.system;
        let load = System::load_average()?;
        let cores = system.cpus().iter().map(|cpu| tenth(cpu.usage().into()));
        Ok(json!({
            "cpu": {
                "percent": tenth(system.global_cpu_usage().into()),
                "cores": cores.collect::<Vec<_>>(),
            },
            "load": { "one": load.one, "five": load.five, "fifteen": load.fifteen },
            "memory": {
                "totalBytes": system.total_memory(),
                "usedBytes": system.used_memory(),
                "availableBytes": system.available_memory(),
                "percent": share(system.used_memory(), system.total_memory()),
            },
            "swap": {
                "totalBytes": system.total_swap(),
                "usedBytes": system.used_swap(),
                "percent": share(system.used_swap(), system.total_swap()),
            },
            "disks": self.disks.iter().map(disk).collect::<Vec<_>>(),
            "network": self.network(),
            "hostname": System::host_name()?,
            "uptimeSeconds": System::uptime()?,
        }))
    }

    /// All interfaces together but loopback, which carries no traffic of the machine.
    fn network(&mut self) -> Value {
        let elapsed = self.read_at.elapsed();
        self.networks.refresh(true);
        self.read_at = Instant::now();
        let mut sums = [0; 4];
        for (name, network) in &self.networks {
            if name != "lo" {
                let counts = [
                    network.total_received(),
                    network.total_transmitted(),
                    network.received(),
                    network.transmitted(),
                ];
                (0..4).for_each(|i| sums[i] += counts[i]);
            }
        }
        let [received, sent, received_since, sent_since] = sums;
        json!({
            "receivedBytes": received,
            "sentBytes": sent,
            "receivedBytesPerSecond": per_second(received_since, elapsed),
            "sentBytesPerSecond": per_second(sent_since, elapsed),
        })
    }
}

fn disk(disk: &sysinfo::Disk) -> Value {
    let (total, available) = (disk.total_space(), disk.available_space());
    json!({
        "mount": disk.mount_point().to_string_lossy(),
        "fileSystem": disk.file_system().to_string_lossy(),
        "totalBytes": total,
        "availableBytes": available,
        "percent": share(total.saturating_sub(available), total),
    })
}

/// How many percent `part` is of `whole`; 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        tenth(part as f64 * 100.0 / whole as f64)
    }
}

fn tenth(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    (bytes as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn the_machine_is_told_in_numbers_that_can_be() {
        let host = Host::default();
        for _ in 0..2 {
            let value = host.read(&mut Span::default()).await.unwrap();
            let number = |pointer: &str| {
                value
                    .pointer(pointer)
                    .and_then(Value::as_f64)
                    .unwrap_or_else(|| panic!("{pointer} in {value}"))
            };
            for percent in ["/cpu/percent", "/cpu/cores/0", "/memory/percent"] {
                assert!((0.0..=100.0).contains(&number(percent)), "{percent}");
            }
            assert!(number("/memory/totalBytes") >= number("/memory/usedBytes"));
            assert!(number("/memory/usedBytes") > 0.0);
            for positive in [
                "/uptimeSeconds",
                "/load/one",
                "/swap/totalBytes",
                "/network/receivedBytes",
                "/network/sentBytesPerSecond",
            ] {
                assert!(number(positive) >= 0.0, "{positive}");
            }
            assert!(value["hostname"].is_string() && value["disks"].is_array());
        }
    }

    #[test]
    fn a_read_does_not_wait_for_one_that_hangs() {
        let host = Host::default();
        let _hanging = host.0.lock().unwrap();
        let read = actix::System::new().block_on(host.read(&mut Span::default()));
        assert!(matches!(read, Err(SourceError::Busy)));
    }

    #[test]
    fn shares_are_rounded_and_never_divide_by_nothing() {
        assert_eq!(share(1, 3), 33.3);
        assert_eq!(share(5, 0), 0.0);
        assert_eq!(per_second(1000, Duration::from_millis(500)), 2000);
    }
}
