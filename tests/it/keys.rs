//! `config.toml` and `docs/configuration.md` say what the code does.

use std::collections::{BTreeMap, BTreeSet};

use statshub::config::{AuthKeys, Key, Overrides, Settings, VARIABLES, known_keys};
use toml::{Table, Value};

const FILE: &str = include_str!("../../config.toml");
const DOCUMENT: &str = include_str!("../../docs/configuration.md");
const OPERATIONS: &str = include_str!("../../docs/operations.md");
const SECRET: &str = "f3b1c09d5e7a4826b0c1d2e3f4a59687";

/// Keys whose value in the file is an example, because nothing holds where nothing is written, or
/// because a section of several tables shows what one may look like.
fn is_example(key: &Key) -> bool {
    key.default.is_none()
}

/// The file with everything that is commented out commented in.
fn commented_in() -> String {
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        let is_key = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        line.starts_with("[[") || (is_key && line.contains(" = "))
    };
    let plain = |line: &'static str| match line.strip_prefix("# ") {
        Some(setting) if is_setting(setting) => setting,
        _ => line,
    };
    FILE.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// `section.key` and value, of lists of tables all of them, of tables in a section too.
fn written(text: &str) -> Vec<(String, Value)> {
    let table: Table = text.parse().unwrap();
    let mut written = Vec::new();
    for (section, value) in table {
        let tables = match value {
            Value::Array(list) => list,
            table => vec![table],
        };
        for table in tables {
            collect(&section, table, &mut written);
        }
    }
    written
}

fn collect(name: &str, value: Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) if !["source.headers", "alert.anomaly"].contains(&name) => {
            for (key, value) in table {
                collect(&format!("{name}.{key}"), value, into);
            }
        }
        value => into.push((name.to_owned(), value)),
    }
}

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    variables.iter().map(owned).collect()
}

#[test]
fn the_file_as_shipped_is_the_defaults() {
    let environment = environment(&[("JWT_SECRET", SECRET)]);
    let settings = Settings::parse("config.toml", FILE, &environment, &Overrides::default());
    let defaults = Settings::with_keys(AuthKeys::Secret(SECRET.to_owned()));
    assert_eq!(settings.unwrap(), defaults);
}

#[test]
fn the_file_sets_every_default_that_holds_without_a_choice() {
    let active: Vec<_> = written(FILE).into_iter().map(|(key, _)| key).collect();
    let choices = [
        "auth.algorithms",
        "auth.jwks_refresh_ms",
        "auth.jwks_cool_down_ms",
        "auth.jwks_keep_ms",
    ];
    let wanted = known_keys().iter().filter(|key| {
        let is_listed = ["source.", "outbox.", "aggregate.", "webhook."]
            .iter()
            .any(|list| key.name.starts_with(list));
        !is_example(key) && !is_listed && !choices.contains(&&*key.name)
    });
    for key in wanted {
        assert!(
            active.contains(&key.name),
            "{} is not in config.toml",
            key.name
        );
    }
}

#[test]
fn the_file_names_every_key_and_no_other_with_its_default() {
    let all = written(&commented_in());
    for key in known_keys() {
        let mut values = all.iter().filter(|(name, _)| *name == key.name).peekable();
        assert!(
            values.peek().is_some(),
            "{} is not in config.toml",
            key.name
        );
        if let Some(default) = &key.default
            && key.name != "source.timeout_ms"
        {
            let shown = values.map(|(_, value)| value.to_string());
            shown.for_each(|shown| assert_eq!(&shown, default, "{}", key.name));
        }
    }
    for (name, _) in &all {
        assert!(
            known_keys().iter().any(|key| key.name == *name),
            "{name} is unknown"
        );
    }
}

#[test]
fn the_keys_are_in_the_file_in_the_order_of_the_code() {
    let sections = |names: Vec<String>| {
        let mut sections: Vec<_> = names
            .iter()
            .map(|name| name.split('.').next().unwrap().to_owned())
            .filter(|section| section != "auth")
            .collect();
        sections.dedup();
        sections
    };
    let in_file = written(&commented_in())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let in_code = known_keys().iter().map(|key| key.name.clone()).collect();
    assert_eq!(sections(in_file), sections(in_code));
}

#[test]
fn the_examples_of_the_file_are_allowed() {
    let sections = commented_in();
    let lists = &sections[sections.find("[[metric]]").unwrap()..];
    let environment = environment(&[
        ("JWT_SECRET", SECRET),
        ("DB_PASSWORD", "p"),
        ("BILLING_TOKEN", "t"),
        ("REDIS_PASSWORD", "p"),
        ("PAGER_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ]);
    let settings = Settings::parse("", lists, &environment, &Overrides::default()).unwrap();
    assert_eq!((settings.metrics.len(), settings.sources.len()), (1, 9));
    assert_eq!((settings.alerts.len(), settings.webhooks.len()), (1, 2));
}

/// The cells of every table row of the document that begins with a key or variable.
fn rows(is_wanted: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let cells = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ");
        let cells: Vec<_> = cells
            .map(|cell| cell.trim_matches('`').to_owned())
            .collect();
        is_wanted(&cells[0]).then_some(cells)
    };
    DOCUMENT.lines().filter_map(cells).collect()
}

#[test]
fn the_document_lists_every_key_as_it_is() {
    let row = |key: &Key| {
        let on_reload = if key.while_running {
            "changes"
        } else {
            "restart"
        };
        let default = key.default.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            key.name.clone(),
            default,
            key.allowed.clone(),
            on_reload.to_owned(),
        ]
    };
    let mut wanted: Vec<_> = known_keys().iter().map(row).collect();
    let mut listed = rows(|name| name.contains('.'));
    wanted.sort();
    listed.sort();
    assert_eq!(listed, wanted);
}

/// The keys that a cell names: `[section]` is all of one, and a name alone is of the section before it.
fn named(cell: &str) -> Vec<String> {
    let mut section = String::new();
    let mut named = Vec::new();
    for name in cell.split('`').skip(1).step_by(2) {
        let all_of = name.trim_matches(['[', ']']);
        if all_of != name {
            let begins = format!("{all_of}.");
            let known = known_keys().iter().map(|key| key.name.clone());
            named.extend(known.filter(|key| key.starts_with(&begins)));
        } else if let Some((of, _)) = name.rsplit_once('.') {
            section = of.to_owned();
            named.push(name.to_owned());
        } else {
            named.push(format!("{section}.{name}"));
        }
    }
    named
}

#[test]
fn the_operators_table_of_reloads_names_what_changes_while_running_and_nothing_else() {
    let table = OPERATIONS
        .split_once("| takes effect at once | |\n")
        .unwrap();
    let rows = table
        .1
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let listed = rows.flat_map(|row| named(row.split('|').nth(1).unwrap()));
    let changes = known_keys().iter().filter(|key| key.while_running);
    let changes: BTreeSet<_> = changes.map(|key| key.name.clone()).collect();
    assert_eq!(listed.collect::<BTreeSet<_>>(), changes);
}

#[test]
fn the_document_lists_every_variable_as_it_is() {
    let row = |(variable, key): &(&str, Option<&str>)| {
        let known = known_keys().iter().find(|known| Some(&*known.name) == *key);
        let default = known.and_then(|key| key.default.clone());
        let default = default.map_or("-".to_owned(), |text| text.trim_matches('"').to_owned());
        vec![variable.to_string(), key.unwrap_or("-").to_owned(), default]
    };
    let listed = rows(|name| !name.contains('.'));
    assert_eq!(listed, VARIABLES.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn the_errors_in_the_document_are_the_errors_of_the_program() {
    for (text, port) in [
        ("[sessions]\ntimeout_ms = 0", ""),
        ("", "70000x"),
        ("[http]\nprot = 1", ""),
        (
            &format!("{}[http]\ntrusted_proxies = [", "\n".repeat(10)),
            "",
        ),
    ] {
        let environment = environment(&[("JWT_SECRET", SECRET), ("PORT", port)]);
        let error = Settings::parse("config.toml", text, &environment, &Overrides::default());
        let line = format!("\n    {}\n", error.unwrap_err());
        assert!(DOCUMENT.contains(&line), "not in the document:{line}");
    }
}
