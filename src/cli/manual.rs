//! `man` and `completions`: what packages bring besides the program, made from the command line itself.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Arguments;

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell that is to complete
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// Writes a page for each command as well, all of them as files in this directory
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// Prints a script that the shell is to read.
///
/// # Errors
/// Standard output cannot be written.
pub fn completions(wanted: &Completions, out: &mut impl Write) -> anyhow::Result<()> {
    // By way of memory: the generator panics where it cannot write.
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(wanted.shell, &mut command, "statshub", &mut script);
    Ok(out.write_all(&script)?)
}

/// Prints the manual page, or writes all of them.
///
/// # Errors
/// The directory or standard output cannot be written.
pub fn man(wanted: &Man, out: &mut impl Write) -> anyhow::Result<()> {
    let command = Arguments::command();
    match &wanted.to {
        None => Ok(clap_mangen::Man::new(command).render(out)?),
        Some(directory) => fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .with_context(|| format!("{} cannot be written", directory.display())),
    }
}
