//! When calls are to begin: a schedule that knows nothing of the answers.

use std::time::Duration;

/// How calls follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The same time between any two.
    Constant,
    /// As many independent clients would call: the times between two are exponentially distributed.
    Poisson,
}

/// The times of calls since the start, without end.
pub(crate) struct Arrivals {
    kind: Kind,
    rate: f64,
    random: fastrand::Rng,
    count: f64,
    seconds: f64,
}

impl Arrivals {
    /// `rate` calls a second. The same seed makes the same schedule.
    pub(crate) fn new(kind: Kind, rate: f64, seed: u64) -> Self {
        Self { kind, rate, random: fastrand::Rng::with_seed(seed), count: 0.0, seconds: 0.0 }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        match self.kind {
            // From the count, so that rounding does not add up.
            Kind::Constant => self.seconds = self.count / self.rate,
            Kind::Poisson => self.seconds -= (1.0 - self.random.f64()).ln() / self.rate,
        }
        self.count += 1.0;
        Some(Duration::from_secs_f64(self.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_arrivals_are_evenly_spread() {
        let at: Vec<_> = Arrivals::new(Kind::Constant, 1000.0, 1).take(3).collect();
        assert_eq!(at, [0, 1, 2].map(Duration::from_millis));
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_repeat_with_the_seed() {
        let schedule = |seed| Arrivals::new(Kind::Poisson, 1000.0, seed).take(100_000).collect::<Vec<_>>();
        let at = schedule(7);
        assert!(at.is_sorted());
        let last = at.last().unwrap().as_secs_f64();
        assert!((98.0..102.0).contains(&last), "100,000 calls at 1,000 a second took {last} s");
        assert_eq!(at, schedule(7));
        assert_ne!(at, schedule(8));
    }
}
