//! How much messages matter, and what is counted by it.

use serde::{Deserialize, Serialize};

/// How much a message matters. Orders from low to critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Low,
    Normal,
    High,
    Critical,
}

impl Priority {
    /// Lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// Back from [`Priority::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// One `T` a priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PerPriority<T>([T; 4]);

impl<T> std::ops::Index<Priority> for PerPriority<T> {
    type Output = T;
    fn index(&self, priority: Priority) -> &T {
        &self.0[priority as usize]
    }
}

impl<T> std::ops::IndexMut<Priority> for PerPriority<T> {
    fn index_mut(&mut self, priority: Priority) -> &mut T {
        &mut self.0[priority as usize]
    }
}

impl<T> PerPriority<T> {
    /// Lowest priority first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Priority, &T)> {
        Priority::ALL.into_iter().zip(&self.0)
    }
}

/// Counts may come from the records of other hubs, and add up to no more than fits.
impl PerPriority<u64> {
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, one| sum.saturating_add(*one))
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }
}
