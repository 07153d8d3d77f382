//! What an operator may write.

use std::collections::BTreeMap;

use super::environment::JWT_SECRET;
use super::{Changes, ConfigError, Overrides, Settings};

const SECRET: &str = "f3b1c09d5e7a4826b0c1d2e3f4a59687";

/// The text of a file, then variables `NAME=value`, all apart by 0xff. What is taken prints as a file that
/// means the same, and neither that, masked, nor an error has the secret.
pub fn settings(data: &[u8]) {
    let mut texts = data
        .split(|byte| *byte == 0xff)
        .filter_map(|text| str::from_utf8(text).ok());
    let text = texts.next().unwrap_or_default();
    let variables = texts.filter_map(|text| text.split_once('='));
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut environment: BTreeMap<_, _> = variables.map(owned).collect();
    environment.insert(JWT_SECRET.to_owned(), SECRET.to_owned());
    // Whoever asks for it elsewhere gets it there.
    let is_asked_for =
        text.contains(JWT_SECRET) || data.windows(32).any(|at| at == SECRET.as_bytes());
    match parse(text, &environment) {
        Ok(settings) => {
            assert!(is_asked_for || !settings.masked().contains(SECRET));
            assert_eq!(settings.changes(&settings), Changes::default());
            reads_back(&settings);
        }
        Err(error) => {
            let error = error.to_string();
            assert!(is_asked_for || !error.contains(SECRET), "{error}");
            assert!(!error.contains(|c: char| c.is_control()), "{error:?}");
        }
    }
}

fn parse(text: &str, environment: &BTreeMap<String, String>) -> Result<Settings, ConfigError> {
    Settings::parse("config.toml", text, environment, &Overrides::default())
}

fn reads_back(settings: &Settings) {
    let printed = settings.printed();
    // What came from a variable may look like one.
    if printed.contains("${") {
        return;
    }
    match parse(&printed, &BTreeMap::new()) {
        Ok(again) => {
            // What variables went over is not printed.
            let covered = settings.covered.clone();
            assert_eq!(Settings { covered, ..again }, *settings, "{printed}");
        }
        Err(error) => panic!("{error}: {printed}"),
    }
}
