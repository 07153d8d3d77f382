//! `man` and `completions`: what packages bring besides the program, made from the command line itself.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, roman};

use super::Arguments;
use crate::config::VARIABLES;

/// What the command line cannot tell of itself.
const SECTIONS: [(&str, &[(&str, &str)]); 3] = [
    (
        "FILES",
        &[
            (
                "config.toml",
                "The settings, in the working directory unless --config names another file.",
            ),
            (
                "statshub.db",
                "The store, unless store.file names another one; beside it -wal, -shm and -lock.",
            ),
        ],
    ),
    (
        "SIGNALS",
        &[
            (
                "TERM, INT",
                "Streams are told to come back, requests are finished, exit 0. A second one stops at once.",
            ),
            (
                "HUP",
                "Takes over the settings that can change while running, and says which cannot.",
            ),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "Done; the hub has stopped in order."),
            ("1", "Failed; one line on standard error says why."),
            (
                "2",
                "The settings or the arguments are wrong; one line says which.",
            ),
        ],
    ),
];

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
    let Some(directory) = &wanted.to else {
        return Ok(render(out)?);
    };
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), directory))
        .and_then(|()| fs::File::create(directory.join("statshub.1")))
        .and_then(|mut file| render(&mut file))
        .with_context(|| format!("{} cannot be written", directory.display()))
}

/// The page of the program itself.
fn render(out: &mut dyn Write) -> std::io::Result<()> {
    clap_mangen::Man::new(Arguments::command()).render(out)?;
    let mut more = Roff::new();
    more.control("SH", ["ENVIRONMENT"]);
    for (variable, key) in VARIABLES {
        let goes_over = match key {
            Some(key) => format!("Goes over {key} of the settings."),
            None => "Of sources of kind sql that name no URL.".to_owned(),
        };
        entry(&mut more, variable, &goes_over);
    }
    for (title, entries) in SECTIONS {
        more.control("SH", [title]);
        for (name, text) in entries {
            entry(&mut more, name, text);
        }
    }
    more.to_writer(out)
}

fn entry(page: &mut Roff, name: &str, text: &str) {
    page.control("TP", []);
    page.text([bold(name)]);
    page.text([roman(text)]);
}
