//! What may be written, what comes of it, and what is said where it is wrong.

use std::collections::BTreeMap;

use super::*;

mod aggregates;
mod auth;
mod entries;
mod layers;
mod report;
mod values;

const SECRET: &str = "f3b1c09d5e7a4826b0c1d2e3f4a59687";

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    variables.iter().map(owned).collect()
}

/// Loads `text` and `variables` with a good secret beside them.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let mut environment = environment(variables);
    environment
        .entry("JWT_SECRET".to_owned())
        .or_insert(SECRET.to_owned());
    parse(text, &environment, &Overrides::default())
}

fn parse(
    text: &str,
    environment: &BTreeMap<String, String>,
    overrides: &Overrides,
) -> Result<Settings, String> {
    let loaded = Settings::parse("config.toml", text, environment, overrides);
    loaded.map_err(|error| error.to_string())
}

/// Loads `text` alone: no environment, so no key but one that is in it.
fn load_alone(text: &str) -> Result<Settings, String> {
    parse(text, &BTreeMap::new(), &Overrides::default())
}

/// What `settings` has at `key`, as it would be written.
fn at(settings: &Settings, key: &str) -> String {
    let table: toml::Table = settings.masked().parse().unwrap();
    let (section, key) = key.split_once('.').unwrap();
    table[section][key].to_string()
}
