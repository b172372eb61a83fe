//! The time of day.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::base::resources::WallClock;

/// A wall clock that follows tokio's: paused with it, advanced with it.
#[derive(Clone, Copy, Debug)]
pub struct TestClock(Instant);

impl TestClock {
    /// Its time when it is made, since the epoch: 2026-01-01T00:00:00Z.
    pub const START: Duration = Duration::from_secs(1_767_225_600);

    /// A clock that stands at [`START`](Self::START) now.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl WallClock for TestClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Self::START + self.0.elapsed()
    }
}
