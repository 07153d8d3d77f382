//! What requests were answered with and how long that took, by route, since the start.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::NoLabelSet;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::exposition::Out;
use super::latency::BOUNDS;

/// Statuses that are told apart, rising; any other is counted as `other`.
pub const STATUSES: [(u16, &str); 20] = [
    (101, "101"),
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (410, "410"),
    (413, "413"),
    (415, "415"),
    (426, "426"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
];
const OTHER: &str = "other";
/// There from the start: an increase is only seen of what was there before.
const FAILURES: [u16; 2] = [500, 503];

const KINDS: usize = STATUSES.len() + 1;
const SLOTS: usize = BOUNDS.len() + 1;

/// The numbers of all routes. Share it behind an `Arc`; recording is two or three relaxed additions, no
/// lock and no allocation.
#[derive(Debug)]
pub struct Requests(Box<[Route]>);

#[derive(Debug)]
struct Route {
    label: Box<str>,
    /// How long a stream goes on says nothing of how well the hub answers.
    is_timed: bool,
    answers: [AtomicU64; KINDS],
    slots: [AtomicU64; SLOTS],
    sum_micros: AtomicU64,
}

impl Requests {
    /// One place for each route, in this order: its label, and whether its answers are timed.
    pub fn of(routes: impl IntoIterator<Item = (String, bool)>) -> Self {
        let route = |(label, is_timed): (String, bool)| Route {
            label: label.into(),
            is_timed,
            answers: std::array::from_fn(|_| AtomicU64::new(0)),
            slots: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_micros: AtomicU64::new(0),
        };
        Self(routes.into_iter().map(route).collect())
    }

    /// An answer of the route that came `nth` in [`Requests::of`].
    ///
    /// # Panics
    /// There is no such route.
    pub fn record(&self, nth: usize, status: u16, took: Duration) {
        let route = &self.0[nth];
        let kind = STATUSES.binary_search_by_key(&status, |(status, _)| *status);
        let kind = kind.unwrap_or(STATUSES.len());
        route.answers[kind].fetch_add(1, Ordering::Relaxed);
        if route.is_timed {
            let seconds = took.as_secs_f64();
            let slot = BOUNDS.partition_point(|bound| *bound < seconds);
            route.slots[slot].fetch_add(1, Ordering::Relaxed);
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            route.sum_micros.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// The numbers now.
    pub fn answered(&self) -> Vec<Answered> {
        self.0.iter().map(Route::answered).collect()
    }
}

impl Route {
    fn answered(&self) -> Answered {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Answered {
            route: self.label.clone(),
            answers: self.answers.each_ref().map(load),
            slots: self.slots.each_ref().map(load),
            took: Duration::from_micros(load(&self.sum_micros)),
        }
    }
}

/// What one route had answered at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    route: Box<str>,
    answers: [u64; KINDS],
    slots: [u64; SLOTS],
    took: Duration,
}

impl Answered {
    /// Labels and count of what there is to tell.
    fn counts(&self) -> impl Iterator<Item = ([(&'static str, &str); 2], u64)> {
        let statuses = STATUSES.into_iter().chain([(0, OTHER)]);
        let counts = statuses.zip(self.answers);
        let told = counts.filter(|((status, _), n)| *n > 0 || FAILURES.contains(status));
        told.map(|((_, text), n)| ([("route", &*self.route), ("status", text)], n))
    }
}

pub(super) fn encode(all: &[Answered], out: &mut Out<'_>) -> fmt::Result {
    let help = "Requests answered, those for streams when their stream began.";
    let counts = all.iter().flat_map(Answered::counts);
    out.family("http_requests", help, counts)?;
    let help = "Time from a request to its answer, streams and exports left out.";
    let seconds = Some(&Unit::Seconds);
    let kind = MetricType::Histogram;
    let mut family = out.describe("http_request_duration", help, seconds, kind)?;
    for answered in all {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(answered.slots).collect();
        let count = answered.slots.iter().sum();
        if count > 0 {
            family
                .encode_family(&[("route", &*answered.route)])?
                .encode_histogram::<NoLabelSet>(
                    answered.took.as_secs_f64(),
                    count,
                    &buckets,
                    None,
                )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_rise_and_read_as_they_are() {
        assert!(STATUSES.is_sorted());
        assert!(STATUSES.iter().all(|(n, text)| n.to_string() == *text));
    }

    #[test]
    fn each_route_has_its_counts_and_streams_are_not_timed() {
        let routes = [("/a", true), ("/stream", false)];
        let requests = Requests::of(routes.map(|(label, is_timed)| (label.to_owned(), is_timed)));
        requests.record(0, 200, Duration::from_millis(5));
        requests.record(0, 200, Duration::from_secs(100));
        requests.record(0, 299, Duration::ZERO);
        requests.record(1, 503, Duration::from_secs(3600));
        let [a, stream] = &requests.answered()[..] else {
            panic!("two routes");
        };
        let told = |it: &Answered| -> Vec<(String, u64)> {
            let counts = it.counts();
            counts.map(|([_, (_, s)], n)| (s.to_owned(), n)).collect()
        };
        let expected = |counts: &[(&str, u64)]| -> Vec<(String, u64)> {
            counts.iter().map(|(s, n)| ((*s).to_owned(), *n)).collect()
        };
        let of_a = [("200", 2), ("500", 0), ("503", 0), ("other", 1)];
        assert_eq!(told(a), expected(&of_a));
        assert_eq!(told(stream), expected(&[("500", 0), ("503", 1)]));
        // What takes as long as a bound is within it.
        let slot = BOUNDS.iter().position(|bound| *bound == 0.005).unwrap();
        assert_eq!((a.slots[slot], a.slots[SLOTS - 1]), (1, 1));
        assert_eq!(a.took, Duration::from_millis(100_005));
        assert_eq!((stream.slots, stream.took), ([0; SLOTS], Duration::ZERO));
    }
}
