//! The two sketches: much in little room, at the price of a known error.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use datasketches::hll::{Coupon, HllSketch, HllType, HllUnion};
use sketches_ddsketch::{Config, DDSketch};

/// A quantile is off by at most this part of itself, as long as the numbers of one sign span less than
/// seventeen powers of ten; beyond that the least of them are taken for larger ones.
pub const QUANTILE_ERROR: f64 = 0.01;
/// Of a number of distinct values, as a part of it: in 95 of 100 cases the error is below twice this. Up to some
/// hundred values it is far smaller.
pub const DISTINCT_STANDARD_ERROR: f64 = 0.016_25;

/// 4096 registers: 1.04 / √4096 is [`DISTINCT_STANDARD_ERROR`].
const LG_REGISTERS: u8 = 12;
/// Four bits a register: two kilobytes at most.
const REGISTERS: HllType = HllType::Hll4;
/// The sketch takes what is nearer to 0 for 0, and would take the logarithm of an overflow.
const MAGNITUDE_MAX: f64 = 1e300;

/// Which one of many values: as much of its hash as a sketch looks at. The same on every hub.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark(Coupon);

impl Mark {
    pub fn of(text: &str) -> Self {
        Self(Coupon::from_value(text))
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}

/// Numbers of which quantiles are wanted.
#[derive(Clone)]
pub struct Quantiles(DDSketch);

impl Default for Quantiles {
    fn default() -> Self {
        // Its own defaults: 1 %, 2048 bins. Only with these can it be read back.
        Self(DDSketch::new(Config::defaults()))
    }
}

impl Quantiles {
    pub fn add(&mut self, number: f64) {
        self.0.add(number.clamp(-MAGNITUDE_MAX, MAGNITUDE_MAX));
    }

    pub fn merge(&mut self, other: &Self) {
        // Fails only where the two are set up differently.
        let _ = self.0.merge(&other.0);
    }

    /// The least number such that the part `q` of all is not above it: the nearest rank, as in charts of the history.
    /// `None` where there is no number.
    pub fn at(&self, q: f64) -> Option<f64> {
        let count = self.0.count() as f64;
        let rank = (q * count).ceil() - 1.0;
        // The sketch itself takes the whole part of so many of all but one.
        let part = (rank + 0.5) / (count - 1.0).max(1.0);
        self.0.quantile(part.clamp(0.0, 1.0)).ok().flatten()
    }

    pub fn write(&self) -> String {
        BASE64.encode(self.0.to_java_bytes())
    }

    pub fn read(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        DDSketch::from_java_bytes(&bytes).ok().map(Self)
    }
}

/// Values of which it is wanted how many different ones there are.
#[derive(Clone)]
pub struct Distinct(HllSketch);

impl Distinct {
    pub fn new() -> Option<Self> {
        HllSketch::new(LG_REGISTERS, REGISTERS).ok().map(Self)
    }

    pub fn add(&mut self, mark: Mark) {
        self.0.update_with_coupon(mark.0);
    }

    pub fn merge(&mut self, other: &Self) {
        // Fails only for a size that there is not.
        if let Ok(mut union) = HllUnion::new(LG_REGISTERS) {
            union.update(&self.0);
            union.update(&other.0);
            self.0 = union.to_sketch(REGISTERS);
        }
    }

    /// Of the registers alone: what was merged, and in which order, makes no difference.
    pub fn estimate(&self) -> f64 {
        self.0.composite_estimate().round()
    }

    pub fn write(&self) -> String {
        BASE64.encode(self.0.serialize())
    }

    pub fn read(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        let sketch = HllSketch::deserialize(&bytes).ok()?;
        (sketch.lg_config_k() == LG_REGISTERS).then_some(Self(sketch))
    }
}
