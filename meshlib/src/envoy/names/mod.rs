//! Extensions: their names and the types of their configuration, today's and the outdated ones, as data.
//!
//! A filter is given as `name` and `config` (until 2020: the name tells what it is) or as `name` and `typed_config`
//! (since then: the type tells it). All four spellings of either are understood.
//!
//! ```
//! use meshlib::envoy::names::{self, Category, Kind};
//!
//! let router = names::by_name(Category::HttpFilter, "envoy.router").unwrap();
//! assert_eq!(router.kind, Kind::Router);
//! assert_eq!(router.name(), "envoy.filters.http.router");
//! assert_eq!(names::by_type("type.googleapis.com/envoy.config.filter.http.router.v2.Router").unwrap(), router);
//! ```

/// Where an extension stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Category {
    /// In a filter chain.
    NetworkFilter,
    /// In an HTTP connection manager.
    HttpFilter,
    /// Where connections are accepted, before the filter chain is known.
    ListenerFilter,
    /// In `access_log`.
    AccessLog,
    /// In `transport_socket`.
    TransportSocket,
    /// In `cluster_type`.
    Cluster,
    /// In `load_balancing_policy`.
    LoadBalancing,
    /// In `typed_extension_protocol_options`.
    ProtocolOptions,
    /// In `custom_health_check`.
    HealthCheck,
}

impl Category {
    /// What such an extension is called in a message: "an HTTP filter".
    pub fn article_and_noun(self) -> &'static str {
        match self {
            Self::NetworkFilter => "a network filter",
            Self::HttpFilter => "an HTTP filter",
            Self::ListenerFilter => "a listener filter",
            Self::AccessLog => "an access logger",
            Self::TransportSocket => "a transport socket",
            Self::Cluster => "a cluster type",
            Self::LoadBalancing => "a load balancing policy",
            Self::ProtocolOptions => "a protocol options extension",
            Self::HealthCheck => "a health check",
        }
    }

    /// What registers one of the application's own, where that can be.
    pub(crate) fn registration(self) -> Option<&'static str> {
        match self {
            Self::HttpFilter => Some("register_http_filter"),
            Self::AccessLog => Some("register_access_log"),
            Self::Cluster => Some("register_discovery"),
            Self::LoadBalancing => Some("register_load_balancer"),
            Self::HealthCheck => Some("register_health_check"),
            Self::NetworkFilter | Self::ListenerFilter | Self::TransportSocket | Self::ProtocolOptions => None,
        }
    }

    /// The same without its article.
    pub fn noun(self) -> &'static str {
        self.article_and_noun().split_once(' ').map_or("", |(_, noun)| noun)
    }
}

/// What an extension is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The HTTP connection manager.
    HttpConnectionManager,
    /// The router.
    Router,
    /// The health-check filter.
    HealthCheck,
    /// Looks at the first bytes for TLS; here a listener does that unasked.
    TlsInspector,
    /// Looks at the first bytes for HTTP; here a listener does that unasked.
    HttpInspector,
    /// Access log lines to a file.
    FileAccessLog,
    /// Access log lines to standard output.
    StdoutAccessLog,
    /// Access log lines to standard error.
    StderrAccessLog,
    /// TLS towards clients.
    DownstreamTls,
    /// TLS towards hosts.
    UpstreamTls,
    /// No TLS.
    RawBuffer,
    /// Fixed addresses.
    StaticCluster,
    /// Every address of a name.
    StrictDnsCluster,
    /// Either kind of DNS cluster, by its options.
    DnsCluster,
    /// Round robin.
    RoundRobin,
    /// What is spoken to a cluster's hosts.
    HttpProtocolOptions,
}

/// An extension.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extension {
    /// Where it stands.
    pub category: Category,
    /// What it is.
    pub kind: Kind,
    /// Its names; the first is today's.
    pub names: &'static [&'static str],
    /// The types of its configuration, without `type.googleapis.com/`; the first is today's.
    pub types: &'static [&'static str],
}

impl Extension {
    /// Its name today.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// Its type URL today.
    pub fn type_url(&self) -> String {
        format!("{TYPE_PREFIX}{}", self.types.first().copied().unwrap_or_default())
    }
}

/// What type URLs begin with.
pub const TYPE_PREFIX: &str = "type.googleapis.com/";

/// The extension of this name.
pub fn by_name(category: Category, name: &str) -> Option<&'static Extension> {
    EXTENSIONS.iter().find(|extension| extension.category == category && extension.names.contains(&name))
}

/// The extension whose configuration has this type URL; what stands before its last `/` does not matter.
pub fn by_type(type_url: &str) -> Option<&'static Extension> {
    let name = type_url.rsplit('/').next().unwrap_or_default();
    EXTENSIONS.iter().find(|extension| extension.types.contains(&name))
}

/// Whether Envoy has an extension of this name that this version does not support.
pub fn is_unsupported(category: Category, name: &str) -> bool {
    UNSUPPORTED.iter().any(|(of, names)| *of == category && names.contains(&name))
}

/// Every name, supported or not.
pub(crate) fn all(category: Category) -> impl Iterator<Item = &'static str> {
    let supported = EXTENSIONS.iter().filter(move |extension| extension.category == category);
    let unsupported = UNSUPPORTED.iter().filter(move |(of, _)| *of == category);
    supported.flat_map(|extension| extension.names).chain(unsupported.flat_map(|(_, names)| *names)).copied()
}

const fn extension(
    category: Category,
    kind: Kind,
    names: &'static [&'static str],
    types: &'static [&'static str],
) -> Extension {
    Extension { category, kind, names, types }
}

/// Every extension that is supported.
pub const EXTENSIONS: &[Extension] = &{
    use Category as C;
    use Kind as K;
    [
        extension(
            C::NetworkFilter,
            K::HttpConnectionManager,
            &["envoy.filters.network.http_connection_manager", "envoy.http_connection_manager"],
            &[
                "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "envoy.config.filter.network.http_connection_manager.v2.HttpConnectionManager",
            ],
        ),
        extension(
            C::HttpFilter,
            K::Router,
            &["envoy.filters.http.router", "envoy.router"],
            &["envoy.extensions.filters.http.router.v3.Router", "envoy.config.filter.http.router.v2.Router"],
        ),
        extension(
            C::HttpFilter,
            K::HealthCheck,
            &["envoy.filters.http.health_check", "envoy.health_check"],
            &[
                "envoy.extensions.filters.http.health_check.v3.HealthCheck",
                "envoy.config.filter.http.health_check.v2.HealthCheck",
            ],
        ),
        extension(
            C::ListenerFilter,
            K::TlsInspector,
            &["envoy.filters.listener.tls_inspector", "envoy.listener.tls_inspector"],
            &[
                "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
                "envoy.config.filter.listener.tls_inspector.v2.TlsInspector",
            ],
        ),
        extension(
            C::ListenerFilter,
            K::HttpInspector,
            &["envoy.filters.listener.http_inspector", "envoy.listener.http_inspector"],
            &[
                "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
                "envoy.config.filter.listener.http_inspector.v2.HttpInspector",
            ],
        ),
        extension(
            C::AccessLog,
            K::FileAccessLog,
            &["envoy.access_loggers.file", "envoy.file_access_log"],
            &["envoy.extensions.access_loggers.file.v3.FileAccessLog", "envoy.config.accesslog.v2.FileAccessLog"],
        ),
        extension(
            C::AccessLog,
            K::StdoutAccessLog,
            &["envoy.access_loggers.stdout", "envoy.stdout_access_log"],
            &["envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"],
        ),
        extension(
            C::AccessLog,
            K::StderrAccessLog,
            &["envoy.access_loggers.stderr", "envoy.stderr_access_log"],
            &["envoy.extensions.access_loggers.stream.v3.StderrAccessLog"],
        ),
        extension(
            C::TransportSocket,
            K::DownstreamTls,
            &["envoy.transport_sockets.tls", "tls"],
            &[
                "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "envoy.api.v2.auth.DownstreamTlsContext",
            ],
        ),
        extension(
            C::TransportSocket,
            K::UpstreamTls,
            &["envoy.transport_sockets.tls", "tls"],
            &["envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "envoy.api.v2.auth.UpstreamTlsContext"],
        ),
        extension(
            C::TransportSocket,
            K::RawBuffer,
            &["envoy.transport_sockets.raw_buffer", "raw_buffer"],
            &[
                "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
                "envoy.config.transport_socket.raw_buffer.v2.RawBuffer",
            ],
        ),
        extension(C::Cluster, K::StaticCluster, &["envoy.cluster.static"], &[]),
        extension(C::Cluster, K::StrictDnsCluster, &["envoy.cluster.strict_dns"], &[]),
        extension(C::Cluster, K::DnsCluster, &["envoy.cluster.dns"], &["envoy.extensions.clusters.dns.v3.DnsCluster"]),
        extension(
            C::LoadBalancing,
            K::RoundRobin,
            &["envoy.load_balancing_policies.round_robin"],
            &["envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin"],
        ),
        extension(
            C::ProtocolOptions,
            K::HttpProtocolOptions,
            &["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"],
            &["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"],
        ),
    ]
};

mod unsupported;
use unsupported::UNSUPPORTED;
