//! The command line: what each command does, in terms of the rooms behind it.
//!
//! Results go to standard output and everything else to standard error, so that output can be
//! piped. Commands that speak to a running hub (`remote`, `health`, `doctor`) use its public interface only,
//! as any client would; `store` reads the file. This room decides nothing about tokens, settings or messages.

mod arguments;
mod bench;
mod doctor;
mod health;
mod manual;
mod remote;
mod store;
mod token;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use crate::app;
use crate::config::{AuthKeys, ConfigError, Overrides, Settings, VARIABLES};
pub use arguments::Arguments;
use arguments::{Command, ConfigFile, Listen, Serve};

/// Variables of the process environment by name.
pub type Environment = BTreeMap<String, String>;

/// The variables that are text. One that is not may be anybody's, but none that we would look at.
///
/// # Errors
/// It is one that the settings have: to pass it over would be to run with a default unnoticed.
pub fn environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> anyhow::Result<Environment> {
    let mut environment = Environment::new();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else {
            continue;
        };
        if let Ok(value) = value.into_string() {
            environment.insert(name, value);
        } else if VARIABLES.iter().any(|(known, _)| *known == name) {
            return Err(ConfigError::NotUnicode { variable: name }.into());
        }
    }
    Ok(environment)
}

/// Does what `arguments` say, to the end: for the hub, until it was told to stop.
///
/// # Errors
/// Whatever kept the command from being done; [`exit_code`] tells what to end the process with.
pub async fn run(arguments: Arguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    match arguments.into_command() {
        Command::Serve(serve) => {
            let Serve {
                config,
                dev,
                listen,
            } = serve;
            run_hub(config, environment, listen.overrides(dev), false).await?;
        }
        Command::Demo(listen) => {
            let nowhere = ConfigFile::default();
            run_hub(nowhere, environment, listen.overrides(true), true).await?;
        }
        Command::CheckConfig(file) => write!(out, "{}", configured(&file, environment)?.masked())?,
        Command::CheckToken(check) => return token::check(&check, environment, &mut out).await,
        Command::Token(wanted) => token::print(&wanted, environment, &mut out)?,
        Command::Publish(publish) => remote::publish(&publish, environment, &mut out).await?,
        Command::Tail(tail) => remote::tail(&tail, environment, &mut out).await?,
        Command::Bench(wanted) => bench::run(&wanted, environment, &mut out)?,
        Command::Health(health) => health::ask(&health, environment, &mut out).await?,
        Command::Doctor(wanted) => return doctor::run(&wanted, environment, &mut out).await,
        Command::Audit(wanted) => return store::audit(&wanted, environment, &mut out).await,
        Command::Backup(wanted) => store::backup(&wanted, environment, &mut out)?,
        Command::Completions(wanted) => manual::completions(&wanted, &mut out)?,
        Command::Man(wanted) => manual::man(&wanted, &mut out)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what was asked for, help or the version, or says in one line what is wrong with the
/// arguments; returns what to end the process with.
pub fn not_understood(error: &clap::Error) -> u8 {
    if error.use_stderr() {
        eprintln!("statshub: {}", usage_line(&error.to_string()));
    } else {
        // A reader that has seen enough is no failure.
        let _ = error.print();
    }
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// The first paragraphs of clap's explanation on one line, without the usage below them.
fn usage_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let ends = ["\n\nUsage:", "\n\nFor more information"];
    let end = ends.iter().filter_map(|end| text.find(end)).min();
    let said = text[..end.unwrap_or(text.len())].split_whitespace();
    said.collect::<Vec<_>>().join(" ") + " (see --help)"
}

/// 2 for settings that cannot be, like clap for arguments that cannot be; 0 where the reader of
/// standard output went away, as in `tail | head`, which is no failure; else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let closed_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(|cause| cause.is::<ConfigError>()) {
        2
    } else if error.chain().any(closed_pipe) {
        0
    } else {
        1
    }
}

/// `error` and its causes on one line, because that is what a log collector or a person scanning a
/// terminal can use; some causes, such as a TOML error, come with a drawing of several.
pub fn one_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn run_hub(
    config: ConfigFile,
    environment: &Environment,
    overrides: Overrides,
    demo: bool,
) -> anyhow::Result<()> {
    let settings = Settings::load(config.file.as_deref(), environment, &overrides)?;
    let environment = environment.clone();
    let reread = move |in_force: &Settings| {
        let mut overrides = overrides.clone();
        // A secret that was made at the start stays, or no token would be good any more.
        if let (true, AuthKeys::Secret(secret)) = (in_force.dev, &in_force.auth.keys) {
            overrides.dev_secret = Some(secret.clone());
        }
        let mut settings = Settings::load(config.file.as_deref(), &environment, &overrides)?;
        if demo {
            settings.sources = in_force.sources.clone();
        }
        Ok(settings)
    };
    app::serve(settings, demo, Box::new(reread)).await
}

fn settings(
    config: &ConfigFile,
    environment: &Environment,
    overrides: &Overrides,
) -> Result<Settings, ConfigError> {
    Settings::load(config.file.as_deref(), environment, overrides)
}

/// The settings as a hub started with nothing but `config` would have them.
fn configured(config: &ConfigFile, environment: &Environment) -> Result<Settings, ConfigError> {
    settings(config, environment, &Overrides::default())
}

/// The settings for where a hub is, which one in development mode has without a key too. `None`
/// where there is nothing to go by, as on a machine that only asks a hub elsewhere.
fn whereabouts(config: &ConfigFile, environment: &Environment) -> Option<Settings> {
    let in_development = || settings(config, environment, &Listen::default().overrides(true));
    configured(config, environment)
        .or_else(|_| in_development())
        .ok()
}

/// The wall clock in milliseconds since the Unix epoch; 0 before it.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_error_tells_its_causes_on_one_line() {
        let error = anyhow::anyhow!("line 3\n  |\n3 | port = x\n").context("config.toml");
        assert_eq!(one_line(&error), "config.toml: line 3 | 3 | port = x");
    }

    #[test]
    fn a_variable_of_ours_that_is_no_text_is_not_passed_over() {
        use std::os::unix::ffi::OsStringExt;
        let read = |variables: &[(&str, &[u8])]| {
            let owned = |(name, value): &(&str, &[u8])| {
                (OsString::from(name), OsString::from_vec(value.to_vec()))
            };
            environment(variables.iter().map(owned))
        };
        let good = read(&[("PORT", b"1"), ("LS_COLORS", b"\xff")]).unwrap();
        assert_eq!(good, Environment::from([("PORT".into(), "1".into())]));
        let error = read(&[("MAX_BUFFER_SIZE", b"\xff7")]).unwrap_err();
        assert_eq!(one_line(&error), "MAX_BUFFER_SIZE is no text in UTF-8");
        assert_eq!(exit_code(&error), 2);
    }

    #[test]
    fn wrong_arguments_are_told_on_one_line() {
        for (text, expected) in [
            (
                "error: unexpected argument '--devv' found\n\n  tip: a similar argument exists: \
                 '--dev'\n\nUsage: statshub --dev\n\nFor more information, try '--help'.\n",
                "unexpected argument '--devv' found tip: a similar argument exists: '--dev' \
                 (see --help)",
            ),
            (
                "error: no\n  such\n\nFor more information, try",
                "no such (see --help)",
            ),
            ("as it is", "as it is (see --help)"),
        ] {
            assert_eq!(usage_line(text), expected);
        }
    }

    #[test]
    fn the_exit_code_tells_settings_from_other_failures_and_a_closed_pipe_is_none() {
        let broken = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(exit_code(&broken.context("writing").unwrap_err()), 0);
        assert_eq!(exit_code(&anyhow::anyhow!("refused")), 1);
        let settings = configured(&ConfigFile::default(), &Environment::new());
        assert_eq!(exit_code(&settings.err().unwrap().into()), 2);
    }
}
