//! [`ClusterBuilder`]: a cluster, said step by step.
//!
//! A cluster needs a discovery, and the type says whether there is one: [`build`](ClusterBuilder::build) exists only
//! then, and options of DNS only for DNS.
//!
//! ```no_run
//! # #[tokio::main]
//! # async fn main() -> Result<(), meshlib::base::Error> {
//! use std::time::Duration;
//! use meshlib::{base::Resources, cluster::{Cluster, config::DnsLookupFamily}};
//!
//! let cluster = Cluster::builder("echo-grpc")
//!     .strict_dns("echo.default.svc.cluster.local", 8786)
//!     .dns_refresh_rate(Duration::from_secs(2))
//!     .dns_lookup_family(DnsLookupFamily::V4Only)
//!     .http2()
//!     .build(&Resources::default())?;
//! # Ok(())
//! # }
//! ```
//!
//! What an application brings itself is as good: its endpoints, its load balancer, its health check.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), meshlib::base::Error> {
//! use std::{io, sync::Arc, time::Duration};
//! use meshlib::{
//!     base::Resources,
//!     cluster::{Cluster, balance::RoundRobin, config::HealthCheckConfig, health::CustomCheck, host::Host},
//!     discovery::{Endpoint, Watched},
//! };
//!
//! let (endpoints, watched) = tokio::sync::watch::channel(Vec::new());
//! let accepts = CustomCheck::new("accepts", |host: Arc<Host>| async move {
//!     tokio::net::TcpStream::connect(host.address()).await.map(drop)
//! });
//! let second = Duration::from_secs(1);
//! let cluster = Cluster::builder("shards")
//!     .discover(Watched::new(watched))
//!     .load_balancer(RoundRobin)
//!     .health_check(HealthCheckConfig::custom(second, 10 * second, 2, 2, accepts))
//!     .build(&Resources::default())?;
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
//! endpoints.send_replace(vec![Endpoint::new(listener.local_addr().unwrap())]);
//! cluster.warmed().await;
//! assert_eq!(cluster.hosts().load().healthy(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Without a discovery there is nothing to build:
//!
//! ```compile_fail,E0599
//! # fn example(resources: &meshlib::base::Resources) {
//! meshlib::cluster::Cluster::builder("echo-grpc").http2().build(resources);
//! # }
//! ```

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    Cluster,
    balance::{LbPolicy, LoadBalancer},
    config::{
        CircuitBreakersConfig, ClusterConfig, CustomDiscovery, DiscoveryConfig, DnsEndpoint, DnsLookupFamily,
        HealthCheckConfig, StrictDnsConfig, UpstreamProtocol,
    },
};
use crate::{
    base::{Error, Resources},
    discovery::Discover,
};

/// A cluster that is being described. `D` is its discovery, or that there is none yet.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing runs before `build`"]
pub struct ClusterBuilder<D = NoDiscovery> {
    /// All but the discovery.
    config: ClusterConfig,
    discovery: D,
}

/// No discovery was chosen yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoDiscovery;

impl ClusterBuilder<NoDiscovery> {
    /// A cluster of this name, at the defaults of [`ClusterConfig::new`].
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { config: ClusterConfig::new(name, DiscoveryConfig::Static(Vec::new())), discovery: NoDiscovery }
    }

    /// Every address of this name is a host; the name is resolved over and over (`STRICT_DNS`).
    pub fn strict_dns(self, host: impl Into<Arc<str>>, port: u16) -> ClusterBuilder<StrictDnsConfig> {
        self.with(StrictDnsConfig::new(vec![DnsEndpoint::new(host, port)]))
    }

    /// These addresses are the hosts, alike (`STATIC`); for weights see [`discovery`](Self::discovery) and
    /// [`DiscoveryConfig::Static`].
    pub fn addresses(self, addresses: impl IntoIterator<Item = SocketAddr>) -> ClusterBuilder<DiscoveryConfig> {
        self.with(DiscoveryConfig::fixed(addresses))
    }

    /// What the application's own discovery finds are the hosts: [`Streamed`](crate::discovery::Streamed) and
    /// [`Watched`](crate::discovery::Watched) adapt streams and channels.
    pub fn discover(self, discover: impl Discover + 'static) -> ClusterBuilder<DiscoveryConfig> {
        self.with(CustomDiscovery::once(discover).into())
    }

    /// Any discovery, as a value.
    pub fn discovery(self, discovery: impl Into<DiscoveryConfig>) -> ClusterBuilder<DiscoveryConfig> {
        self.with(discovery.into())
    }

    fn with<D>(self, discovery: D) -> ClusterBuilder<D> {
        ClusterBuilder { config: self.config, discovery }
    }
}

impl ClusterBuilder<StrictDnsConfig> {
    /// Every address of this name is a host too.
    pub fn and_dns(mut self, host: impl Into<Arc<str>>, port: u16) -> Self {
        self.discovery.endpoints.push(DnsEndpoint::new(host, port));
        self
    }

    /// How often each name is resolved. Default 5 s (`dns_refresh_rate`).
    pub fn dns_refresh_rate(mut self, interval: Duration) -> Self {
        self.discovery.refresh_rate = interval;
        self
    }

    /// Resolves again when the records' own TTL is over (`respect_dns_ttl`). Default off.
    pub fn respect_dns_ttl(mut self) -> Self {
        self.discovery.respect_ttl = true;
        self
    }

    /// Resolves again after a failure by a back-off between these two (`dns_failure_refresh_rate`). Default the refresh
    /// rate.
    pub fn dns_failure_refresh_rate(mut self, base: Duration, maximum: Duration) -> Self {
        self.discovery.failure_refresh = Some((base, maximum));
        self
    }

    /// Which addresses are asked for. Default AAAA, and A if that gave nothing (`dns_lookup_family`).
    pub fn dns_lookup_family(mut self, family: DnsLookupFamily) -> Self {
        self.discovery.lookup_family = family;
        self
    }
}

impl<D> ClusterBuilder<D> {
    /// Speaks HTTP/2 with prior knowledge, as gRPC does. Default HTTP/1.1.
    pub fn http2(self) -> Self {
        self.map(ClusterConfig::http2)
    }

    /// Speaks this protocol.
    pub fn protocol(self, protocol: UpstreamProtocol) -> Self {
        self.map(|config| config.protocol(protocol))
    }

    /// Hosts take turns, by their weights. The default.
    pub fn round_robin(self) -> Self {
        self.map(|config| config.lb_policy(LbPolicy::default()))
    }

    /// Hosts are picked as this says: one of the application's own, for example.
    pub fn load_balancer(self, load_balancer: impl LoadBalancer + 'static) -> Self {
        self.map(|config| config.lb_policy(LbPolicy::new(load_balancer)))
    }

    /// With one more active health check; a host is healthy if it passes all of them. Default none (`health_checks`).
    /// A gRPC one needs [`http2`](Self::http2).
    pub fn health_check(self, check: HealthCheckConfig) -> Self {
        self.map(|config| config.health_check(check))
    }

    /// How long a connection may take. Default 5 s (`connect_timeout`).
    pub fn connect_timeout(self, limit: Duration) -> Self {
        self.map(|config| config.connect_timeout(limit))
    }

    /// How long a pooled connection may be idle. Default 1 h (`idle_timeout`).
    pub fn idle_timeout(self, limit: Duration) -> Self {
        self.map(|config| config.idle_timeout(limit))
    }

    /// Limits of connections, requests and retries. Default 1024 connections, 1024 pending and 1024 active requests, 3
    /// retries (`circuit_breakers`).
    pub fn circuit_breakers(self, limits: CircuitBreakersConfig) -> Self {
        self.map(|config| config.circuit_breakers(limits))
    }

    /// Ignores health below this percentage of healthy hosts. Default 50; 0: never (`healthy_panic_threshold`).
    pub fn panic_threshold(self, percent: f64) -> Self {
        self.map(|config| config.panic_threshold(percent))
    }

    /// Whether a host that discovery dropped goes at once, healthy or not. Default false.
    pub fn ignore_health_on_host_removal(self, ignore: bool) -> Self {
        self.map(|config| config.ignore_health_on_host_removal(ignore))
    }

    /// Whether a failed connect moves on to the next host within the same pick. Default true.
    pub fn connect_failover(self, next_host: bool) -> Self {
        self.map(|config| config.connect_failover(next_host))
    }

    /// How long first calls wait for the first resolution and the first checks. Default 5 s.
    pub fn warm_up(self, limit: Duration) -> Self {
        self.map(|config| config.warm_up(limit))
    }

    fn map(self, change: impl FnOnce(ClusterConfig) -> ClusterConfig) -> Self {
        Self { config: change(self.config), discovery: self.discovery }
    }
}

impl<D: Into<DiscoveryConfig>> ClusterBuilder<D> {
    /// The cluster as a value, to compare, or to start by [`Cluster::start`].
    pub fn config(self) -> ClusterConfig {
        ClusterConfig { discovery: self.discovery.into(), ..self.config }
    }

    /// Starts the cluster on the ambient tokio runtime. First calls wait until it knows its hosts.
    ///
    /// # Errors
    ///
    /// Those of [`Cluster::start`].
    pub fn build(self, resources: &Resources) -> Result<Cluster, Error> {
        Cluster::start(self.config(), resources)
    }
}

#[cfg(test)]
mod tests;
