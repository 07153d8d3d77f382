//! The settings that come as lists of tables, and the simplest of them, `[[metric]]`.

use std::time::Duration;

use super::Metric;
use super::error::ConfigError;
use super::keys::DAY;
use super::kinds::{Choice, Maybe, Millis, Visitor};
use super::texts::pattern;
use crate::domain::message::{Priority, Retain};
use crate::domain::pattern::Pattern;

pub const PRIORITIES: Choice<Priority> = Choice(&[
    ("critical", Priority::Critical),
    ("high", Priority::High),
    ("normal", Priority::Normal),
    ("low", Priority::Low),
]);
const RETAINS: Choice<Retain> = Choice(&[("all", Retain::All), ("latest", Retain::Latest)]);

/// What one table of a list says.
pub trait Entry: Default {
    type Meant;
    /// The section's name.
    const SECTION: &str;

    fn visit<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error>;
    /// `place` is what its keys begin with in an error, `database_url` where those read that want a database and
    /// name no URL.
    fn meant(self, place: &str, database_url: Option<&str>) -> Result<Self::Meant, ConfigError>;
    /// What no two of the list may have in common: its key, and its value.
    fn identity(meant: &Self::Meant) -> (&'static str, &str);
}

/// A `[[metric]]` as written.
#[derive(Default)]
pub struct WrittenMetric {
    name: Option<Pattern>,
    retain: Option<Retain>,
    priority: Option<Priority>,
    ttl: Option<Duration>,
}

impl Entry for WrittenMetric {
    type Meant = Metric;
    const SECTION: &str = "metric";

    fn visit<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error> {
        v.visit("name", Maybe(pattern()), &mut self.name)?;
        v.visit("retain", Maybe(RETAINS), &mut self.retain)?;
        v.visit("priority", Maybe(PRIORITIES), &mut self.priority)?;
        v.visit("ttl_ms", Maybe(Millis(1..=365 * DAY)), &mut self.ttl)
    }

    fn meant(self, place: &str, _: Option<&str>) -> Result<Metric, ConfigError> {
        let missing = || ConfigError::missing(format!("{place}name"), pattern().allowed);
        Ok(Metric {
            name: self.name.ok_or_else(missing)?,
            retain: self.retain,
            priority: self.priority,
            ttl: self.ttl,
        })
    }

    fn identity(meant: &Metric) -> (&'static str, &str) {
        ("name", meant.name.as_str())
    }
}

impl From<&Metric> for WrittenMetric {
    fn from(metric: &Metric) -> Self {
        Self {
            name: Some(metric.name.clone()),
            retain: metric.retain,
            priority: metric.priority,
            ttl: metric.ttl,
        }
    }
}
