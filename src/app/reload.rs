//! SIGHUP, or an operator's request: what can change while running does, the rest is named.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::Reread;
use crate::config::{Sessions, Settings};
use crate::http::reload::Reloaded;
use crate::http::state::State;
use crate::rules::Hook;
use crate::telemetry::audit::{Action, Event, Outcome};
use crate::telemetry::log as logging;
use crate::transport::tls::Endpoint;

/// Reads the settings again and takes over what it can.
///
/// # Errors
/// Anything wrong in them, as one line; then all stays as it was.
pub fn reload(state: &State, reread: &Reread) -> Result<Reloaded, String> {
    state.audit.reopen();
    let old = state.settings.load_full();
    let done = match reread(&old) {
        Ok(new) => take_over(state, &old, new).map_err(|error| format!("{error:#}")),
        Err(error) => Err(error.to_string()),
    };
    state.last_reload.record(done.is_ok());
    match &done {
        Ok(Reloaded {
            applied,
            needs_restart,
            overridden,
        }) => {
            log::info!("settings read again; changed: {}", list(applied));
            if !needs_restart.is_empty() {
                log::warn!("these take a restart: {}", list(needs_restart));
            }
            if !overridden.is_empty() {
                log::warn!(
                    "what the file says now of these does not count, as the environment or a flag goes over it: {}",
                    list(overridden)
                );
            }
        }
        Err(error) => log::error!("the settings stay as they were: {error}"),
    }
    done
}

fn list(keys: &[String]) -> String {
    match keys {
        [] => "nothing".to_owned(),
        keys => keys.join(", "),
    }
}

/// What came of it, where the operating system asked.
pub fn record(state: &State, done: Result<Reloaded, String>) {
    let event = Event::new(Action::Reload, Timestamp::now());
    state.audit.record(match done {
        Ok(done) => Event {
            details: Some(json!(done)),
            ..event
        },
        Err(_) => Event {
            outcome: Outcome::Refused("invalid_settings"),
            ..event
        },
    });
}

fn take_over(state: &State, old: &Settings, written: Settings) -> anyhow::Result<Reloaded> {
    let mut changes = old.changes(&written);
    let overridden = old.overridden(&written);
    // Whoever renews a certificate writes the same files anew; other files, or none, wait for a restart.
    let is_same_place = written.tls == old.tls;
    let new = Arc::new(merged(old, written));
    let interval = new.realtime.update_interval;
    let sources_change = new.realtime.enabled
        && (new.sources != old.sources || interval != old.realtime.update_interval);
    let hooks_change = new.alerts != old.alerts || new.webhooks != old.webhooks;
    // First what can fail, each without a trace until all of it has succeeded: nothing may be half
    // done. The filter has been parsed with the other settings.
    let sources = sources_change.then(|| state.sources.build(&new.sources));
    let sources = sources.transpose()?;
    // The same settings may name a file in which other secrets stand.
    let hooks = Hook::read_all(&new)?;
    let renewed = is_same_place.then(|| Endpoint::reread(&old.tls));
    let renewed = renewed.transpose()?.flatten();
    // The same settings may name a file in which other keys stand.
    let mut files = state.authenticator.reload(&new.auth)?;
    logging::init(&new.log)?;
    if let (Some(endpoint), Some(renewed)) = (&state.tls, renewed) {
        files.extend(endpoint.exchange(renewed));
        endpoint.certificate.warn(Timestamp::now());
    }
    for file in files.into_iter().map(str::to_owned) {
        if !changes.applied.contains(&file) {
            changes.applied.push(file);
        }
    }
    if let Some(sources) = sources {
        state.sources.exchange(sources, interval);
    }
    if new.realtime.enabled && new.aggregates != old.aggregates {
        state.aggregates.reload(&new.aggregates);
    }
    if hooks_change || !new.webhooks.is_empty() {
        state.rules.reload(&new, hooks);
    }
    state.hub.reload(new.clone());
    state.reload(new);
    Ok(Reloaded {
        applied: changes.applied,
        needs_restart: changes.needs_restart,
        overridden,
    })
}

/// `old`, with what can change while running taken from `new`. `config` knows the same list, and a
/// test holds the two together.
pub fn merged(old: &Settings, new: Settings) -> Settings {
    let mut next = old.clone();
    next.http.allowed_origins = new.http.allowed_origins;
    next.realtime.update_interval = new.realtime.update_interval;
    next.realtime.heartbeat_interval = new.realtime.heartbeat_interval;
    next.realtime.cleanup_interval = new.realtime.cleanup_interval;
    next.realtime.buffer_flush_interval = new.realtime.buffer_flush_interval;
    next.sessions = Sessions {
        backlog_messages_max: old.sessions.backlog_messages_max,
        ..new.sessions
    };
    next.store.retention = new.store.retention;
    next.auth = new.auth;
    next.covered = new.covered;
    next.limits = new.limits;
    next.audit.retention = new.audit.retention;
    next.prometheus.token = new.prometheus.token;
    next.console = new.console;
    next.log = new.log;
    next.metrics = new.metrics;
    next.sources = new.sources;
    next.aggregates = new.aggregates;
    next.alerts = new.alerts;
    next.webhooks = new.webhooks;
    next
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Overrides, known_keys};

    /// A value that `key` may have and does not have by default.
    fn other(key: &str, default: Option<&str>) -> Option<String> {
        let number = |text: &str| text.parse::<u64>().ok();
        match default {
            Some("true") => Some("false".into()),
            Some("false") => Some("true".into()),
            Some(text) => number(text).map(|number| (number + 1).to_string()),
            None => None,
        }
        .filter(|_| {
            ![
                "metric.",
                "source.",
                "outbox.",
                "aggregate.",
                "alert.",
                "webhook.",
            ]
            .iter()
            .any(|list| key.starts_with(list))
        })
    }

    #[test]
    fn what_the_configuration_calls_changeable_is_taken_over_and_nothing_else() {
        let environment = BTreeMap::from([(
            "JWT_SECRET".to_owned(),
            "0123456789abcdef0123456789abcdef-unit".to_owned(),
        )]);
        let parse =
            |text: &str| Settings::parse("test.toml", text, &environment, &Overrides::default());
        let old = parse("").unwrap();
        let mut tried = 0;
        for key in known_keys() {
            let Some(value) = other(&key.name, key.default.as_deref()) else {
                continue;
            };
            let (section, name) = key.name.rsplit_once('.').unwrap();
            let Ok(new) = parse(&format!("[{section}]\n{name} = {value}\n")) else {
                continue;
            };
            let next = merged(&old, new.clone());
            let expected = if key.while_running { &new } else { &old };
            assert!(&next == expected, "{}", key.name);
            tried += 1;
        }
        assert!(tried > 25, "only {tried} keys were tried");
    }
}
