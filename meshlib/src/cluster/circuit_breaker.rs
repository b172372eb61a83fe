//! Limits of one cluster, shared by all workers: what is above one is refused at once.
//!
//! ```
//! use meshlib::{
//!     base::Stats,
//!     cluster::{circuit_breaker::{CircuitBreakers, Limited}, config::CircuitBreakersConfig},
//! };
//!
//! let config = CircuitBreakersConfig { max_retries: 1, ..CircuitBreakersConfig::default() };
//! let breakers = CircuitBreakers::new("echo", &config, &Stats::new());
//! let retry = breakers.enter(Limited::Retries).unwrap();
//! assert!(breakers.enter(Limited::Retries).is_none());
//! drop(retry);
//! assert!(breakers.enter(Limited::Retries).is_some());
//! ```

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use super::config::CircuitBreakersConfig;
use crate::base::{Gauge, Stats};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limited {
    /// Connections, those being made included (`max_connections`).
    Connections,
    /// Requests that wait for a connection (`max_pending_requests`).
    PendingRequests,
    /// Requests under way, their responses' bodies included (`max_requests`).
    Requests,
    /// Retries under way (`max_retries`).
    Retries,
}

/// The limits of a cluster (Envoy's `circuit_breakers`, default priority). Cloning shares them.
///
/// `cluster.<name>.circuit_breakers.default.{cx_open,rq_pending_open,rq_open,rq_retry_open}` are 1 while a limit is
/// reached.
#[derive(Clone, Debug)]
pub struct CircuitBreakers(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    connections: Limit,
    pending_requests: Limit,
    requests: Limit,
    retries: Limit,
}

/// On a cache line of its own: all workers count every request.
#[derive(Debug)]
#[repr(align(64))]
struct Limit {
    max: u32,
    level: AtomicU32,
    open: Gauge,
}

impl Limit {
    fn new(max: u32, open: Gauge) -> Self {
        open.set((max == 0).into());
        Self { max, level: AtomicU32::new(0), open }
    }

    fn enter(&self, force: bool) -> bool {
        let raised = self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| {
            (force || level < self.max).then(|| level.saturating_add(1))
        });
        match raised {
            Ok(before) => {
                if before.saturating_add(1) == self.max {
                    self.open.add(1);
                }
                true
            }
            Err(_) => false,
        }
    }

    fn leave(&self) {
        let before = self.level.fetch_sub(1, Ordering::Relaxed);
        if before == self.max {
            self.open.add(-1);
        }
    }
}

/// A place under a limit, until dropped.
#[derive(Debug)]
pub struct Permit {
    limits: CircuitBreakers,
    of: Limited,
}

impl CircuitBreakers {
    /// The limits of the cluster `cluster`.
    pub fn new(cluster: &str, config: &CircuitBreakersConfig, stats: &Stats) -> Self {
        let gauge = |name| stats.gauge(format!("cluster.{cluster}.circuit_breakers.default.{name}"));
        Self(Arc::new(Limits {
            connections: Limit::new(config.max_connections, gauge("cx_open")),
            pending_requests: Limit::new(config.max_pending_requests, gauge("rq_pending_open")),
            requests: Limit::new(config.max_requests, gauge("rq_open")),
            retries: Limit::new(config.max_retries, gauge("rq_retry_open")),
        }))
    }

    /// A place, if there is one.
    pub fn enter(&self, of: Limited) -> Option<Permit> {
        self.try_raise(of).then(|| Permit { limits: self.clone(), of })
    }

    /// A place, beyond the limit if need be: a host's first connection, without which its requests could never go.
    pub fn enter_regardless(&self, of: Limited) -> Permit {
        self.limit(of).enter(true);
        Permit { limits: self.clone(), of }
    }

    /// How many places are taken.
    pub fn level(&self, of: Limited) -> u32 {
        self.limit(of).level.load(Ordering::Relaxed)
    }

    /// How many places there are.
    pub fn max(&self, of: Limited) -> u32 {
        self.limit(of).max
    }

    /// Takes a place that [`lower`](Self::lower) gives back: for a guard that reaches the limits by other ways than a
    /// counted reference of its own.
    pub(crate) fn try_raise(&self, of: Limited) -> bool {
        self.limit(of).enter(false)
    }

    /// Gives back a place.
    pub(crate) fn lower(&self, of: Limited) {
        self.limit(of).leave();
    }

    fn limit(&self, of: Limited) -> &Limit {
        match of {
            Limited::Connections => &self.0.connections,
            Limited::PendingRequests => &self.0.pending_requests,
            Limited::Requests => &self.0.requests,
            Limited::Retries => &self.0.retries,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limits.lower(self.of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breakers(max: u32) -> (CircuitBreakers, Stats) {
        let stats = Stats::new();
        let config = CircuitBreakersConfig {
            max_connections: max,
            max_pending_requests: max,
            max_requests: max,
            max_retries: max,
        };
        (CircuitBreakers::new("c", &config, &stats), stats)
    }

    #[test]
    fn gauges_show_a_limit_that_is_reached() {
        for (of, name) in [
            (Limited::Connections, "cx_open"),
            (Limited::PendingRequests, "rq_pending_open"),
            (Limited::Requests, "rq_open"),
            (Limited::Retries, "rq_retry_open"),
        ] {
            let (breakers, stats) = breakers(2);
            let open = || stats.gauge_value(&format!("cluster.c.circuit_breakers.default.{name}")).unwrap();
            let one = breakers.enter(of).unwrap();
            assert_eq!((open(), breakers.level(of)), (0, 1));
            let two = breakers.enter(of).unwrap();
            assert_eq!(open(), 1);
            assert!(breakers.enter(of).is_none());
            let beyond = breakers.enter_regardless(of);
            assert_eq!((open(), breakers.level(of)), (1, 3));
            drop(beyond);
            assert_eq!(open(), 1);
            drop((one, two));
            assert_eq!((open(), breakers.level(of)), (0, 0));
        }
    }

    #[test]
    fn a_limit_of_nothing_is_always_reached() {
        let (breakers, stats) = breakers(0);
        assert!(breakers.enter(Limited::Requests).is_none());
        drop(breakers.enter_regardless(Limited::Requests));
        assert_eq!(stats.gauge_value("cluster.c.circuit_breakers.default.rq_open"), Some(1));
    }

    #[test]
    fn the_level_never_passes_the_limit_from_many_threads() {
        let (breakers, stats) = breakers(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let permits: Vec<_> = (0..2).filter_map(|_| breakers.enter(Limited::Requests)).collect();
                        assert!(breakers.level(Limited::Requests) <= 4);
                        drop(permits);
                    }
                });
            }
        });
        assert_eq!(breakers.level(Limited::Requests), 0);
        assert_eq!(stats.gauge_value("cluster.c.circuit_breakers.default.rq_open"), Some(0));
    }
}
