//! The counts that were last accepted.

use std::env::consts::ARCH;
use std::fs;

use anyhow::{Context, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/baseline.json"
);

#[derive(Debug, Serialize, Deserialize)]
pub struct Baseline {
    /// Other processors have other instructions.
    pub arch: String,
    /// Of one delivery, or one message, by scenario.
    pub instructions: IndexMap<String, f64>,
}

impl Baseline {
    /// What was counted here.
    pub fn of(instructions: IndexMap<String, f64>) -> Self {
        let rounded = instructions
            .into_iter()
            .map(|(scenario, count)| (scenario, (10.0 * count).round() / 10.0));
        Self {
            arch: ARCH.to_owned(),
            instructions: rounded.collect(),
        }
    }

    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read() -> Result<Self> {
        let text = fs::read_to_string(PATH).context(PATH)?;
        serde_json::from_str(&text).context(PATH)
    }

    /// # Errors
    /// It cannot be written.
    pub fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(PATH, text + "\n").context(PATH)
    }
}
