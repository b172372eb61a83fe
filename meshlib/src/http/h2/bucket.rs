//! How often something may happen.

use std::time::Duration;

use tokio::time::Instant;

/// Allows a burst, then a rate, and whatever is earned besides. The clock is read only when the burst is used up; what
/// the rate has earned since the last time counts then, so a burst after a long calm may be twice as long.
#[derive(Debug)]
pub(super) struct TokenBucket {
    tokens: u32,
    burst: u32,
    per_second: u32,
    refilled: Instant,
}

impl TokenBucket {
    pub(super) fn new(burst: u32, per_second: u32) -> Self {
        Self { tokens: burst, burst, per_second, refilled: Instant::now() }
    }

    /// Whether it may happen once more.
    pub(super) fn take(&mut self) -> bool {
        if self.tokens == 0 {
            let elapsed = self.refilled.elapsed();
            let earned = elapsed.as_millis() * u128::from(self.per_second) / 1000;
            self.tokens = u32::try_from(earned).unwrap_or(u32::MAX).min(self.burst);
            if self.tokens > 0 {
                self.refilled += elapsed.min(Duration::from_secs(3600));
            }
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }

    /// Allows it `times` more.
    pub(super) fn earn(&mut self, times: u32) {
        self.tokens = self.tokens.saturating_add(times).min(self.burst);
    }
}
