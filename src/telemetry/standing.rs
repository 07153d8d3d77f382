//! How the hub stands, so that an alert can be made of it: what ails, and how near its limits it is.

use std::fmt;
use std::time::Duration;

use prometheus_client::registry::Unit;

use super::exposition::Out;

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Standing {
    /// What `/api/health` says.
    pub is_degraded: bool,
    pub connections_max: u64,
    /// Keys that tokens are judged by.
    pub keys: u64,
    /// `None`: they do not come from a URL.
    pub keys_fetched: Option<KeysFetched>,
    pub has_reloaded: bool,
    /// Of the settings in force, since the Unix epoch.
    pub reloaded_at: Duration,
}

/// Of keys behind a URL.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct KeysFetched {
    pub failures: u64,
    /// `None` while there was no success.
    pub last_success_age: Option<Duration>,
    /// How old they may become.
    pub age_max: Duration,
}

impl Standing {
    pub(super) fn encode(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "1 while something ails; /api/health says what.";
        out.gauge("degraded", help, None, &u64::from(self.is_degraded))?;
        let help = "Live connections that are allowed.";
        out.gauge("connections_max", help, None, &self.connections_max)?;
        let help = "1 unless the settings could not be read again the last time.";
        let good = u64::from(self.has_reloaded);
        out.gauge("reload_last_successful", help, None, &good)?;
        let help = "When the settings were last read with success, since the Unix epoch.";
        let seconds = Some(&Unit::Seconds);
        let at = self.reloaded_at.as_secs_f64();
        out.gauge("reload_last_success_timestamp", help, seconds, &at)?;
        let help = "Keys that tokens are judged by.";
        out.gauge("keys", help, None, &self.keys)?;
        self.keys_fetched.map_or(Ok(()), |keys| keys.encode(out))
    }
}

impl KeysFetched {
    fn encode(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "Attempts to fetch the keys that failed.";
        out.counter("keys_fetch_failures", help, self.failures)?;
        let help = "How old keys may become that cannot be fetched anew.";
        let seconds = Some(&Unit::Seconds);
        let age_max = self.age_max.as_secs_f64();
        out.gauge("keys_age_max", help, seconds, &age_max)?;
        let Some(age) = self.last_success_age else {
            return Ok(());
        };
        let help = "Time since the keys were last fetched.";
        let age = age.as_secs_f64();
        out.gauge("keys_last_success_age", help, seconds, &age)
    }
}
