//! What a proxy is told: plain values, compared and cloned, read from a file or set by a builder.
//!
//! Each value begins with what it must have, and everything else at its default; fields can be assigned, or set in
//! passing by a method of their name.
//!
//! ```
//! use meshlib::{
//!     cluster::config::{ClusterConfig, DiscoveryConfig},
//!     proxy::config::{FilterChainConfig, HttpConnectionManagerConfig, ListenerConfig, MeshConfig},
//!     route::config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig},
//! };
//!
//! let route = RouteConfig::new(RouteMatch::prefix("/api."), RouteAction::cluster("echo"));
//! let routes = RouteTableConfig::any_host("local", vec![route]);
//! let http = HttpConnectionManagerConfig::new("ingress_http", routes).server_name("edge");
//! let listener = ListenerConfig::new("0.0.0.0:8080".parse().unwrap(), FilterChainConfig::plain(http));
//! let cluster = ClusterConfig::new("echo", DiscoveryConfig::strict_dns("echo.default.svc", 8081)).http2();
//! let config = MeshConfig::default().listener(listener).cluster(cluster); // for `Server::start`
//! assert_eq!(&*config.listeners[0].name, "0.0.0.0:8080");
//! ```

mod access_log;
mod http_filter;
mod local_service;

use std::{net::SocketAddr, sync::Arc};

pub use self::{
    access_log::{AccessLogConfig, AccessLoggerConfig, CustomAccessLog},
    http_filter::{CustomHttpFilter, HealthCheckFilterConfig, HttpFilterConfig},
    local_service::LocalService,
};
pub use crate::net::tls::config::{CertificateConfig, DataSource, DownstreamTlsConfig};
use crate::{cluster::config::ClusterConfig, http::options::ServerOptions, route::config::RouteTableConfig};

/// Everything one process serves (Envoy's `Bootstrap`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MeshConfig {
    /// Where requests come in.
    pub listeners: Vec<ListenerConfig>,
    /// Where they go.
    pub clusters: Vec<ClusterConfig>,
    /// Clusters that are services of this process. Each takes the place of the cluster of its name, if there is one.
    pub local_services: Vec<LocalService>,
    /// The admin interface; none unless configured.
    pub admin: Option<AdminConfig>,
    /// What this process calls itself.
    pub node: NodeConfig,
}

impl MeshConfig {
    /// With one more listener.
    #[must_use]
    pub fn listener(mut self, listener: ListenerConfig) -> Self {
        self.listeners.push(listener);
        self
    }

    /// With one more cluster.
    #[must_use]
    pub fn cluster(mut self, cluster: ClusterConfig) -> Self {
        self.clusters.push(cluster);
        self
    }

    /// With one more cluster that is a service of this process.
    #[must_use]
    pub fn local_service(mut self, service: LocalService) -> Self {
        self.local_services.push(service);
        self
    }

    /// With an admin interface.
    #[must_use]
    pub fn admin(mut self, admin: AdminConfig) -> Self {
        self.admin = Some(admin);
        self
    }

    /// With this name for the process.
    #[must_use]
    pub fn node(mut self, node: NodeConfig) -> Self {
        self.node = node;
        self
    }
}

/// What a process calls itself (Envoy's `Node`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct NodeConfig {
    /// The node's id.
    pub id: String,
    /// The node's cluster; the health-check filter names it in `x-envoy-upstream-healthchecked-cluster`.
    pub cluster: String,
}

impl NodeConfig {
    /// A node of this id and cluster.
    pub fn new(id: impl Into<String>, cluster: impl Into<String>) -> Self {
        Self { id: id.into(), cluster: cluster.into() }
    }
}

/// The admin interface (Envoy's `Admin`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its access logs.
    pub access_logs: Vec<AccessLoggerConfig>,
}

impl AdminConfig {
    /// An admin interface without access log.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, access_logs: Vec::new() }
    }

    /// With one more access log.
    #[must_use]
    pub fn access_log(mut self, log: impl Into<AccessLoggerConfig>) -> Self {
        self.access_logs.push(log.into());
        self
    }
}

/// One listener (Envoy's `Listener`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// Its name; its address where it has none.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The first chain whose conditions hold serves a connection. In this version each has none, so the first does.
    pub filter_chains: Vec<FilterChainConfig>,
}

impl ListenerConfig {
    /// A listener with one filter chain, named by its address.
    pub fn new(address: SocketAddr, filter_chain: FilterChainConfig) -> Self {
        Self { name: address.to_string().into(), address, filter_chains: vec![filter_chain] }
    }

    /// With another name.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }
}

/// What happens to a listener's connections (Envoy's `FilterChain`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FilterChainConfig {
    /// TLS; none means plain text.
    pub tls: Option<DownstreamTlsConfig>,
    /// The HTTP connection manager, the chain's only and terminal filter.
    pub http: HttpConnectionManagerConfig,
}

impl FilterChainConfig {
    /// Plain text.
    pub fn plain(http: HttpConnectionManagerConfig) -> Self {
        Self { tls: None, http }
    }

    /// Behind TLS.
    pub fn tls(tls: DownstreamTlsConfig, http: HttpConnectionManagerConfig) -> Self {
        Self { tls: Some(tls), http }
    }
}

/// HTTP on a listener (Envoy's `HttpConnectionManager`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HttpConnectionManagerConfig {
    /// The prefix of its stats: `http.<stat_prefix>.`.
    pub stat_prefix: Arc<str>,
    /// The routes.
    pub routes: RouteTableConfig,
    /// The filters before the router, in the order in which requests meet them.
    pub http_filters: Vec<HttpFilterConfig>,
    /// The access logs.
    pub access_logs: Vec<AccessLoggerConfig>,
    /// The value of `server`. Default `envoy`.
    pub server_name: String,
    /// Whether the peer's address is the client's and is appended to `x-forwarded-for`. Default false.
    pub use_remote_address: bool,
    /// How many trusted proxies stand before this one (`xff_num_trusted_hops`). Default 0.
    pub xff_num_trusted_hops: u32,
    /// Whether a missing `x-request-id` is made. Default true (`generate_request_id`).
    pub generate_request_id: bool,
    /// Limits and times of the connections.
    pub server: ServerOptions,
}

impl HttpConnectionManagerConfig {
    /// These routes, everything else at its default.
    pub fn new(stat_prefix: impl Into<Arc<str>>, routes: RouteTableConfig) -> Self {
        Self {
            stat_prefix: stat_prefix.into(),
            routes,
            http_filters: Vec::new(),
            access_logs: Vec::new(),
            server_name: "envoy".to_owned(),
            use_remote_address: false,
            xff_num_trusted_hops: 0,
            generate_request_id: true,
            server: ServerOptions::default(),
        }
    }

    /// With one more filter, before the router and behind those added before.
    #[must_use]
    pub fn http_filter(mut self, filter: impl Into<HttpFilterConfig>) -> Self {
        self.http_filters.push(filter.into());
        self
    }

    /// With one more access log.
    #[must_use]
    pub fn access_log(mut self, log: impl Into<AccessLoggerConfig>) -> Self {
        self.access_logs.push(log.into());
        self
    }

    /// With another value of `server`.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = name.into();
        self
    }

    /// Whether the peer's address is the client's.
    #[must_use]
    pub fn use_remote_address(mut self, is_client: bool) -> Self {
        self.use_remote_address = is_client;
        self
    }

    /// With so many trusted proxies before this one.
    #[must_use]
    pub fn xff_num_trusted_hops(mut self, hops: u32) -> Self {
        self.xff_num_trusted_hops = hops;
        self
    }

    /// Whether a missing `x-request-id` is made.
    #[must_use]
    pub fn generate_request_id(mut self, generate: bool) -> Self {
        self.generate_request_id = generate;
        self
    }

    /// With other limits and times of the connections.
    #[must_use]
    pub fn server(mut self, options: ServerOptions) -> Self {
        self.server = options;
        self
    }
}
