//! Which metrics are published, and which connection subscribes to which of them.
//!
//! One metric goes to every connection. Many are in ten groups, `<metric>.<group>.<number>`, and a
//! connection has a few of them by name, evenly spread, and one group by pattern.

/// Groups that names are spread over, and that a pattern takes one of.
const GROUPS: usize = 10;
/// Names in a subscription besides the pattern.
const NAMES: usize = 4;

/// The metrics of a run, by number from 0.
#[derive(Debug, Clone)]
pub struct Metrics {
    base: String,
    count: usize,
}

impl Metrics {
    pub fn new(base: &str, count: usize) -> Self {
        Self {
            base: base.to_owned(),
            count: count.max(1),
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    pub fn are_many(&self) -> bool {
        self.count > 1
    }

    /// The number of the metric that this message belongs to.
    pub fn of_message(&self, number: u32) -> usize {
        number as usize % self.count
    }

    /// All names are of one length, so that one can be written over another.
    pub fn name(&self, nth: usize) -> String {
        if !self.are_many() {
            return self.base.clone();
        }
        let digits = (self.count - 1).to_string().len();
        format!("{}.{}.{nth:0digits$}", self.base, group(nth))
    }

    /// What the connection with this number subscribes to, as it stands in a query.
    pub fn subscription(&self, connection: usize) -> String {
        if !self.are_many() {
            return self.base.clone();
        }
        let names = self.named_by(connection).map(|nth| self.name(nth));
        let pattern = format!("{}.{}.*", self.base, group(connection));
        names.chain([pattern]).collect::<Vec<_>>().join(",")
    }

    /// Whether the connection gets the messages of a metric; by name and by pattern is once.
    pub fn reach(&self, connection: usize, nth: usize) -> bool {
        !self.are_many()
            || group(connection) == group(nth)
            || self.named_by(connection).any(|named| named == nth)
    }

    /// For each metric, how many connections of those with the numbers from `first` to below `end`
    /// get its messages.
    pub fn readers(&self, first: usize, end: usize) -> Vec<u32> {
        let connections = first..end.max(first);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        if !self.are_many() {
            return vec![count(connections.len())];
        }
        let mut by_pattern = [0; GROUPS];
        for connection in connections.clone() {
            by_pattern[group(connection)] += 1;
        }
        let mut readers: Vec<u32> = (0..self.count).map(|nth| by_pattern[group(nth)]).collect();
        for connection in connections {
            for nth in self.named_by(connection) {
                readers[nth] += u32::from(group(connection) != group(nth));
            }
        }
        readers
    }

    /// Metrics that the connection has by name, each once.
    fn named_by(&self, connection: usize) -> impl Iterator<Item = usize> {
        let count = self.count;
        (0..NAMES.min(count)).map(move |nth| (connection * NAMES + nth) % count)
    }
}

/// The group of a metric, and that of a connection's pattern.
fn group(number: usize) -> usize {
    number % GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pattern::{MetricName, Pattern};

    #[test]
    fn one_metric_is_for_everybody() {
        let one = Metrics::new("bench", 1);
        assert_eq!((one.name(0).as_str(), one.of_message(7)), ("bench", 0));
        assert_eq!(one.subscription(3), "bench");
        assert_eq!(one.readers(2, 9), [7]);
    }

    #[test]
    fn many_have_names_of_one_length_in_ten_groups() {
        let many = Metrics::new("bench", 1000);
        assert_eq!(many.name(7), "bench.7.007");
        assert_eq!(many.name(999), "bench.9.999");
        assert_eq!(many.of_message(2001), 1);
    }

    #[test]
    fn a_connection_has_four_names_and_a_pattern() {
        let many = Metrics::new("bench", 50);
        assert_eq!(
            many.subscription(13),
            "bench.2.02,bench.3.03,bench.4.04,bench.5.05,bench.3.*"
        );
        let few = Metrics::new("b", 3);
        assert_eq!(few.subscription(1), "b.1.1,b.2.2,b.0.0,b.1.*");
    }

    #[test]
    fn names_are_spread_evenly_over_connections() {
        let many = Metrics::new("bench", 50);
        let mut named = vec![0; 50];
        for connection in 0..25 {
            many.named_by(connection).for_each(|nth| named[nth] += 1);
        }
        assert_eq!(named, [2; 50]);
    }

    /// As the hub understands what is subscribed to.
    #[test]
    fn readers_are_those_whose_subscription_matches_each_once() {
        for (count, first, end) in [
            (50, 0, 20),
            (50, 3, 20),
            (3, 0, 12),
            (1000, 0, 7),
            (2, 5, 5),
        ] {
            let many = Metrics::new("bench", count);
            let readers = many.readers(first, end);
            assert_eq!(readers.len(), count);
            for (nth, expected) in readers.into_iter().enumerate() {
                let name = MetricName::parse(&many.name(nth)).unwrap();
                let matches = |connection: &usize| {
                    let all = many.subscription(*connection);
                    let is_one = |text| Pattern::parse(text).unwrap().matches(&name);
                    let matches = all.split(',').any(is_one);
                    assert_eq!(matches, many.reach(*connection, nth), "{all} {name}");
                    matches
                };
                let counted = (first..end).filter(matches).count();
                assert_eq!(counted, expected as usize, "{count} {name}");
            }
        }
    }
}
