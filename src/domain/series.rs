//! Numbers over time, summed up in buckets of equal length.

/// Most buckets of one series.
pub const BUCKETS_MAX: u64 = 10_000;

/// What a bucket says of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    Avg,
    Min,
    Max,
    Sum,
    /// The newest.
    Last,
    /// How many there are.
    Count,
    /// The 95th percentile by the nearest rank: the least number of the bucket such that 95 of 100 are
    /// not above it. Exact, not an estimate.
    P95,
}

impl Aggregate {
    pub const ALL: [Self; 7] = [
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::Sum,
        Self::Last,
        Self::Count,
        Self::P95,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Last => "last",
            Self::Count => "count",
            Self::P95 => "p95",
        }
    }

    /// Back from [`Aggregate::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// Where the buckets lie: at multiples of their length since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    first: u64,
    step_ms: u64,
    /// Buckets in all.
    pub count: u64,
}

/// Why there is no such grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    #[error("`from` must lie before `to`")]
    Empty,
    #[error(
        "this makes {0} buckets, and at most {BUCKETS_MAX} are allowed: take a longer step or a shorter time"
    )]
    TooMany(u64),
}

impl Grid {
    /// Buckets that cover the time from `from_ms` to before `to_ms`, in milliseconds since the Unix
    /// epoch. The first and the last may reach beyond.
    ///
    /// # Errors
    /// No time at all, or more than [`BUCKETS_MAX`].
    pub fn over(from_ms: u64, to_ms: u64, step_ms: u64) -> Result<Self, GridError> {
        if from_ms >= to_ms {
            return Err(GridError::Empty);
        }
        let step_ms = step_ms.max(1);
        let first = from_ms / step_ms;
        let count = to_ms.div_ceil(step_ms) - first;
        match count <= BUCKETS_MAX {
            true => Ok(Self {
                first,
                step_ms,
                count,
            }),
            false => Err(GridError::TooMany(count)),
        }
    }
}

/// One bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Where it begins, in milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// `None` where there is no number; but none counts as 0 where numbers are counted.
    pub value: Option<f64>,
    /// How many numbers it holds.
    pub count: u64,
}

/// A series while its numbers come in. Holds those of one bucket at a time, and only where all of them
/// are needed.
#[derive(Debug)]
pub struct Series {
    grid: Grid,
    aggregate: Aggregate,
    done: Vec<Bucket>,
    current: Current,
}

#[derive(Debug, Default)]
struct Current {
    count: u64,
    sum: f64,
    least: f64,
    greatest: f64,
    last: f64,
    all: Vec<f64>,
}

impl Series {
    pub fn new(grid: Grid, aggregate: Aggregate) -> Self {
        Self {
            grid,
            aggregate,
            done: Vec::new(),
            current: Current::default(),
        }
    }

    /// A number of some moment, in milliseconds since the Unix epoch, none before the one before. One
    /// that is of no bucket is left out.
    pub fn add(&mut self, at_ms: u64, number: f64) {
        let Some(index) = (at_ms / self.grid.step_ms).checked_sub(self.grid.first) else {
            return;
        };
        if index >= self.grid.count {
            return;
        }
        self.close_up_to(index);
        let current = &mut self.current;
        match current.count {
            0 => (current.least, current.greatest) = (number, number),
            _ => {
                current.least = current.least.min(number);
                current.greatest = current.greatest.max(number);
            }
        }
        current.count += 1;
        current.sum += number;
        current.last = number;
        if self.aggregate == Aggregate::P95 {
            current.all.push(number);
        }
    }

    /// Every bucket, those without numbers too.
    pub fn buckets(mut self) -> Vec<Bucket> {
        self.close_up_to(self.grid.count);
        self.done
    }

    fn close_up_to(&mut self, index: u64) {
        while (self.done.len() as u64) < index {
            let number = self.grid.first + self.done.len() as u64;
            let current = std::mem::take(&mut self.current);
            self.done.push(Bucket {
                from_ms: number * self.grid.step_ms,
                count: current.count,
                value: current.value(self.aggregate),
            });
        }
    }
}

impl Current {
    fn value(mut self, aggregate: Aggregate) -> Option<f64> {
        match (aggregate, self.count) {
            (Aggregate::Count, count) => Some(count as f64),
            (_, 0) => None,
            (Aggregate::Avg, count) => Some(self.sum / count as f64),
            (Aggregate::Min, _) => Some(self.least),
            (Aggregate::Max, _) => Some(self.greatest),
            (Aggregate::Sum, _) => Some(self.sum),
            (Aggregate::Last, _) => Some(self.last),
            (Aggregate::P95, _) => {
                let rank = (self.all.len() * 95).div_ceil(100);
                let index = rank.saturating_sub(1);
                let (_, number, _) = self.all.select_nth_unstable_by(index, f64::total_cmp);
                Some(*number)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(aggregate: Aggregate, numbers: &[(u64, f64)]) -> Vec<(u64, Option<f64>, u64)> {
        let mut series = Series::new(Grid::over(15, 41, 10).unwrap(), aggregate);
        numbers
            .iter()
            .for_each(|(at, number)| series.add(*at, *number));
        let buckets = series.buckets();
        let shown = buckets.iter().map(|it| (it.from_ms, it.value, it.count));
        shown.collect()
    }

    #[test]
    fn buckets_lie_at_multiples_and_empty_ones_are_there() {
        let numbers = [
            (9, 1.0),
            (10, 2.0),
            (19, 4.0),
            (20, 5.0),
            (40, -7.0),
            (50, 9.0),
        ];
        let sums = values(Aggregate::Sum, &numbers);
        assert_eq!(
            sums,
            [
                (10, Some(6.0), 2),
                (20, Some(5.0), 1),
                (30, None, 0),
                (40, Some(-7.0), 1)
            ]
        );
        let counts = values(Aggregate::Count, &numbers);
        let counts: Vec<_> = counts.iter().map(|it| it.1).collect();
        assert_eq!(counts, [Some(2.0), Some(1.0), Some(0.0), Some(1.0)]);
    }

    #[test]
    fn each_aggregate_is_what_its_name_says() {
        let numbers = [(20, 3.0), (21, -1.0), (29, 2.5)];
        for (aggregate, expected) in [
            (Aggregate::Avg, 1.5),
            (Aggregate::Min, -1.0),
            (Aggregate::Max, 3.0),
            (Aggregate::Sum, 4.5),
            (Aggregate::Last, 2.5),
            (Aggregate::Count, 3.0),
            (Aggregate::P95, 3.0),
        ] {
            assert_eq!(
                values(aggregate, &numbers)[1],
                (20, Some(expected), 3),
                "{aggregate:?}"
            );
            assert_eq!(Aggregate::parse(aggregate.as_str()), Some(aggregate));
        }
        assert_eq!(Aggregate::parse("p96"), None);
    }

    #[test]
    fn a_grid_has_bounds() {
        assert_eq!(Grid::over(5, 5, 10), Err(GridError::Empty));
        assert_eq!(Grid::over(0, 100_000, 10).unwrap().count, BUCKETS_MAX);
        assert_eq!(
            Grid::over(0, 100_001, 10),
            Err(GridError::TooMany(BUCKETS_MAX + 1))
        );
        assert_eq!(Grid::over(0, u64::MAX, u64::MAX).unwrap().count, 1);
    }

    proptest! {
        #[test]
        fn the_percentile_is_the_nearest_rank(numbers in prop::collection::vec(-1e6..1e6f64, 1..300)) {
            let mut series = Series::new(Grid::over(0, 10, 10).unwrap(), Aggregate::P95);
            numbers.iter().for_each(|number| series.add(3, *number));
            let value = series.buckets()[0].value.unwrap();
            let not_above = numbers.iter().filter(|it| **it <= value).count();
            let below = numbers.iter().filter(|it| **it < value).count();
            prop_assert!(not_above * 100 >= numbers.len() * 95);
            prop_assert!(below * 100 < numbers.len() * 95);
        }
    }
}
