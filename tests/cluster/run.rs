//! Runs scenarios, each test one, and says how to run one again.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::plans::{self, Plan};
use crate::ran::Ran;
use crate::support::rng::Rng;
use crate::support::within;
use crate::world::World;

/// Scenarios are about who is late, and on a busy machine everybody is.
pub static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// From the start of the servers to the verdict.
const LIMIT: Duration = Duration::from_secs(90);

const SEED: &str = "CLUSTER_SEED";
const SOAK_SECONDS: &str = "CLUSTER_SOAK_SECONDS";

pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

async fn one(name: &str, plan: Plan) {
    if let Err(text) = run(name, plan, number(SEED).unwrap_or(1)).await {
        panic!("{text}");
    }
}

/// What is wrong with it.
async fn run(name: &str, plan: Plan, seed: u64) -> Result<(), String> {
    let _turn = AT_ONCE.acquire().await.expect("never closed");
    eprintln!("{name}, again with {SEED}={seed} cargo test --test cluster {name}");
    let scenario = plan(&mut Rng::new(seed));
    let steps = format!("{:#?}", scenario.steps);
    let running = async { World::start(scenario, seed).await.run().await };
    let ran = within(LIMIT, "the scenario to end", running).await;
    eprintln!("{name}: {}", ran.summary());
    assert!(ran.saw_something(), "{name} has nothing to show");
    if ran.violations.is_empty() {
        return Ok(());
    }
    let folder = keep(name, seed, &ran, &steps);
    let list: Vec<String> = ran
        .violations
        .iter()
        .take(12)
        .map(ToString::to_string)
        .collect();
    Err(format!(
        "{name} with {SEED}={seed}: {} violations, records and logs in {}\n{}",
        ran.violations.len(),
        folder.display(),
        list.join("\n")
    ))
}

/// Everything there is about a run that went wrong.
fn keep(name: &str, seed: u64, ran: &Ran, steps: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{name}-{seed}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).expect("a file");
    let mut text = String::new();
    for violation in &ran.violations {
        let _ = writeln!(text, "{violation}");
    }
    write("violations", &text);
    let mut text = format!("{steps}\nfailures {:?}\n", ran.record.failures);
    for client in &ran.record.clients {
        let _ = writeln!(
            text,
            "\n{} {} {:?}",
            client.name, client.user, client.patterns
        );
        for (at, event) in &client.events {
            let _ = writeln!(text, "{at:>6} {event:?}");
        }
    }
    write("clients", &text);
    let mut text = String::new();
    for publish in &ran.record.publishes {
        let _ = writeln!(text, "{publish:?}");
    }
    write("publishes", &text);
    for (hub, log) in ran.hub_logs.iter().enumerate() {
        write(&format!("hub-{hub}.log"), log);
    }
    write("redis.log", &ran.server_logs);
    folder
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        /// By name.
        const ALL: &[(&str, Plan)] = &[$((stringify!($name), plans::$name)),*];

        $(#[tokio::test]
        async fn $name() {
            one(stringify!($name), plans::$name).await;
        })*
    };
}

scenarios! {
    // Failure: clients come and go, and hubs too.
    one_hub_alone_is_killed
    clients_of_one_hub_alone_come_and_go
    backlogs_of_one_hub_alone_overflow
    nothing_goes_wrong
    clients_go_from_hub_to_hub
    backlogs_overflow
    a_session_is_resumed_twice_at_once
    a_user_at_the_limit_loses_a_hub
    a_hub_is_killed
    a_hub_stops_politely
    hubs_are_exchanged_one_by_one
    all_hubs_are_killed_at_once
    a_hub_stands_still_and_wakes_up
    a_hub_comes_back_while_it_is_quiet
    a_hub_is_added_while_it_is_quiet
    a_hub_starts_while_redis_is_down
    // Failure: the way to Redis is cut, slow, or leads nowhere.
    a_link_is_cut_again_and_again
    a_link_is_cut_for_long
    a_link_is_slow
    a_link_stalls
    a_link_loses_answers
    a_link_is_a_black_hole
    clients_come_to_a_hub_that_is_cut_off
    clients_come_to_a_hub_whose_link_stalls
    all_links_are_cut
    the_log_is_trimmed_under_a_stalled_hub
    // Failure: Redis is killed, empty, full, read-only, or another one.
    redis_is_killed_and_has_its_data
    redis_is_killed_and_has_nothing
    everything_is_flushed
    redis_stands_still_for_five_seconds
    redis_is_full
    redis_lacks_replicas
    redis_may_only_be_read
    a_failover_loses_the_tail
    a_failover_loses_nothing_that_is_replicated
    an_old_primary_lives_on_for_one_hub
    an_old_primary_lives_on_and_is_not_believed
    a_node_of_a_cluster_is_killed
    anything
}

/// Any scenario with any seed, every other time anything at once, for as long as the variable says.
#[tokio::test]
#[ignore = "runs for as long as CLUSTER_SOAK_SECONDS says"]
async fn soak() {
    let seconds = number(SOAK_SECONDS).unwrap_or(60);
    let first = number(SEED).unwrap_or_else(rand::random);
    let began = Instant::now();
    let mut wrong = Vec::new();
    for nth in 0.. {
        if began.elapsed() > Duration::from_secs(seconds) {
            break;
        }
        let seed = first.wrapping_add(nth);
        let (name, plan) = match nth % 2 {
            0 => ("anything", plans::anything as Plan),
            _ => ALL[Rng::new(seed).below(ALL.len())],
        };
        if let Err(text) = run(name, plan, seed).await {
            eprintln!("{text}");
            wrong.push(format!("{name} {seed}"));
        }
    }
    assert!(wrong.is_empty(), "went wrong: {wrong:#?}");
}
