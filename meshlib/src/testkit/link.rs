//! How fast bytes go.

use std::time::Duration;

/// How fast bytes go from one node to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// How long each byte is under way, in one direction. Timers count whole milliseconds. Default none.
    pub latency: Duration,
    /// How many bytes a second each connection carries in each direction; 0, the default, is no limit.
    pub bandwidth: u64,
}

impl Link {
    /// A link on which each byte takes so long.
    pub const fn latency(latency: Duration) -> Self {
        Self { latency, bandwidth: 0 }
    }

    /// With at most so many bytes a second on each connection, in each direction.
    #[must_use]
    pub const fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.bandwidth = bytes_per_second;
        self
    }

    pub(super) fn is_instant(self) -> bool {
        self.latency.is_zero() && self.bandwidth == 0
    }

    /// How long so many bytes keep the line busy.
    pub(super) fn busy(self, bytes: usize) -> Duration {
        let nanos = (bytes as u128 * 1_000_000_000).checked_div(u128::from(self.bandwidth));
        Duration::from_nanos(nanos.and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(0))
    }
}
