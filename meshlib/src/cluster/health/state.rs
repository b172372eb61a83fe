//! The threshold machine: when failures make a host unhealthy, and when successes make it healthy again.
//!
//! ```
//! use meshlib::cluster::health::{FailureKind, HealthState, ProbeFailure};
//!
//! let mut state = HealthState::new(2, 2);
//! state.observe(&Ok(()));
//! assert!(state.is_healthy(), "the first result decides");
//! let refused = Err(ProbeFailure::new(FailureKind::Network, "refused"));
//! state.observe(&refused);
//! assert!(state.is_healthy(), "one of two");
//! state.observe(&refused);
//! assert!(!state.is_healthy());
//! ```

use super::result::ProbeResult;

/// The health of one host by one check, as Envoy counts it.
///
/// - The first result ever decides alone, whatever the thresholds.
/// - Afterwards a failure without an answer (connect, reset, timeout) counts towards `unhealthy_threshold`, any other
///   failure makes the host unhealthy at once.
/// - An unhealthy host needs `healthy_threshold` successes in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthState {
    unhealthy_threshold: u32,
    healthy_threshold: u32,
    known: bool,
    healthy: bool,
    /// Results in a row that speak against the present state.
    against: u32,
}

impl HealthState {
    /// A host without a result: not healthy. A threshold of 0 means 1.
    pub fn new(unhealthy_threshold: u32, healthy_threshold: u32) -> Self {
        Self { unhealthy_threshold, healthy_threshold, known: false, healthy: false, against: 0 }
    }

    /// Takes the result of a check; answers whether the host became healthy or unhealthy by it.
    pub fn observe(&mut self, result: &ProbeResult) -> bool {
        let first = !std::mem::replace(&mut self.known, true);
        if result.is_ok() == self.healthy {
            self.against = 0;
            return false;
        }
        self.against = self.against.saturating_add(1);
        let decided = match result {
            Ok(()) => first || self.against >= self.healthy_threshold,
            Err(failure) => !failure.is_network() || self.against >= self.unhealthy_threshold,
        };
        if decided {
            self.healthy = result.is_ok();
            self.against = 0;
        }
        decided
    }

    /// Something else than a check says that the host fails; answers whether it became unhealthy by it. It needs
    /// `healthy_threshold` successes then.
    pub fn fail(&mut self) -> bool {
        self.against = 0;
        std::mem::replace(&mut self.healthy, false)
    }

    /// Whether the host is healthy.
    pub fn is_healthy(&self) -> bool {
        self.healthy
    }

    /// Whether there was a result at all.
    pub fn is_known(&self) -> bool {
        self.known
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{FailureKind, ProbeFailure},
        *,
    };

    /// `+` success, `n` network failure, `t` timeout, `p` protocol failure; upper case in `states`: healthy after it.
    fn states(unhealthy: u32, healthy: u32, results: &str) -> String {
        let mut state = HealthState::new(unhealthy, healthy);
        assert!(!state.is_known());
        let observe = |result: char| {
            let failure = |kind| Err(ProbeFailure::new(kind, "test"));
            let before = state.is_healthy();
            let changed = state.observe(&match result {
                '+' => Ok(()),
                'n' => failure(FailureKind::Network),
                't' => failure(FailureKind::Timeout),
                _ => failure(FailureKind::Protocol),
            });
            assert_eq!(changed, before != state.is_healthy());
            assert!(state.is_known());
            if state.is_healthy() { 'H' } else { 'u' }
        };
        results.chars().map(observe).collect()
    }

    #[test]
    fn a_host_that_fails_by_its_own_word_needs_the_threshold() {
        let mut state = HealthState::new(2, 2);
        assert!(!state.fail() && !state.is_known());
        state.observe(&Ok(()));
        assert!(state.is_healthy(), "its first result decides all the same");
        assert!(state.fail() && !state.fail());
        assert!(!state.observe(&Ok(())) && !state.is_healthy());
        state.fail();
        assert!(!state.observe(&Ok(())), "in a row");
        assert!(state.observe(&Ok(())) && state.is_healthy());
    }

    #[test]
    fn thresholds_as_envoy_counts_them() {
        for (unhealthy, healthy, results, expected) in [
            (2, 2, "+", "H"),         // one success suffices at first
            (2, 9, "+", "H"),         // whatever the threshold
            (2, 2, "n", "u"),         // and one failure
            (9, 2, "t", "u"),         // of any kind
            (2, 2, "n++", "uuH"),     // after any failure: the threshold
            (2, 2, "p+n++", "uuuuH"), // in a row
            (2, 3, "p++n+++", "uuuuuuH"),
            (2, 2, "+nn", "HHu"),       // network failures: the threshold
            (2, 2, "+nt", "HHu"),       // a timeout is one
            (2, 2, "+n+n+n", "HHHHHH"), // in a row
            (2, 2, "+p", "Hu"),         // a wrong answer: at once
            (9, 2, "+np", "HHu"),
            (1, 1, "+n+n", "HuHu"),
            (0, 0, "n+n", "uHu"), // zero means one
            (2, 2, "+nn+nn++", "HHuuuuuH"),
            (3, 2, "+nn+nnn", "HHHHHHu"),
        ] {
            assert_eq!(states(unhealthy, healthy, results), expected, "{unhealthy}/{healthy} {results}");
        }
    }
}
