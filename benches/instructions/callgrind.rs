//! Valgrind's callgrind, which runs a program and counts its instructions.

use std::env::current_exe;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The function whose instructions are counted, with all that it calls. However its crate is called, and
/// without `no_mangle`: that is unsafe, since nobody sees whether something else has the name.
const MEASURED: &str = "*::scenario::measured";

/// Runs this program with one scenario. Returns the instructions of one delivery, or of one message
/// where nobody gets it, and leaves the profile in `target/tmp`.
///
/// # Errors
/// There is no valgrind, the scenario failed, or the program has no symbols.
pub fn count(scenario: &str) -> Result<f64> {
    let file = format!("callgrind.{}.out", scenario.replace(' ', "-"));
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    let mut callgrind = Command::new("valgrind");
    callgrind
        .args(["--tool=callgrind", "--quiet", "--vgdb=no"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(current_exe()?)
        .args(["--run", scenario])
        .stderr(Stdio::inherit());
    let ran = callgrind.output().context("valgrind is needed")?;
    ensure!(ran.status.success(), "valgrind ended with {}", ran.status);

    let divisor: u64 = String::from_utf8(ran.stdout)?.trim().parse()?;
    let instructions =
        total(&fs::read_to_string(&profile)?).context("a profile without a total")?;
    ensure!(divisor > 0 && instructions > 0, "nothing was counted");
    Ok(instructions as f64 / divisor as f64)
}

/// Of a file in callgrind's format, where instructions are all that was counted.
fn total(profile: &str) -> Option<u64> {
    let line = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    line?.trim().parse().ok()
}
