//! Envoy's counters of health checks.

use super::result::ProbeResult;
use crate::base::{Counter, Stats};

/// `cluster.<cluster>.health_check.{attempt,success,failure,network_failure,passive_failure}`. Clones share their
/// counters.
#[derive(Clone, Debug)]
pub struct HealthCheckStats {
    attempt: Counter,
    success: Counter,
    failure: Counter,
    network_failure: Counter,
    passive_failure: Counter,
}

impl HealthCheckStats {
    /// The counters of `cluster`.
    pub fn new(stats: &Stats, cluster: &str) -> Self {
        let counter = |what: &str| stats.counter(format!("cluster.{cluster}.health_check.{what}"));
        Self {
            attempt: counter("attempt"),
            success: counter("success"),
            failure: counter("failure"),
            network_failure: counter("network_failure"),
            passive_failure: counter("passive_failure"),
        }
    }

    pub(super) fn begin(&self) {
        self.attempt.increment();
    }

    /// A host failed by what it said with an ordinary response.
    pub(in crate::cluster) fn failed_passively(&self) {
        self.failure.increment();
        self.passive_failure.increment();
    }

    pub(super) fn end(&self, result: &ProbeResult) {
        match result {
            Ok(()) => self.success.increment(),
            Err(failure) => {
                self.failure.increment();
                if failure.is_network() {
                    self.network_failure.increment();
                }
            }
        }
    }
}
