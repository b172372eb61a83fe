//! The time of day.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::base::resources::WallClock;

/// A wall clock that follows tokio's: paused with it, advanced with it. Cloning shares it.
#[derive(Clone, Debug)]
pub struct TestClock {
    begin: Instant,
    ahead_ms: Arc<AtomicI64>,
}

impl TestClock {
    /// Its time when it is made, since the epoch: 2026-01-01T00:00:00Z.
    pub const START: Duration = Duration::from_secs(1_767_225_600);

    /// A clock that stands at [`START`](Self::START) now.
    pub fn new() -> Self {
        Self { begin: Instant::now(), ahead_ms: Arc::default() }
    }

    /// Another clock, so many milliseconds ahead of this one, or behind it.
    #[must_use]
    pub fn skewed(&self, ahead_ms: i64) -> Self {
        Self {
            begin: self.begin,
            ahead_ms: Arc::new(AtomicI64::new(self.ahead_ms.load(Ordering::Relaxed).saturating_add(ahead_ms))),
        }
    }

    /// Sets it so many milliseconds ahead of tokio's clock, or behind it.
    pub fn set_ahead_ms(&self, ahead_ms: i64) {
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl WallClock for TestClock {
    fn now(&self) -> SystemTime {
        let (time, ahead) = (SystemTime::UNIX_EPOCH + Self::START + self.begin.elapsed(), &self.ahead_ms);
        let ahead = ahead.load(Ordering::Relaxed);
        let by = Duration::from_millis(ahead.unsigned_abs());
        let skewed = if ahead < 0 { time.checked_sub(by) } else { time.checked_add(by) };
        skewed.unwrap_or(time)
    }
}
