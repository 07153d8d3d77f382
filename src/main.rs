//! Reads the command line, calls one function, and turns its error into one line and an exit code.

use std::process::ExitCode;

use clap::Parser;
use statshub::cli::{self, Arguments};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return cli::not_understood(&error).into(),
    };
    let outcome = cli::environment(std::env::vars_os())
        .and_then(|it| actix_rt::System::new().block_on(cli::run(arguments, &it)));
    outcome.unwrap_or_else(|error| {
        let code = cli::exit_code(&error);
        if code != 0 {
            eprintln!("statshub: {}", cli::one_line(&error));
        }
        code.into()
    })
}
