//! The flags of `doctor`. Only the shape: nothing here decides.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};
use reqwest::Url;

use crate::cli::arguments::ConfigFile;
use crate::cli::remote::flags::Tls;

/// Which deployment is looked at, and as whom.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Where browsers reach the hub, as in https://stats.example.org; the configured address where none is named
    #[arg(long)]
    pub url: Option<Url>,
    /// JWT to show, best of a user of its own; without one only what strangers may ask is checked
    #[arg(long, env = "STATSHUB_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The same, read from a file, or from standard input where it is -
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// Origin of the pages that use the hub, as in https://admin.example.org; the hub's own where none is named
    #[arg(long, value_parser = origin)]
    pub origin: Option<String>,
    /// How long quiet streams are watched, to see whether they are cut
    #[arg(long, default_value_t = 75, value_parser = value_parser!(u64).range(1..=86_400), value_name = "SECONDS")]
    pub idle: u64,
    /// Also warnings make the exit code 1
    #[arg(long)]
    pub strict: bool,
    /// Prints the findings as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub tls: Tls,
    #[command(flatten)]
    pub config: ConfigFile,
}

impl Doctor {
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle)
    }
}

/// As a browser would send it: scheme, host and port, and nothing else.
fn origin(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let written = url.origin().ascii_serialization();
    match url.origin().is_tuple() && written == text.trim_end_matches('/') {
        true => Ok(written),
        false => {
            Err("an origin is a scheme, a host and a port, as in https://admin.example.org".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(origin(text).ok().as_deref(), expected, "{text}");
        };
        check("https://a.example", Some("https://a.example"));
        check("https://a.example/", Some("https://a.example"));
        check("http://a.example:3000", Some("http://a.example:3000"));
        check("https://a.example/page", None);
        check("a.example", None);
        check("file:///a", None);
        check("null", None);
    }
}
