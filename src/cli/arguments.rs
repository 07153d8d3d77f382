//! What may be written on the command line. Only the shape: nothing here reads a file or decides.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::value::RawValue;

use super::bench::Bench;
use super::doctor::Doctor;
use super::manual::{Completions, Man};
use super::remote::flags::{Remote, Tls};
use crate::config::Overrides;
use crate::domain::message::{Priority, UserId};
use crate::domain::pattern::{MetricName, Pattern};
use crate::store::{Hash, parse_hash};

/// Streams live admin statistics to dashboards over SSE and WebSocket.
#[derive(Debug, Parser)]
#[command(name = "statshub", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

impl Arguments {
    /// What to do; where no subcommand is named, serve.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the hub (the default)
    Serve(Serve),
    /// Runs the hub in development mode over a small simulated platform
    Demo(Listen),
    /// Says whether and why the configured hub would take or refuse a token
    CheckToken(CheckToken),
    /// Prints the settings in force, secrets masked, or what is wrong with them
    CheckConfig(ConfigFile),
    /// Prints a JWT signed with the configured HS256 secret
    Token(Token),
    /// Publishes one value of a metric and prints its message id
    Publish(Publish),
    /// Follows the stream in the terminal, resuming by itself
    Tail(Tail),
    /// Measures how much a running hub can do, with very many connections
    Bench(Box<Bench>),
    /// Asks a running hub how it is; exit 0 when it serves, 1 when not
    Health(Health),
    /// Looks from outside whether proxies pass everything on as it must be, and says what mends it
    Doctor(Box<Doctor>),
    /// Checks or shows the audit trail that the store keeps, also while a hub runs
    #[command(subcommand)]
    Audit(Audit),
    /// Copies the store into a new file, also while a hub runs; a hub can be started on the copy
    Backup(Backup),
    /// Prints a script with which a shell completes this program's commands
    Completions(Completions),
    /// Prints the manual page, or writes those of all commands
    Man(Man),
}

#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Development mode: makes a JWT key, prints a ready link and a token, stays on loopback
    #[arg(long)]
    pub dev: bool,
    #[command(flatten)]
    pub listen: Listen,
}

#[derive(Debug, Default, Args)]
pub struct ConfigFile {
    /// Settings file; ./config.toml where none is named
    #[arg(long = "config", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub struct Listen {
    /// Address to listen on, over HOST and the settings file
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on, over PORT and the settings file; 0 takes a free one
    #[arg(long)]
    pub port: Option<u16>,
}

impl Listen {
    /// What is said here goes over everything that is written.
    pub fn overrides(self, dev: bool) -> Overrides {
        Overrides {
            host: self.host,
            port: self.port,
            dev,
            ..Overrides::default()
        }
    }
}

#[derive(Debug, Args)]
pub struct CheckToken {
    /// The token itself, @FILE to read it from a file, or @- from standard input
    #[arg(value_name = "JWT|@FILE|@-")]
    pub token: String,
    #[command(flatten)]
    pub config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Token {
    /// The user it is for
    #[arg(long, value_parser = user, value_name = "ID")]
    pub user: UserId,
    /// Its role
    #[arg(long, default_value = ADMIN_ROLE)]
    pub role: String,
    /// How long it is good for: 30s, 15m, 1h, 7d
    #[arg(long, default_value = "1h", value_parser = ttl)]
    pub ttl: Duration,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// The role that may use everything unless the settings say otherwise.
pub const ADMIN_ROLE: &str = "platform_admin";

#[derive(Debug, Args)]
pub struct Publish {
    /// Name of the metric, such as credits.total
    #[arg(value_parser = MetricName::parse)]
    pub metric: MetricName,
    /// Its value, any JSON
    #[arg(value_parser = json, allow_hyphen_values = true, value_name = "JSON")]
    pub data: Box<RawValue>,
    #[arg(long, value_enum)]
    pub priority: Option<PriorityName>,
    /// Only this user's connections get it
    #[arg(long, value_parser = user, value_name = "ID")]
    pub user: Option<UserId>,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
pub struct Tail {
    /// Metrics to follow; credits.* stands for one segment, credits.** for any; all where none is named
    #[arg(value_parser = Pattern::parse, value_name = "METRIC")]
    pub metrics: Vec<Pattern>,
    /// Prints each message as the JSON it came in
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
pub struct Health {
    /// Where the hub is; the configured address where none is named
    #[arg(long)]
    pub url: Option<reqwest::Url>,
    #[command(flatten)]
    pub tls: Tls,
    #[command(flatten)]
    pub config: ConfigFile,
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Says whether the chain is whole, and its newest hash; exit 1 when it is not
    Verify(AuditVerify),
    /// Prints the newest records as JSON, one a line
    Tail(AuditTail),
}

/// Which trail.
#[derive(Debug, Args)]
pub struct TrailPlace {
    /// The store's file; the configured store where none is named
    #[arg(id = "store", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The database in its place, postgres://...; a password is safer in the settings or in PGPASSWORD
    #[arg(long, value_name = "URL", conflicts_with = "store")]
    pub url: Option<String>,
}

#[derive(Debug, Args)]
pub struct AuditVerify {
    #[command(flatten)]
    pub trail: TrailPlace,
    /// A hash that an earlier check printed: it must be in the chain still
    #[arg(long, value_parser = hash)]
    pub expect: Option<Hash>,
    #[command(flatten)]
    pub config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct AuditTail {
    #[command(flatten)]
    pub trail: TrailPlace,
    /// Goes on with new records as they come
    #[arg(long, short)]
    pub follow: bool,
    /// How many to begin with
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N")]
    pub lines: usize,
    /// Only this action, such as operator_disconnect
    #[arg(long)]
    pub action: Option<String>,
    /// Only what this user did
    #[arg(long, value_name = "USER")]
    pub actor: Option<String>,
    #[command(flatten)]
    pub config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Backup {
    /// The file to make
    #[arg(id = "copy", value_name = "FILE")]
    pub file: PathBuf,
    /// Overwrites a file that is there
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// The priorities by the names they have on the wire.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PriorityName {
    Low,
    Normal,
    High,
    Critical,
}

impl From<PriorityName> for Priority {
    fn from(name: PriorityName) -> Self {
        match name {
            PriorityName::Low => Self::Low,
            PriorityName::Normal => Self::Normal,
            PriorityName::High => Self::High,
            PriorityName::Critical => Self::Critical,
        }
    }
}

fn user(text: &str) -> Result<UserId, String> {
    UserId::parse(text).ok_or_else(|| {
        let max = UserId::BYTES_MAX;
        format!("a user id has 1 to {max} bytes and no control characters")
    })
}

fn hash(text: &str) -> Result<Hash, String> {
    parse_hash(text).ok_or_else(|| "a hash has 64 digits from 0 to f".to_owned())
}

fn json(text: &str) -> Result<Box<RawValue>, String> {
    serde_json::from_str(text).map_err(|error| {
        format!(
            "not JSON: {error} (a text needs its quotes, and the shell takes them off: '\"text\"')"
        )
    })
}

/// A life span in whole seconds, since a JWT counts in seconds; none at all would be no token.
fn ttl(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(ttl) if ttl >= Duration::from_secs(1) => Ok(ttl),
        Ok(_) => Err("at least 1s".into()),
        Err(error) => Err(format!("{error}; write it as 30s, 15m, 1h or 7d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        let words = std::iter::once("statshub").chain(line.split_whitespace());
        Arguments::try_parse_from(words).map(Arguments::into_command)
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn serve_is_what_happens_where_nothing_is_named() {
        for line in ["", "serve"] {
            assert!(matches!(parse(line), Ok(Command::Serve(_))), "{line:?}");
        }
        for line in [
            "--config a.toml --dev --host ::1 --port 0",
            "serve --config a.toml --dev --host ::1 --port 0",
        ] {
            let Ok(Command::Serve(serve)) = parse(line) else {
                panic!("{line:?} is not serve");
            };
            assert!(serve.dev);
            assert_eq!(serve.config.file, Some("a.toml".into()));
            assert_eq!(serve.listen.host.as_deref(), Some("::1"));
            assert_eq!(serve.listen.port, Some(0));
        }
    }

    #[test]
    fn a_token_is_an_admins_for_an_hour_unless_said_otherwise() {
        let Ok(Command::Token(token)) = parse("token --user 42") else {
            panic!("not a token");
        };
        assert_eq!(token.role, "platform_admin");
        assert_eq!(token.ttl, Duration::from_secs(3600));
        for (text, seconds) in [("30s", 30), ("15m", 900), ("7d", 604_800), ("1h 30m", 5400)] {
            assert_eq!(ttl(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        for line in [
            "sing",
            "--port 65536",
            "token",
            "token --user 1 --ttl 0s",
            "token --user 1 --ttl 5",
            "token --user 1 --ttl -5s",
            "check-token",
            "check-config --dev",
            "publish a",
            "publish a.* 1",
            "publish a {",
            "publish a text",
            "publish a 1 --priority urgent",
            "publish a 1 --url nonsense",
            "tail a..b",
            "tail a.**.b",
            "serve publish a 1",
            "audit",
            "audit verify --expect 12",
            "audit tail --lines -1",
            "backup",
        ] {
            let error = parse(line)
                .err()
                .unwrap_or_else(|| panic!("{line:?} was taken"));
            assert_eq!(error.exit_code(), 2, "{line:?}");
        }
    }

    #[test]
    fn a_value_is_any_json_and_kept_as_written() {
        for value in [
            "1",
            "-1.50",
            "null",
            "{\"n\":12345678901234567890123}",
            "[1,2]",
            "\"x\"",
        ] {
            let Ok(Command::Publish(publish)) = parse(&format!("publish a.b {value}")) else {
                panic!("{value} was refused");
            };
            assert_eq!(publish.data.get(), value);
        }
    }

    #[test]
    fn patterns_and_tokens_are_taken_in_any_order() {
        let Ok(Command::Tail(tail)) = parse("tail --token t a.* --json b --url http://h:1/x")
        else {
            panic!("not a tail");
        };
        assert_eq!(tail.metrics.len(), 2);
        assert!(tail.json);
        assert_eq!(tail.remote.token.as_deref(), Some("t"));
    }
}
