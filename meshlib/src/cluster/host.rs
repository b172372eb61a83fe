//! A [`Host`]: an endpoint with its live state, the same object for as long as discovery and health keep it.
//!
//! ```
//! use meshlib::cluster::host::{HealthFlags, Host};
//!
//! let host = Host::new("10.0.0.1:8081".parse().unwrap(), Some("echo".into()), 1, HealthFlags::FAILED_ACTIVE_HC);
//! assert!(!host.is_healthy());
//! host.set_health(HealthFlags::FAILED_ACTIVE_HC, false); // as the control task does after a check
//! assert!(host.is_healthy());
//! ```

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
};

/// A host of a cluster. Its identity outlives updates of the set it is in.
#[derive(Debug)]
pub struct Host {
    address: SocketAddr,
    hostname: Option<Arc<str>>,
    weight: AtomicU32,
    health: AtomicU8,
    stats: HostStats,
}

/// Why a host is not healthy, as `/clusters` prints it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HealthFlags(u8);

impl HealthFlags {
    /// Nothing is wrong.
    pub const HEALTHY: Self = Self(0);
    /// The active health check fails, or has not passed yet (`/failed_active_hc`).
    pub const FAILED_ACTIVE_HC: Self = Self(1);
    /// Outlier detection ejected it (`/failed_outlier_check`).
    pub const FAILED_OUTLIER_CHECK: Self = Self(2);
    /// Discovery dropped it; it stays while it passes its checks (`/pending_dynamic_removal`).
    pub const PENDING_DYNAMIC_REMOVAL: Self = Self(4);

    /// Whether every flag of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for HealthFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::HEALTHY {
            return f.write_str("healthy");
        }
        for (flag, name) in [
            (Self::FAILED_ACTIVE_HC, "/failed_active_hc"),
            (Self::FAILED_OUTLIER_CHECK, "/failed_outlier_check"),
            (Self::PENDING_DYNAMIC_REMOVAL, "/pending_dynamic_removal"),
        ] {
            if self.contains(flag) {
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for HealthFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HealthFlags({self})")
    }
}

/// What a host has done, all workers together: the numbers of `/clusters`.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct HostStats {
    /// Open connections.
    pub cx_active: AtomicU64,
    /// Connections that could not be made.
    pub cx_connect_fail: AtomicU64,
    /// Connections ever.
    pub cx_total: AtomicU64,
    /// Requests under way.
    pub rq_active: AtomicU64,
    /// Requests that wait for a connection.
    pub rq_pending_active: AtomicU64,
    /// Requests that failed or were answered with 5xx (for gRPC: by a server's error status).
    pub rq_error: AtomicU64,
    /// Requests answered otherwise.
    pub rq_success: AtomicU64,
    /// Requests that ran into a timeout.
    pub rq_timeout: AtomicU64,
    /// Requests ever.
    pub rq_total: AtomicU64,
}

impl Host {
    /// A host as it enters a cluster; with health checks configured it begins as [`HealthFlags::FAILED_ACTIVE_HC`].
    pub fn new(address: SocketAddr, hostname: Option<Arc<str>>, weight: u32, health: HealthFlags) -> Self {
        Self {
            address,
            hostname,
            weight: AtomicU32::new(weight.max(1)),
            health: AtomicU8::new(health.0),
            stats: HostStats::default(),
        }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The DNS name it was found under.
    pub fn hostname(&self) -> Option<&Arc<str>> {
        self.hostname.as_ref()
    }

    /// Its share of picks, 1 or more.
    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Changes its share of picks.
    pub fn set_weight(&self, weight: u32) {
        self.weight.store(weight.max(1), Ordering::Relaxed);
    }

    /// Its health flags now.
    pub fn health(&self) -> HealthFlags {
        HealthFlags(self.health.load(Ordering::Relaxed))
    }

    /// Sets or clears a health flag; answers whether that changed anything. The cluster's control task alone calls it.
    pub fn set_health(&self, flag: HealthFlags, set: bool) -> bool {
        let before = if set {
            self.health.fetch_or(flag.0, Ordering::Relaxed)
        } else {
            self.health.fetch_and(!flag.0, Ordering::Relaxed)
        };
        (before & flag.0 == flag.0) != set
    }

    /// Whether it may be picked outside of panic: neither its active check fails nor is it ejected.
    pub fn is_healthy(&self) -> bool {
        let health = self.health();
        !health.contains(HealthFlags::FAILED_ACTIVE_HC) && !health.contains(HealthFlags::FAILED_OUTLIER_CHECK)
    }

    /// Its numbers.
    pub fn stats(&self) -> &HostStats {
        &self.stats
    }
}
