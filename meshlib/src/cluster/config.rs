//! What a cluster is told: plain values, compared and cloned, read from a file or set by a builder.
//!
//! ```
//! use std::time::Duration;
//! use meshlib::cluster::config::{ClusterConfig, DiscoveryConfig, HealthCheckConfig};
//!
//! let second = Duration::from_secs(1);
//! let config = ClusterConfig::new("echo", DiscoveryConfig::strict_dns("echo.default.svc.cluster.local", 8786))
//!     .http2()
//!     .health_check(HealthCheckConfig::grpc(second, 10 * second, 2, 2))
//!     .connect_timeout(second / 2);
//! assert_eq!((config.panic_threshold, config.circuit_breakers.max_requests), (50.0, 1024));
//! ```

mod health_check;

use std::{net::SocketAddr, sync::Arc, time::Duration};

pub use self::health_check::{HealthCheckConfig, HealthCheckKind};
use super::balance::LbPolicy;
pub use crate::discovery::CustomDiscovery;
pub use crate::discovery::config::{DnsEndpoint, DnsLookupFamily, StaticEndpoint, StrictDnsConfig};
use crate::http::options::Http2Options;

/// One cluster (Envoy's `Cluster`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// The name: in routes, in stats, and the `:authority` of gRPC health checks.
    pub name: Arc<str>,
    /// Where endpoints come from.
    pub discovery: DiscoveryConfig,
    /// How long a connection may take, TLS included. Default 5 s (`connect_timeout`).
    pub connect_timeout: Duration,
    /// What is spoken to the hosts. Default HTTP/1.1.
    pub protocol: UpstreamProtocol,
    /// How a host is picked. Default round robin (`lb_policy`).
    pub lb_policy: LbPolicy,
    /// Active health checks; a host is healthy if it passes all of them. Default none (`health_checks`).
    pub health_checks: Vec<HealthCheckConfig>,
    /// Limits (`circuit_breakers`). Default 1024 connections, 1024 pending and 1024 active requests, 3 retries.
    pub circuit_breakers: CircuitBreakersConfig,
    /// Below this percentage of healthy hosts, health is ignored (`healthy_panic_threshold`). Default 50; 0 disables.
    pub panic_threshold: f64,
    /// Whether a host that discovery dropped goes at once, healthy or not. Default false
    /// (`ignore_health_on_host_removal`).
    pub ignore_health_on_host_removal: bool,
    /// Whether a failed connect moves on to the next host within the same pick. Default true; false in Envoy files, for
    /// Envoy answers 503.
    pub connect_failover: bool,
    /// How long first calls wait for the first resolution and the first checks. Default 5 s.
    pub warm_up: Duration,
    /// How long a pooled connection may be idle. Default 1 h (`idle_timeout`).
    pub idle_timeout: Duration,
}

impl ClusterConfig {
    /// A cluster of this name and discovery, everything else at its default: Envoy's, but for
    /// [`connect_failover`](Self::connect_failover).
    pub fn new(name: impl Into<Arc<str>>, discovery: DiscoveryConfig) -> Self {
        Self {
            name: name.into(),
            discovery,
            connect_timeout: Duration::from_secs(5),
            protocol: UpstreamProtocol::Http1,
            lb_policy: LbPolicy::default(),
            health_checks: Vec::new(),
            circuit_breakers: CircuitBreakersConfig::default(),
            panic_threshold: 50.0,
            ignore_health_on_host_removal: false,
            connect_failover: true,
            warm_up: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(3600),
        }
    }

    /// With another limit on connecting.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Speaking another protocol to the hosts.
    #[must_use]
    pub fn protocol(mut self, protocol: UpstreamProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Speaking HTTP/2 with prior knowledge, as gRPC does, at the default settings.
    #[must_use]
    pub fn http2(self) -> Self {
        self.protocol(UpstreamProtocol::Http2(Http2Options::upstream()))
    }

    /// With another way to pick a host.
    #[must_use]
    pub fn lb_policy(mut self, policy: LbPolicy) -> Self {
        self.lb_policy = policy;
        self
    }

    /// With one more active health check.
    #[must_use]
    pub fn health_check(mut self, check: HealthCheckConfig) -> Self {
        self.health_checks.push(check);
        self
    }

    /// With other limits.
    #[must_use]
    pub fn circuit_breakers(mut self, limits: CircuitBreakersConfig) -> Self {
        self.circuit_breakers = limits;
        self
    }

    /// Ignoring health below another percentage of healthy hosts; 0: never.
    #[must_use]
    pub fn panic_threshold(mut self, percent: f64) -> Self {
        self.panic_threshold = percent;
        self
    }

    /// Whether a host that discovery dropped goes at once, healthy or not.
    #[must_use]
    pub fn ignore_health_on_host_removal(mut self, ignore: bool) -> Self {
        self.ignore_health_on_host_removal = ignore;
        self
    }

    /// Whether a failed connect moves on to the next host within the same pick.
    #[must_use]
    pub fn connect_failover(mut self, next_host: bool) -> Self {
        self.connect_failover = next_host;
        self
    }

    /// With another limit on how long first calls wait.
    #[must_use]
    pub fn warm_up(mut self, limit: Duration) -> Self {
        self.warm_up = limit;
        self
    }

    /// With another limit on how long a pooled connection may be idle.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }
}

/// Where endpoints come from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DiscoveryConfig {
    /// These addresses (`STATIC`).
    Static(Vec<StaticEndpoint>),
    /// Every address of these names (`STRICT_DNS`).
    StrictDns(StrictDnsConfig),
    /// As the application says.
    Custom(CustomDiscovery),
}

impl DiscoveryConfig {
    /// These addresses, alike.
    pub fn fixed(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::Static(addresses.into_iter().map(StaticEndpoint::new).collect())
    }

    /// Every address of this name, at Envoy's defaults.
    pub fn strict_dns(host: impl Into<Arc<str>>, port: u16) -> Self {
        Self::StrictDns(StrictDnsConfig::new(vec![DnsEndpoint::new(host, port)]))
    }
}

impl From<StrictDnsConfig> for DiscoveryConfig {
    fn from(config: StrictDnsConfig) -> Self {
        Self::StrictDns(config)
    }
}

impl From<CustomDiscovery> for DiscoveryConfig {
    fn from(discovery: CustomDiscovery) -> Self {
        Self::Custom(discovery)
    }
}

/// What is spoken to a cluster's hosts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum UpstreamProtocol {
    /// HTTP/1.1, one request at a time on a connection.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2(Http2Options),
}

/// Limits of a cluster (`circuit_breakers.thresholds`, default priority).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitBreakersConfig {
    /// Connections, all workers together. Default 1024.
    pub max_connections: u32,
    /// Requests that wait for a connection. Default 1024.
    pub max_pending_requests: u32,
    /// Requests under way. Default 1024.
    pub max_requests: u32,
    /// Retries under way. Default 3.
    pub max_retries: u32,
}

impl CircuitBreakersConfig {
    /// At most so many connections, all workers together; default 1024.
    #[must_use]
    pub const fn max_connections(mut self, most: u32) -> Self {
        self.max_connections = most;
        self
    }

    /// At most so many requests that wait for a connection; default 1024.
    #[must_use]
    pub const fn max_pending_requests(mut self, most: u32) -> Self {
        self.max_pending_requests = most;
        self
    }

    /// At most so many requests under way; default 1024.
    #[must_use]
    pub const fn max_requests(mut self, most: u32) -> Self {
        self.max_requests = most;
        self
    }

    /// At most so many retries under way; default 3.
    #[must_use]
    pub const fn max_retries(mut self, most: u32) -> Self {
        self.max_retries = most;
        self
    }
}

impl Default for CircuitBreakersConfig {
    fn default() -> Self {
        Self { max_connections: 1024, max_pending_requests: 1024, max_requests: 1024, max_retries: 3 }
    }
}
