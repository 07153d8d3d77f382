//! `bench`: how much a running hub can do, or another server, measured by the load generator.
//!
//! What the flags say becomes a plan, with the addresses and tokens that `load` wants ready made;
//! the result is printed for people or for programs.

mod flags;
mod plan;
mod show;

use std::io::Write;

use super::Environment;
use crate::load;
pub use flags::Bench;

/// Measures, and prints what was seen.
///
/// # Errors
/// No token, no server there, or one that refuses.
pub fn run(wanted: &Bench, environment: &Environment, out: &mut impl Write) -> anyhow::Result<()> {
    let plan = plan::plan(wanted, environment)?;
    let mut screen = show::Screen::new();
    let report = load::run(&plan, &mut |progress| screen.show(progress));
    screen.clear();
    let report = report?;
    match wanted.json {
        true => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        false => show::write(out, &report)?,
    }
    Ok(())
}
