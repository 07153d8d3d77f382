//! No descriptor left (`EMFILE`): a crowd that connects and says nothing must not end what there is.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::check_healthy;
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::witness::Witness;

/// More than the hub may take in, fewer than the system keeps waiting for it.
const CROWD: usize = 60;
/// The HTTP layer tries again every half second, and says so each time.
const LINES_MAX: usize = 100;

fn allow(hub: &Hub, descriptors: usize) {
    let current = Some(descriptors as u64);
    let limit = Rlimit {
        current,
        maximum: current,
    };
    let process = Pid::from_raw(hub.process_id() as i32);
    prlimit(process, Resource::Nofile, limit).expect("a limit of our own child");
}

/// Attack: open connections until the process has no descriptor left.
#[tokio::test]
async fn without_descriptors_the_hub_keeps_whom_it_has_and_later_takes_the_others() {
    let hub = Hub::with().config("[http]\nworkers = 1\n").start().await;
    let mut witness = Witness::of(&hub).await;
    witness.is_undisturbed().await;
    allow(&hub, hub.descriptors() + 6);
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(RawClient::connect(hub.address).await);
    }
    hub.logged("Too many open files").await;
    hub.is_at_rest().await;
    for _ in 0..10 {
        witness.is_undisturbed().await;
    }
    crowd.into_iter().for_each(RawClient::reset);
    check_healthy(&hub).await;
    witness.is_undisturbed().await;
    let ended = hub.stop().await;
    let lines = ended.stderr.matches("Too many open files").count();
    assert!(lines < LINES_MAX, "{lines} lines of it");
}
