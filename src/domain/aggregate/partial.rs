//! What is kept of the observations of one group in one pane.

use serde::{Deserialize, Serialize};

use super::sketch::{Distinct, Quantiles};
use super::{Measure, Observation, Op, Plan};
use crate::domain::message::MessageId;

/// What is kept of observations: as much as the operation needs, whatever their number. Two merge to what would
/// have become of both's observations, in any order; sums up to the rounding of doubles.
#[derive(Clone)]
pub struct Partial {
    pub count: u64,
    held: Held,
}

#[derive(Clone)]
enum Held {
    Nothing,
    Sum(f64),
    Least(f64),
    Greatest(f64),
    Last(MessageId, f64),
    Quantiles(Box<Quantiles>),
    Distinct(Box<Distinct>),
}

impl Partial {
    /// Of no observation.
    pub fn new(plan: &Plan) -> Self {
        let held = match plan.op {
            Op::Rate if plan.reads_numbers => Held::Sum(0.0),
            Op::Rate | Op::Count => Held::Nothing,
            Op::Sum | Op::Avg => Held::Sum(0.0),
            Op::Min => Held::Least(f64::INFINITY),
            Op::Max => Held::Greatest(f64::NEG_INFINITY),
            Op::Last => Held::Last(MessageId::ZERO, f64::NEG_INFINITY),
            Op::P50 | Op::P95 | Op::P99 => Held::Quantiles(Box::default()),
            Op::Distinct => match Distinct::new() {
                Some(distinct) => Held::Distinct(Box::new(distinct)),
                None => Held::Nothing,
            },
        };
        Self { count: 0, held }
    }

    /// Takes in one more. What the operation cannot use of it is left out, but it counts.
    pub fn add(&mut self, observation: &Observation) {
        self.count += 1;
        match (&mut self.held, observation.measure) {
            (Held::Sum(sum), Measure::Number(number)) => *sum += number,
            (Held::Least(least), Measure::Number(number)) => *least = least.min(number),
            (Held::Greatest(greatest), Measure::Number(number)) => {
                *greatest = greatest.max(number);
            }
            (Held::Last(at, last), Measure::Number(number)) => {
                later((at, last), (observation.at, number));
            }
            (Held::Quantiles(quantiles), Measure::Number(number)) => quantiles.add(number),
            (Held::Distinct(distinct), Measure::Mark(mark)) => distinct.add(mark),
            _ => {}
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        match (&mut self.held, &other.held) {
            (Held::Sum(sum), Held::Sum(other)) => *sum += other,
            (Held::Least(least), Held::Least(other)) => *least = least.min(*other),
            (Held::Greatest(greatest), Held::Greatest(other)) => *greatest = greatest.max(*other),
            (Held::Last(at, last), Held::Last(other_at, other)) => {
                later((at, last), (*other_at, *other));
            }
            (Held::Quantiles(quantiles), Held::Quantiles(other)) => quantiles.merge(other),
            (Held::Distinct(distinct), Held::Distinct(other)) => distinct.merge(other),
            _ => {}
        }
    }

    /// The result; `None` where no number is one, as the mean of nothing.
    pub fn value(&self, plan: &Plan) -> Option<f64> {
        let value = match &self.held {
            Held::Nothing if plan.op == Op::Rate => rate(self.count as f64, plan),
            Held::Nothing => self.count as f64,
            Held::Sum(sum) if plan.op == Op::Rate => rate(*sum, plan),
            Held::Sum(sum) if plan.op == Op::Avg => sum / self.count as f64,
            Held::Sum(sum) => *sum,
            Held::Least(number) | Held::Greatest(number) | Held::Last(_, number) => *number,
            Held::Quantiles(quantiles) => quantiles.at(plan.op.quantile()?)?,
            Held::Distinct(distinct) => distinct.estimate(),
        };
        value.is_finite().then_some(value)
    }

    pub(super) fn write(&self) -> Written {
        let number = |number: &f64| Some(number.to_bits());
        let (number, at, sketch) = match &self.held {
            Held::Nothing => (None, None, None),
            Held::Sum(it) | Held::Least(it) | Held::Greatest(it) => (number(it), None, None),
            Held::Last(at, it) => (number(it), Some(*at), None),
            Held::Quantiles(it) => (None, None, Some(it.write())),
            Held::Distinct(it) => (None, None, Some(it.write())),
        };
        Written {
            count: self.count,
            number,
            at,
            sketch,
        }
    }

    /// `None` for what this plan does not write.
    pub(super) fn read(written: &Written, plan: &Plan) -> Option<Self> {
        let Written {
            count,
            number,
            at,
            sketch,
        } = written;
        let mut partial = Self::new(plan);
        partial.count = *count;
        let number = number.map(f64::from_bits);
        match &mut partial.held {
            Held::Nothing => {}
            Held::Sum(it) | Held::Least(it) | Held::Greatest(it) => *it = number?,
            Held::Last(when, it) => (*when, *it) = ((*at)?, number?),
            Held::Quantiles(it) => **it = Quantiles::read(sketch.as_deref()?)?,
            Held::Distinct(it) => **it = Distinct::read(sketch.as_deref()?)?,
        }
        Some(partial)
    }
}

fn rate(amount: f64, plan: &Plan) -> f64 {
    amount * plan.per_ms as f64 / plan.window_ms as f64
}

/// Keeps the later of two; of two at once the greater, so that it does not matter which one came first.
fn later(kept: (&mut MessageId, &mut f64), other: (MessageId, f64)) {
    if other.0 > *kept.0 || other.0 == *kept.0 && other.1 > *kept.1 {
        (*kept.0, *kept.1) = other;
    }
}

/// A partial as it is kept. A number is written as the bits of its double, which every reader takes as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Written {
    #[serde(rename = "c")]
    count: u64,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    at: Option<MessageId>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    sketch: Option<String>,
}
