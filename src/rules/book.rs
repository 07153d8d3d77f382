//! Where rules stand: those of the file, and those that were made while running.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::message::UserId;
use crate::domain::rule::{Rule, RuleFault, Spec};

/// A rule that was made while running, as the log remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveRule {
    pub spec: Spec,
    pub by: UserId,
    /// When it was made or changed, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// In the file, where it is changed.
    File,
    /// In the log, by way of the interface.
    Live { by: UserId, at_ms: u64 },
}

#[derive(Default)]
pub(super) struct Book {
    pub file: Vec<Rule>,
    pub live: BTreeMap<String, LiveRule>,
    /// Live ones that are none for this version of the hub.
    pub broken: BTreeMap<String, RuleFault>,
}

impl Book {
    /// All that work. What the file says of a name counts before what was made while running.
    pub fn rules(&mut self) -> Vec<Arc<Rule>> {
        self.broken.clear();
        let mut rules: Vec<_> = self.file.iter().cloned().map(Arc::new).collect();
        for (name, live) in &self.live {
            if self.file.iter().any(|rule| rule.name.as_str() == name) {
                continue;
            }
            match Rule::parse(live.spec.clone()) {
                Ok(rule) => rules.push(Arc::new(rule)),
                Err(fault) => {
                    log::error!("rule {name} does not work: {}: {fault}", fault.key);
                    self.broken.insert(name.clone(), fault);
                }
            }
        }
        rules
    }

    pub fn origin(&self, name: &str) -> Option<Origin> {
        if self.file.iter().any(|rule| rule.name.as_str() == name) {
            return Some(Origin::File);
        }
        self.live.get(name).map(|live| Origin::Live {
            by: live.by.clone(),
            at_ms: live.at_ms,
        })
    }
}
