//! The books of a run: what is in flight, what arrived, how late, and what went wrong.
//!
//! Plain values; time comes in as nanoseconds since the run began.

use std::collections::VecDeque;

use super::latency::Latency;
use super::payload::Stamp;
use super::received::{Arrival, Received};

/// What is published and not yet with every reader, and what has been counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Connections that the messages of each metric were for at first, and that are left of these.
    /// Messages are of the metrics in turn.
    wanted: Vec<u32>,
    readers: Vec<u32>,
    /// The oldest message in flight; those before it are done with.
    oldest: u32,
    flights: VecDeque<Flight>,
    /// Written to a server that has not answered yet; a few at most.
    unanswered: Vec<u32>,
    /// Messages before this one belong to the warm-up and are in none of the counts.
    counted_from: u32,
    withdrawn: u32,
    /// Deliveries that there must be of the messages that count.
    due: u64,
    pub delivered: u64,
    pub duplicates: u64,
    pub out_of_order: u64,
    pub latency: Latency,
    /// By all connections, with all that is around messages.
    pub received_bytes: u64,
    /// When the last message arrived anywhere, in nanoseconds.
    pub last_arrival: u64,
    /// Since when nothing has arrived, been published or been given up.
    pub quiet_since: u64,
}

/// One message on its way.
#[derive(Debug)]
struct Flight {
    /// Readers that it has not reached.
    left: u32,
    /// When it was written, every message below this number had been answered. Those between were
    /// on their way together, and may overtake each other.
    answered_below: u32,
}

impl Tally {
    /// `readers` are the connections that get the messages of each metric, one metric at least.
    pub fn new(readers: Vec<u32>) -> Self {
        Self {
            wanted: readers.clone(),
            readers,
            ..Self::default()
        }
    }

    /// Takes the number of the next message, which is about to be written.
    pub fn depart(&mut self, now: u64) -> u32 {
        self.quiet_since = now;
        let number = self.next();
        let answered_below = self.unanswered.iter().min().copied();
        self.unanswered.push(number);
        self.due += self.wanted_by(number);
        self.flights.push_back(Flight {
            left: self.readers[self.metric(number)],
            answered_below: answered_below.unwrap_or(number),
        });
        // Nobody may be there for it.
        self.retire();
        number
    }

    /// The server has answered that it took the message.
    pub fn answered(&mut self, number: u32) {
        self.unanswered.retain(|it| *it != number);
    }

    /// The server has refused the message, so nobody waits for it.
    pub fn withdraw(&mut self, number: u32) {
        self.answered(number);
        if number >= self.counted_from {
            self.withdrawn += 1;
            self.due -= self.wanted_by(number);
        }
        if let Some(flight) = self.flight(number) {
            flight.left = 0;
        }
        self.retire();
    }

    /// A message of this run has come to the connection that `received` belongs to.
    #[inline]
    pub fn arrive(&mut self, received: &mut Received, stamp: Stamp, now: u64) {
        let Stamp { number, sent_at } = stamp;
        if number >= self.next() {
            return;
        }
        match received.take(number) {
            Arrival::Newest => {}
            Arrival::Again => {
                self.duplicates += 1;
                return;
            }
            Arrival::After(newer) => {
                let together = self
                    .flight(newer)
                    .is_some_and(|it| number >= it.answered_below);
                self.out_of_order += u64::from(!together);
            }
        }
        if number >= self.counted_from {
            self.delivered += 1;
            self.latency.record(now.saturating_sub(sent_at));
        }
        self.last_arrival = now;
        self.quiet_since = now;
        if let Some(flight) = self.flight(number) {
            flight.left = flight.left.saturating_sub(1);
            if flight.left == 0 && number == self.oldest {
                self.retire();
            }
        }
    }

    /// A connection has ended for good that `had` these metrics: nothing that it has not received
    /// waits for it any more.
    pub fn forsake(&mut self, received: &Received, had: impl Fn(usize) -> bool) {
        for (nth, readers) in self.readers.iter_mut().enumerate() {
            *readers = readers.saturating_sub(u32::from(had(nth)));
        }
        let metrics = self.readers.len();
        for (number, flight) in (self.oldest..).zip(&mut self.flights) {
            if had(number as usize % metrics) && !received.has(number) {
                flight.left = flight.left.saturating_sub(1);
            }
        }
        self.retire();
    }

    /// Waits for the oldest message no longer; what is missing of it stays missing.
    pub fn give_up_oldest(&mut self, now: u64) {
        self.quiet_since = now;
        if let Some(flight) = self.flights.front_mut() {
            flight.left = 0;
        }
        self.retire();
    }

    /// From the next message on everything counts.
    pub fn count_from_here(&mut self) {
        self.counted_from = self.next();
        self.withdrawn = 0;
        self.due = 0;
        self.delivered = 0;
        self.received_bytes = 0;
        self.latency = Latency::default();
    }

    /// Messages that are not yet with every reader.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Connections that have not received the oldest message in flight.
    pub fn awaited(&self) -> u32 {
        self.flights.front().map_or(0, |flight| flight.left)
    }

    /// Whether the server has answered for every message.
    pub fn is_answered(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// Messages published that count.
    pub fn published(&self) -> u64 {
        u64::from(self.next() - self.counted_from - self.withdrawn)
    }

    /// Deliveries of these that have not come.
    pub fn missing(&self) -> u64 {
        self.due.saturating_sub(self.delivered)
    }

    fn metric(&self, number: u32) -> usize {
        number as usize % self.readers.len()
    }

    fn wanted_by(&self, number: u32) -> u64 {
        u64::from(self.wanted[self.metric(number)])
    }

    fn next(&self) -> u32 {
        // In flight are never as many as numbers there are.
        self.oldest + self.flights.len() as u32
    }

    #[inline]
    fn flight(&mut self, number: u32) -> Option<&mut Flight> {
        let place = number.checked_sub(self.oldest)?;
        self.flights.get_mut(place as usize)
    }

    fn retire(&mut self) {
        while self.flights.front().is_some_and(|flight| flight.left == 0) {
            self.flights.pop_front();
            self.oldest += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(readers: usize) -> (Tally, Vec<Received>) {
        let tally = Tally::new(vec![readers as u32]);
        (tally, vec![Received::default(); readers])
    }

    fn stamp(number: u32) -> Stamp {
        let sent_at = 0;
        Stamp { number, sent_at }
    }

    #[test]
    fn a_message_is_in_flight_until_everybody_has_it() {
        let (mut tally, mut received) = tally(2);
        assert_eq!((tally.depart(0), tally.depart(0)), (0, 1));
        tally.arrive(&mut received[0], stamp(0), 5);
        tally.arrive(&mut received[0], stamp(1), 6);
        tally.arrive(&mut received[1], stamp(1), 7);
        assert_eq!((tally.in_flight(), tally.oldest), (2, 0));
        tally.arrive(&mut received[1], stamp(0), 8);
        assert_eq!((tally.in_flight(), tally.oldest), (0, 2));
        assert_eq!((tally.published(), tally.delivered), (2, 4));
        assert_eq!(tally.last_arrival, 8);
    }

    #[test]
    fn what_was_on_its_way_together_may_overtake() {
        let (mut tally, mut received) = tally(1);
        tally.depart(0);
        tally.depart(0);
        tally.arrive(&mut received[0], stamp(1), 1);
        tally.arrive(&mut received[0], stamp(0), 1);
        assert_eq!(tally.out_of_order, 0);

        tally.depart(0);
        tally.answered(0);
        tally.answered(1);
        tally.answered(2);
        tally.depart(0);
        tally.arrive(&mut received[0], stamp(3), 1);
        tally.arrive(&mut received[0], stamp(2), 1);
        assert_eq!((tally.out_of_order, tally.delivered), (1, 4));
    }

    #[test]
    fn what_comes_twice_counts_once() {
        let (mut tally, mut received) = tally(1);
        tally.depart(0);
        tally.arrive(&mut received[0], stamp(0), 1);
        tally.arrive(&mut received[0], stamp(0), 1);
        assert_eq!((tally.delivered, tally.duplicates), (1, 1));
    }

    #[test]
    fn nothing_waits_for_a_connection_that_is_gone() {
        let (mut tally, mut received) = tally(2);
        for number in 0..3 {
            tally.depart(0);
            tally.arrive(&mut received[0], stamp(number), 1);
        }
        tally.arrive(&mut received[1], stamp(0), 1);
        assert_eq!(tally.in_flight(), 2);
        tally.forsake(&received[1], |_| true);
        assert_eq!(tally.in_flight(), 0);
        tally.depart(0);
        tally.arrive(&mut received[0], stamp(3), 1);
        assert_eq!(tally.in_flight(), 0);
    }

    #[test]
    fn each_message_waits_for_those_that_have_its_metric() {
        let mut tally = Tally::new(vec![2, 0, 1]);
        let mut received = [Received::default(); 2];
        tally.depart(0);
        tally.arrive(&mut received[0], stamp(0), 1);
        assert_eq!((tally.in_flight(), tally.missing()), (1, 1));
        tally.arrive(&mut received[1], stamp(0), 1);
        tally.depart(0);
        assert_eq!((tally.in_flight(), tally.missing()), (0, 0));
        tally.depart(0);
        tally.depart(0);
        // The first has the first metric only.
        tally.forsake(&received[0], |nth| nth == 0);
        assert_eq!((tally.in_flight(), tally.missing()), (2, 3));
        tally.arrive(&mut received[1], stamp(2), 1);
        tally.arrive(&mut received[1], stamp(3), 1);
        assert_eq!((tally.in_flight(), tally.missing()), (0, 1));
        assert_eq!(tally.published(), 4);
    }

    #[test]
    fn the_warm_up_and_what_was_refused_are_not_counted() {
        let (mut tally, mut received) = tally(1);
        tally.depart(0);
        tally.depart(0);
        tally.arrive(&mut received[0], stamp(0), 1);
        tally.count_from_here();
        tally.depart(0);
        tally.depart(0);
        tally.withdraw(2);
        for number in [1, 3] {
            tally.arrive(&mut received[0], stamp(number), 1);
        }
        assert_eq!((tally.published(), tally.delivered), (1, 1));
        assert_eq!(tally.in_flight(), 0);
    }

    #[test]
    fn a_number_that_was_never_published_means_nothing() {
        let (mut tally, mut received) = tally(1);
        tally.arrive(&mut received[0], stamp(7), 1);
        assert_eq!((tally.delivered, received[0].has(7)), (0, false));
    }

    #[test]
    fn what_was_given_up_may_still_come() {
        let (mut tally, mut received) = tally(1);
        tally.depart(0);
        tally.give_up_oldest(0);
        assert_eq!(tally.in_flight(), 0);
        tally.arrive(&mut received[0], stamp(0), 1);
        assert_eq!((tally.delivered, tally.in_flight()), (1, 0));
    }
}
