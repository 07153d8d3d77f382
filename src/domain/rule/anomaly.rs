//! Values unlike those of the same time of earlier seasons.
//!
//! A season is cut into [`SLOTS`] slots. Of each slot the newest value of the last seasons is remembered. What is
//! expected is their median; the deviation of a value is its distance from that, in scales: 1.4826 times the
//! median distance of the remembered values from their median (MAD), which is one standard deviation where
//! values are normally distributed. The scale is at least a hundredth of the median, and `scale_min`. While
//! fewer than three seasons are known, and where the scale is nought, nothing is said.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spec::{AnomalySpec, RuleFault, SEASON_MS, span_ms};

/// Parts of a season.
pub const SLOTS: usize = 48;
/// Seasons that must be known.
const SEASONS_MIN: usize = 3;
/// One standard deviation of normally distributed values is so many MADs.
const SIGMA_PER_MAD: f64 = 1.4826;
/// Of the median, at least so much is the scale.
const SCALE_PER_MEDIAN: f64 = 0.01;
const KEY: &str = "anomaly";

/// [`AnomalySpec`], checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Anomaly {
    field: String,
    pub deviation: f64,
    slot_ms: u64,
    seasons: usize,
    scale_min: f64,
}

impl Anomaly {
    pub fn parse(spec: &AnomalySpec) -> Result<Self, RuleFault> {
        let wrong = |reason: String| Err(RuleFault::new(KEY, reason));
        if !spec.field.is_empty() && !spec.field.starts_with('/') {
            return wrong("field is a JSON Pointer, such as /errorRate".into());
        }
        if !(spec.deviation > 0.0 && spec.deviation <= 1000.0) {
            return wrong("deviation is a number above 0, up to 1000; 4 is a good one".into());
        }
        if !(SEASONS_MIN..=AnomalySpec::SEASONS_MAX).contains(&spec.seasons) {
            let max = AnomalySpec::SEASONS_MAX;
            return wrong(format!(
                "seasons is a whole number from {SEASONS_MIN} to {max}"
            ));
        }
        if !(spec.scale_min >= 0.0 && spec.scale_min.is_finite()) {
            return wrong("scale_min is a number from 0 on".into());
        }
        let (min, max) = SEASON_MS;
        let season = span_ms(KEY, &spec.season, min, max);
        let season = season.map_err(|fault| RuleFault {
            reason: format!("season: {}", fault.reason),
            ..fault
        })?;
        Ok(Self {
            field: spec.field.clone(),
            deviation: spec.deviation,
            slot_ms: season.div_ceil(SLOTS as u64),
            seasons: spec.seasons,
            scale_min: spec.scale_min,
        })
    }

    /// The number that it is about, where there is one.
    pub fn number(&self, data: &Value) -> Option<f64> {
        data.pointer(&self.field)?.as_f64()
    }

    /// How `value`, of that moment, compares with the past, which it then becomes part of. Also whether a slot is
    /// complete by that, and worth remembering.
    pub fn look_at(&self, past: &mut Baseline, value: f64, at_ms: u64) -> (Option<Score>, bool) {
        if past.slot_ms != self.slot_ms {
            *past = Baseline {
                slot_ms: self.slot_ms,
                ..Baseline::default()
            };
        }
        let slot = at_ms / self.slot_ms;
        let index = |slot: u64| usize::try_from(slot % SLOTS as u64).unwrap_or(0);
        past.slots.resize_with(SLOTS, VecDeque::new);
        let is_complete = slot > past.slot;
        if is_complete {
            if let Some(newest) = past.newest.take() {
                let kept = &mut past.slots[index(past.slot)];
                kept.push_back(newest);
                while kept.len() > self.seasons {
                    kept.pop_front();
                }
            }
            past.slot = slot;
        }
        past.newest = Some(value);
        (
            self.score(&past.slots[index(past.slot)], value),
            is_complete,
        )
    }

    fn score(&self, known: &VecDeque<f64>, value: f64) -> Option<Score> {
        if known.len() < SEASONS_MIN {
            return None;
        }
        let expected = median(known.iter().copied())?;
        let mad = median(known.iter().map(|it| (it - expected).abs()))?;
        let scale = (SIGMA_PER_MAD * mad)
            .max(SCALE_PER_MEDIAN * expected.abs())
            .max(self.scale_min);
        (scale > 0.0).then(|| Score {
            expected,
            deviation: (value - expected) / scale,
        })
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted.get(middle).copied(),
        _ => Some((sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0),
    }
}

/// How a value compares with its past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The median of the same time of earlier seasons.
    pub expected: f64,
    /// Distance from it, in scales.
    pub deviation: f64,
}

/// What is remembered of one metric: at most 48 times as many numbers as there are seasons.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// How long a slot is: of another length it is the past of another rule.
    #[serde(default)]
    slot_ms: u64,
    /// The slot under way, counted from the Unix epoch.
    slot: u64,
    /// Its newest value.
    newest: Option<f64>,
    slots: Vec<VecDeque<f64>>,
}
