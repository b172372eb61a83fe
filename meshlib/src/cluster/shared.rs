//! What the data paths of one cluster share.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//! use meshlib::cluster::{
//!     ClusterService, ClusterShared, config::{ClusterConfig, DiscoveryConfig}, health::TrafficFlag,
//!     host::{HealthFlags, Host}, host_set::{HostSet, HostSetCell}, warm_up::WarmUp,
//! };
//!
//! // A data path over hosts that the application publishes itself, in place of a `Cluster`.
//! # let resources = &meshlib::testkit::resources();
//! let config = ClusterConfig::new("echo", DiscoveryConfig::fixed([]));
//! let host = Host::new(SocketAddr::from(([127, 0, 0, 1], 8081)), None, 1, HealthFlags::HEALTHY);
//! let hosts = HostSetCell::new(HostSet::new(vec![Arc::new(host)], config.panic_threshold));
//! let shared = Arc::new(ClusterShared::new(config, hosts, WarmUp::finished(), TrafficFlag::new(), resources));
//! let service = ClusterService::new(shared, resources);
//! assert_eq!(service.cluster().hosts().load().healthy(), 1);
//! # }
//! ```

use std::{fmt, sync::Arc};

use http::{
    HeaderMap, Request, Uri,
    header::HOST,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::{
    circuit_breaker::CircuitBreakers,
    config::{ClusterConfig, DiscoveryConfig},
    health::{ImmediateFailures, TrafficFlag},
    host::Host,
    host_set::HostSetCell,
    warm_up::WarmUp,
};
use crate::{base::Resources, http::headers::X_ENVOY_IMMEDIATE_HEALTH_CHECK_FAIL};

/// A cluster as its data paths see it: settings, published hosts, limits, and whether it is warm.
pub struct ClusterShared {
    config: ClusterConfig,
    hosts: HostSetCell,
    breakers: CircuitBreakers,
    warm_up: WarmUp,
    traffic: TrafficFlag,
    immediate_failures: ImmediateFailures,
    /// Of requests that name none.
    authority: Authority,
}

impl ClusterShared {
    /// The cluster `config`, whose hosts somebody publishes in `hosts`, and who finishes `warm_up`.
    /// `traffic` is marked when a connection to a host is begun for a request: health checks are rarer before.
    pub fn new(
        config: ClusterConfig,
        hosts: HostSetCell,
        warm_up: WarmUp,
        traffic: TrafficFlag,
        resources: &Resources,
    ) -> Self {
        let breakers = CircuitBreakers::new(&config.name, &config.circuit_breakers, resources.stats());
        let (authority, immediate_failures) = (authority(&config), ImmediateFailures::new());
        Self { config, hosts, breakers, warm_up, traffic, immediate_failures, authority }
    }

    /// Reports hosts that ask to be left to whoever reads `immediate_failures`.
    #[must_use]
    pub fn with_immediate_failures(mut self, immediate_failures: ImmediateFailures) -> Self {
        self.immediate_failures = immediate_failures;
        self
    }

    /// Its settings.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Where its hosts are published.
    pub fn hosts(&self) -> &HostSetCell {
        &self.hosts
    }

    /// Its limits.
    pub fn circuit_breakers(&self) -> &CircuitBreakers {
        &self.breakers
    }

    /// Whether first calls still wait.
    pub fn warm_up(&self) -> &WarmUp {
        &self.warm_up
    }

    /// Whether a connection to a host was ever begun for a request: health checks are rarer before
    /// (`no_traffic_interval`).
    pub fn has_traffic(&self) -> bool {
        self.traffic.seen()
    }

    /// Looks at a response of `host`: one that asks to be left is reported, if there are checks to bring it back.
    pub(super) fn observe(&self, host: &Arc<Host>, headers: &HeaderMap) {
        if !self.config.health_checks.is_empty() && headers.contains_key(X_ENVOY_IMMEDIATE_HEALTH_CHECK_FAIL) {
            self.immediate_failures.report(host);
        }
    }

    /// A request without authority, as a gRPC client makes it that was told no origin, gets the cluster's.
    pub(super) fn complete_authority<B>(&self, request: &mut Request<B>) {
        if request.uri().authority().is_some() || request.headers().contains_key(HOST) {
            return;
        }
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme.get_or_insert(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        // The parts are whole, so this cannot fail; an empty target is refused where it would be sent.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }

    pub(super) fn traffic(&self) -> &TrafficFlag {
        &self.traffic
    }
}

/// The first name that is resolved; else the cluster's own name, where it can stand there.
fn authority(config: &ClusterConfig) -> Authority {
    let name = match &config.discovery {
        DiscoveryConfig::StrictDns(dns) => dns.endpoints.first().map(|name| format!("{}:{}", name.host, name.port)),
        _ => None,
    };
    let parse = |name: &str| Authority::try_from(name).ok();
    let authority = name.as_deref().and_then(parse).or_else(|| parse(&config.name));
    authority.unwrap_or_else(|| Authority::from_static("localhost"))
}

impl fmt::Debug for ClusterShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterShared")
            .field("config", &self.config)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}
