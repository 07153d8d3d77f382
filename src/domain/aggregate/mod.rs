//! Numbers of very many events, summed up in windows of time while they come in.
//!
//! Time is cut into panes, as long as the step between two results, at multiples of it since the Unix
//! epoch. An observation goes into the pane of its own time stamp, whenever it comes; a window is the
//! panes that it covers, merged. A pane holds no observation but a [`Partial`] for each group, which
//! merges with those of the same pane from other hubs, or from before a restart, in any order. So what
//! hubs count each for itself and what one of them would have counted of it all are the same.
//!
//! A pane is open until its grace is over. Then the window that ends with it is final, its result is
//! told once, and what comes for the pane later is counted as late.

mod pane;
mod partial;
mod sketch;
mod stretch;
mod windows;

#[cfg(test)]
mod tests;

pub use pane::Pane;
pub use partial::Partial;
pub use sketch::{DISTINCT_STANDARD_ERROR, Mark, QUANTILE_ERROR};
pub use stretch::{STRETCHES, Stretch};
pub use windows::{Origin, RESULTS_AT_ONCE_MAX, Verdict, WindowResult, Windows};

use super::message::MessageId;

/// What is computed of the observations of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// How many there are in a unit of time; where numbers are read, their sum in it.
    Rate,
    Count,
    Sum,
    Avg,
    Min,
    Max,
    /// The median, off by at most [`QUANTILE_ERROR`] of itself.
    P50,
    P95,
    P99,
    /// How many different values there are, with a standard error of [`DISTINCT_STANDARD_ERROR`].
    Distinct,
    /// The number of the latest time stamp.
    Last,
}

impl Op {
    /// Which part of the numbers lies below the result, for quantiles.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            _ => None,
        }
    }

    /// Whether it keeps a sketch for each group and pane, which takes kilobytes and not bytes.
    pub fn has_sketch(self) -> bool {
        self.quantile().is_some() || self == Self::Distinct
    }
}

/// How one aggregate counts. Times are milliseconds; `window_ms` is a multiple of `every_ms`, and neither is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub op: Op,
    /// Whether the numbers themselves are wanted, where an operation also makes sense without.
    pub reads_numbers: bool,
    /// The unit of time of a rate.
    pub per_ms: u64,
    pub window_ms: u64,
    pub every_ms: u64,
    pub grace_ms: u64,
    pub is_grouped: bool,
    /// Most groups of a result, and of a pane.
    pub groups_max: usize,
}

impl Plan {
    /// Where the pane of a moment begins.
    pub fn pane_of(&self, at_ms: u64) -> u64 {
        at_ms - at_ms % self.every_ms
    }

    /// Most panes of one origin that are kept at once: those of a window, of results that are not told yet, those
    /// that are open, and of the future as far as a clock may be ahead.
    pub fn panes_kept(&self) -> u64 {
        let open_ms = self.window_ms + 2 * self.grace_ms;
        open_ms.div_ceil(self.every_ms) + RESULTS_AT_ONCE_MAX + 3
    }
}

/// What is known of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// When it was. Of a message its id, so that of two in one millisecond one is the later.
    pub at: MessageId,
    /// Empty where there are no groups.
    pub group: Box<str>,
    pub measure: Measure,
}

/// What an operation wants of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// That it was.
    Event,
    /// A finite number.
    Number(f64),
    /// Which one of many values.
    Mark(Mark),
}
