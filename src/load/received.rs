//! What one connection has received, in a few bytes.

/// How many of the newest numbers are told apart.
const RECENT: u32 = u64::BITS;

/// The newest number that came, and which of those before it did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Received {
    /// One more than the highest number that came.
    next: u32,
    /// The lowest bit stands for `next - 1`.
    recent: u64,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// For the first time, with a higher number than all before.
    Newest,
    /// For the first time, but after the message of this higher number.
    After(u32),
    /// It had come before. What is older than the numbers told apart counts as that.
    Again,
}

impl Received {
    #[inline]
    pub fn take(&mut self, number: u32) -> Arrival {
        if number >= self.next {
            let ahead = number - self.next;
            self.recent = self.recent.checked_shl(ahead + 1).unwrap_or(0) | 1;
            self.next = number + 1;
            return Arrival::Newest;
        }
        let bit = self.bit(number);
        if bit == 0 || self.recent & bit != 0 {
            return Arrival::Again;
        }
        self.recent |= bit;
        Arrival::After(self.next - 1)
    }

    /// Whether it came; a number older than those told apart is taken to have.
    pub fn has(&self, number: u32) -> bool {
        number < self.next && (self.bit(number) == 0 || self.recent & self.bit(number) != 0)
    }

    fn bit(&self, number: u32) -> u64 {
        let age = self.next - 1 - number;
        if age < RECENT { 1 << age } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn order_is_seen() {
        let mut received = Received::default();
        let arrivals = [0, 1, 3, 2, 3, 2, 100, 99, 4].map(|number| received.take(number));
        use Arrival::{After, Again, Newest};
        let expected = [
            Newest,
            Newest,
            Newest,
            After(3),
            Again,
            Again,
            Newest,
            After(100),
            Again,
        ];
        assert_eq!(arrivals, expected);
    }

    proptest! {
        #[test]
        fn nothing_recent_counts_twice_and_nothing_is_overlooked(
            numbers in prop::collection::vec(0..60u32, 0..200),
        ) {
            let (mut received, mut seen) = (Received::default(), BTreeSet::new());
            for number in numbers {
                let highest = seen.last().copied();
                let expected = match (seen.insert(number), highest) {
                    (false, _) => Arrival::Again,
                    (true, Some(highest)) if highest > number => Arrival::After(highest),
                    (true, _) => Arrival::Newest,
                };
                prop_assert_eq!(received.take(number), expected);
                for number in 0..60 {
                    prop_assert_eq!(received.has(number), seen.contains(&number));
                }
            }
        }
    }
}
