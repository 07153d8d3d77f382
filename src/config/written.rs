//! What the operator wrote: the file as a table of known keys, and the reader that lays environment
//! and flags over it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use toml::{Table, Value};

use super::entries::Entry;
use super::environment::Environment;
use super::error::{ConfigError, shown};
use super::kinds::{self, Kind, Visitor};
use super::load::Overrides;
use super::report::known_keys;

/// Looked for in the working directory where no file is named.
const FILE_NAME: &str = "config.toml";
/// Sections of which there may be several.
const LISTS: [&str; 6] = [
    "metric",
    "source",
    "outbox",
    "aggregate",
    "alert",
    "webhook",
];

/// The name of the file and its text; an empty text where no file is named and there is none in
/// `directory`.
pub fn read_file(file: Option<&Path>, directory: &Path) -> Result<(String, String), ConfigError> {
    let path = file.map_or_else(|| directory.join(FILE_NAME), Path::to_owned);
    let name = shown(&path.to_string_lossy());
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok((name, text)),
        Err(error) if error.kind() == ErrorKind::NotFound && file.is_none() => {
            Ok((name, String::new()))
        }
        Err(error) => Err(ConfigError::Unreadable {
            file: name,
            reason: error.to_string(),
        }),
    }
}

/// The table in `text`, in which every key is known.
pub fn parse(name: &str, text: &str) -> Result<Table, ConfigError> {
    let mut table: Table = text.parse().map_err(|error| syntax(name, text, &error))?;
    for (section, value) in &mut table {
        unfold(section, value);
        check_section(section, value)?;
    }
    Ok(table)
}

/// What stands below `[section.part]` becomes keys of the section, named `part.key`.
fn unfold(section: &str, value: &mut Value) {
    let Value::Table(table) = value else {
        return;
    };
    let is_part = |part: &str| {
        let begins = format!("{section}.{part}.");
        known_keys().iter().any(|key| key.name.starts_with(&begins))
    };
    for (key, value) in std::mem::take(table) {
        match value {
            Value::Table(part) if is_part(&key) => {
                let keys = part.into_iter();
                table.extend(keys.map(|(inner, value)| (format!("{key}.{inner}"), value)));
            }
            value => {
                table.insert(key, value);
            }
        }
    }
}

/// The message says what was expected and not what is there, which may be a secret.
fn syntax(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start));
    ConfigError::Syntax {
        file: name.to_owned(),
        line: 1 + before.map_or(0, |before| before.matches('\n').count()),
        message: shown(&error.message().replace('\n', ", ")),
    }
}

fn check_section(section: &str, value: &Value) -> Result<(), ConfigError> {
    let known = known_keys();
    let begins = format!("{section}.");
    if !known.iter().any(|key| key.name.starts_with(&begins)) {
        return Err(unknown(section));
    }
    let tables = match value {
        Value::Table(table) if !LISTS.contains(&section) => vec![table],
        Value::Array(list) if LISTS.contains(&section) => {
            let tables: Option<_> = list.iter().map(Value::as_table).collect();
            tables.ok_or_else(|| wrong_section(section, value))?
        }
        _ => return Err(wrong_section(section, value)),
    };
    let mut written = tables.iter().flat_map(|table| table.keys());
    let stray = written.find(|key| {
        !known
            .iter()
            .any(|known| known.name == format!("{begins}{key}"))
    });
    stray.map_or(Ok(()), |key| Err(unknown(&format!("{begins}{key}"))))
}

/// Only the type of what is there is told: it may hold anything.
fn wrong_section(section: &str, value: &Value) -> ConfigError {
    let allowed = match LISTS.contains(&section) {
        true => format!("a list of tables, each written below [[{section}]]"),
        false => format!("a table, written below [{section}]"),
    };
    ConfigError::value(section, &format!("of type {}", value.type_str()), allowed)
}

/// Names the nearest key: one of the same name in another section before the one most alike; for
/// what stands outside the sections also the nearest section.
fn unknown(key: &str) -> ConfigError {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    let alike = |known: &str| {
        let same = if last(known) == last(key) { 1.0 } else { 0.0 };
        same + strsim::normalized_damerau_levenshtein(known, key)
    };
    let known = known_keys().iter().map(|known| known.name.as_str());
    let sections = known.clone().filter_map(|name| name.split('.').next());
    let all = known.chain(sections.filter(|_| !key.contains('.')));
    let nearest = all.max_by(|a, b| alike(a).total_cmp(&alike(b)));
    ConfigError::Unknown {
        key: shown(key),
        nearest: nearest.unwrap_or_default().to_owned(),
    }
}

/// Reads what was written into the settings it visits: the file first, then the environment, then
/// the flags. Each layer is checked, also where a later one goes over it.
pub struct Reader<'a> {
    /// What the keys of `table` begin with in an error.
    place: String,
    table: &'a Table,
    environment: Environment<'a>,
    overrides: &'a Overrides,
}

impl<'a> Reader<'a> {
    pub fn new(
        table: &'a Table,
        environment: &'a BTreeMap<String, String>,
        overrides: &'a Overrides,
    ) -> Self {
        Self {
            place: String::new(),
            table,
            environment: Environment(environment),
            overrides,
        }
    }

    pub fn environment(&self) -> Environment<'a> {
        self.environment
    }

    pub fn is_in_file(&self, key: &str) -> bool {
        self.in_file(key).is_some()
    }

    /// What the file says, whatever goes over it.
    pub fn in_file(&self, key: &str) -> Option<&'a Value> {
        match key.split_once('.') {
            Some((section, key)) => self.table.get(section)?.as_table()?.get(key),
            None => self.table.get(key),
        }
    }

    /// The name under which `key` was given last, or the key itself.
    pub fn origin(&self, key: &str) -> String {
        self.over(key).unwrap_or(key).to_owned()
    }

    /// The variable or flag that goes over `key`.
    pub fn over(&self, key: &str) -> Option<&'static str> {
        let flag = self.overrides.over(key).map(|(flag, _)| flag);
        let variable = || self.environment.over(key).map(|(variable, _)| variable);
        flag.or_else(variable)
    }

    /// The list of tables that `E` is an entry of. Places count from 1, as people do.
    pub fn list<E: Entry>(&self, database_url: Option<&str>) -> Result<Vec<E::Meant>, ConfigError> {
        let tables = self.table.get(E::SECTION).and_then(Value::as_array);
        let mut all = Vec::new();
        for (index, value) in tables.into_iter().flatten().enumerate() {
            let Some(table) = value.as_table() else {
                return Err(wrong_section(E::SECTION, value));
            };
            let place = format!("{}.{}.", E::SECTION, index + 1);
            let mut entry = E::default();
            entry.visit(&mut Reader {
                place: place.clone(),
                table,
                ..*self
            })?;
            let meant = entry.meant(&place, database_url)?;
            check_new::<E>(&all, &meant, &place)?;
            all.push(meant);
        }
        Ok(all)
    }
}

fn check_new<E: Entry>(all: &[E::Meant], new: &E::Meant, place: &str) -> Result<(), ConfigError> {
    let (key, value) = E::identity(new);
    match all.iter().position(|known| E::identity(known).1 == value) {
        None => Ok(()),
        Some(index) => {
            let allowed = format!("each once, and {}.{} has it", E::SECTION, index + 1);
            Err(ConfigError::value(
                &format!("{place}{key}"),
                &Value::from(value),
                allowed,
            ))
        }
    }
}

impl Visitor for Reader<'_> {
    type Error = ConfigError;

    fn visit<K: Kind>(
        &mut self,
        key: &str,
        kind: K,
        meant: &mut K::Meant,
    ) -> Result<(), ConfigError> {
        if let Some(value) = self.in_file(key) {
            let name = format!("{}{key}", self.place);
            *meant = match K::SECRET {
                true => kinds::read(&name, &kind, &self.environment.interpolate(&name, value)?)?,
                false => kinds::read(&name, &kind, value)?,
            };
        }
        if let Some((variable, text)) = self.environment.over(key) {
            *meant = kinds::read(variable, &kind, &kind.value_of(text))?;
        }
        if let Some((flag, text)) = self.overrides.over(key) {
            *meant = kinds::read(flag, &kind, &kind.value_of(&text))?;
        }
        Ok(())
    }
}
