//! The two clocks, read here and nowhere else in this room.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::domain::time::Now;

/// What the clock that never jumps shows at the start: enough for sessions that went away before it to
/// have a time too, however long they may be away.
pub const BEGIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where time comes from.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    /// The wall clock at the start, where it is to go with the other one.
    virtual_wall: Option<Duration>,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self {
            started: Instant::now(),
            virtual_wall: None,
        }
    }

    /// A wall clock that shows `wall` now and goes as tokio's clock goes, paused or not.
    pub fn virtual_from(wall: Duration) -> Self {
        Self {
            started: Instant::now(),
            virtual_wall: Some(wall),
        }
    }

    pub fn now(&self) -> Now {
        let mono = self.mono();
        let wall = match self.virtual_wall {
            Some(start) => start + self.uptime(),
            // A clock before 1970 tells the year 1970: ids go on from the last one anyway.
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        };
        Now {
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
            mono,
        }
    }

    /// Never jumps. Begins some days above nought.
    pub fn mono(&self) -> Duration {
        BEGIN + self.started.elapsed()
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}
