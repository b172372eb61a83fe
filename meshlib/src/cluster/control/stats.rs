//! Envoy's numbers of a cluster's membership.

use crate::base::{Counter, Gauge, Stats};

/// Gauges fall back to zero with the control task.
pub(super) struct ControlStats {
    total: Gauge,
    healthy: Gauge,
    passing_checks: Option<Gauge>,
    changes: Counter,
    no_rebuild: Counter,
}

impl ControlStats {
    /// `cluster.<cluster>.membership_{total,healthy,change}` and `update_no_rebuild`; with health checks also
    /// `health_check.healthy`.
    pub(super) fn new(stats: &Stats, cluster: &str, health_checks: bool) -> Self {
        let name = |what: &str| format!("cluster.{cluster}.{what}");
        Self {
            total: stats.gauge(name("membership_total")),
            healthy: stats.gauge(name("membership_healthy")),
            passing_checks: health_checks.then(|| stats.gauge(name("health_check.healthy"))),
            changes: stats.counter(name("membership_change")),
            no_rebuild: stats.counter(name("update_no_rebuild")),
        }
    }

    pub(super) fn set(&self, total: usize, healthy: usize, passing_checks: usize) {
        self.total.set(total as i64);
        self.healthy.set(healthy as i64);
        if let Some(gauge) = &self.passing_checks {
            gauge.set(passing_checks as i64);
        }
    }

    /// Hosts came or went.
    pub(super) fn membership_changed(&self) {
        self.changes.increment();
    }

    /// An update left everything as it was.
    pub(super) fn nothing_changed(&self) {
        self.no_rebuild.increment();
    }
}

impl Drop for ControlStats {
    fn drop(&mut self) {
        self.set(0, 0, 0);
    }
}
