//! Counts the instructions of one delivery, and fails where they have become more.
//!
//! What a clock tells on a shared machine is off by tens of percent; instructions are nearly the same
//! at every run, so a regression of a few percent is seen at once. Counted is our own work, from a
//! publisher's call to the bytes that a socket is handed. The kernel's is not: the sockets of the
//! [`harness`] only count bytes.
//!
//! The program runs itself under callgrind, once for each [`scenario`], and compares with
//! `baseline.json`. How to run it and read the profiles: docs/performance.md.

mod baseline;
mod callgrind;
mod harness;
mod scenario;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use indexmap::IndexMap;

use baseline::Baseline;
use scenario::{SCENARIOS, Scenario};

/// Above this ratio to the baseline the run fails. The same program varies by less than a hundredth;
/// the rest is for another libc.
const REGRESSION: f64 = 1.05;
/// Below it the baseline is too high to notice when what was won is lost again.
const IMPROVEMENT: f64 = 0.95;
const ACCEPT: &str = "run with --write-baseline to accept";

#[derive(Parser)]
struct Arguments {
    /// Accept what is counted now as the baseline.
    #[arg(long)]
    write_baseline: bool,
    /// Run one scenario, for callgrind, and print by what its instructions are to be divided.
    #[arg(long, hide = true, value_name = "SCENARIO")]
    run: Option<String>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(name) = arguments.run {
        let named = SCENARIOS.iter().find(|scenario| scenario.name == name);
        println!("{}", named.context("no such scenario")?.run());
        return Ok(ExitCode::SUCCESS);
    }
    let mut counts = IndexMap::new();
    for Scenario { name, .. } in SCENARIOS {
        counts.insert(name.to_owned(), callgrind::count(name).context(name)?);
    }
    let counted = Baseline::of(counts);
    if arguments.write_baseline {
        counted.write()?;
    }
    compare(&counted, &Baseline::read()?)
}

/// Prints both, and fails where there is a regression.
fn compare(counted: &Baseline, baseline: &Baseline) -> Result<ExitCode> {
    if counted.arch != baseline.arch {
        println!(
            "not compared, the baseline is for {}: {counted:#?}",
            baseline.arch
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{:20}{:>10}{:>10}{:>8}",
        "instructions", "baseline", "now", "ratio"
    );
    let mut exit_code = ExitCode::SUCCESS;
    for (scenario, now) in &counted.instructions {
        let before = baseline.instructions.get(scenario);
        let before = before.with_context(|| format!("no baseline for {scenario}: {ACCEPT}"))?;
        let ratio = now / before;
        print!("{scenario:20}{before:>10.1}{now:>10.1}{ratio:>8.3}");
        match ratio {
            ..IMPROVEMENT => println!("  improved: {ACCEPT}, or it may be lost unnoticed"),
            ..=REGRESSION => println!(),
            _ => {
                println!("  REGRESSION: {ACCEPT}");
                exit_code = ExitCode::FAILURE;
            }
        }
    }
    Ok(exit_code)
}
