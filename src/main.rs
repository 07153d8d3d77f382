//! Reads the command line, calls one function, and turns its error into one line and an exit code.

use std::process::ExitCode;

use clap::Parser;
use statshub::cli::{self, Arguments, Environment};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return cli::not_understood(&error).into(),
    };
    let environment = environment();
    let outcome = actix_rt::System::new().block_on(cli::run(arguments, &environment));
    outcome.unwrap_or_else(|error| {
        let code = cli::exit_code(&error);
        if code != 0 {
            eprintln!("statshub: {}", cli::one_line(&error));
        }
        code.into()
    })
}

/// A variable that is no Unicode is none of ours.
fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
