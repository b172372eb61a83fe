//! Clusters.

use std::{sync::Arc, time::Duration};

use super::{
    SocketAddress,
    cluster_options::{self, CommonLb},
    cluster_type::{self, ClusterType},
    endpoint::{Endpoint, LoadAssignment},
    health_check::{self, HealthCheck, positive},
};
use crate::{
    cluster::config::{CircuitBreakersConfig, ClusterConfig, DiscoveryConfig},
    envoy::{
        diagnostic::{Code, Diagnostic, Span, Spanned},
        reader::{FromConfig, Harmless, NonEmpty, Read, Reader, Unsupported},
    },
};

/// `Cluster`.
pub(in crate::envoy) struct Cluster {
    /// All but the discovery, which is made when lowering.
    pub(in crate::envoy) config: ClusterConfig,
    pub(in crate::envoy) name: Spanned<Arc<str>>,
    pub(in crate::envoy) cluster_type: ClusterType,
    pub(in crate::envoy) endpoints: Vec<Endpoint>,
    /// Where a gRPC health check is configured.
    pub(in crate::envoy) grpc_health_check: Option<Span>,
    /// Where `http2_protocol_options` is null, which looks like HTTP/2 and is not.
    pub(in crate::envoy) null_http2: Option<Span>,
}

impl FromConfig for Cluster {
    const MESSAGE: &'static str = "cluster";
    const HARMLESS: &'static [Harmless] = &[
        ("metadata", "no filter of this version reads it"),
        ("per_connection_buffer_limit_bytes", "buffers are bounded by flow control"),
        ("per_connection_buffer_high_watermark_timeout", "buffers are bounded by flow control"),
        ("cleanup_interval", "only clusters of kinds that are unsupported use it"),
        ("track_cluster_stats", "only adds stats"),
        ("track_timeout_budgets", "only adds stats"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("TLS towards hosts", &["tls_context", "transport_socket_matches", "transport_socket_matcher"]),
        ("endpoints from a management server", &["eds_cluster_config", "lrs_server", "lrs_report_endpoint_metrics"]),
        ("names of stats", &["alt_stat_name", "stats_matcher"]),
        ("a longest life of connections", &["max_requests_per_connection"]),
        ("TLS towards hosts", &["upstream_http_protocol_options"]),
        ("options of other protocols", &["extension_protocol_options"]),
        ("a resolver of one's own", &["dns_resolvers", "dns_resolution_config", "typed_dns_resolver_config"]),
        ("jitter", &["dns_jitter"]),
        ("outlier detection", &["outlier_detection"]),
        ("the source address of connections", &["upstream_bind_config"]),
        ("subsets of hosts", &["lb_subset_config"]),
        ("settings of other balancers", &["ring_hash_lb_config", "maglev_lb_config", "least_request_lb_config"]),
        ("settings of balancers", &["original_dst_lb_config", "round_robin_lb_config", "queuing_policies"]),
        ("keepalive of connections", &["upstream_connection_options"]),
        ("filters of upstream connections", &["filters", "upstream_config"]),
        ("connections made in advance", &["preconnect_policy", "prefetch_policy"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let name = name(reader);
        let timeout = positive(reader, "connect_timeout");
        let cluster_type = cluster_type::read(reader);
        let endpoints = endpoints(reader, name.as_ref().ok());
        let protocol = cluster_options::protocol(reader);
        let checks = health_checks(reader);
        let breakers = reader.optional::<CircuitBreakersConfig>("circuit_breakers");
        let panic = reader.optional::<CommonLb>("common_lb_config");
        let removal = host_removal(reader);
        let balancing = cluster_options::balancing(reader);
        let defaults = defaults(reader);

        let (name, protocol, checks) = (name?, protocol?, checks?);
        let discovery = DiscoveryConfig::Static(Vec::new());
        let mut config = ClusterConfig::new(Arc::clone(&name.value), discovery);
        config.connect_failover = false;
        config.connect_timeout = timeout?.unwrap_or(config.connect_timeout);
        config.protocol = protocol.protocol;
        config.idle_timeout = protocol.idle_timeout.map_or(config.idle_timeout, never_if_zero);
        config.lb_policy = balancing?;
        config.circuit_breakers = breakers?.unwrap_or_default();
        config.panic_threshold = panic?.and_then(|common| common.0).unwrap_or(config.panic_threshold);
        config.ignore_health_on_host_removal = removal?;
        let grpc_health_check = checks.iter().find_map(|check| check.grpc);
        config.health_checks = checks.into_iter().map(|check| check.config).collect();
        defaults?;
        Ok(Self {
            config,
            name,
            cluster_type: cluster_type?,
            endpoints: endpoints?,
            grpc_health_check,
            null_http2: protocol.null_http2,
        })
    }
}

fn name(reader: &mut Reader<'_>) -> Read<Spanned<Arc<str>>> {
    let name = reader.required::<Spanned<NonEmpty>>("name")?;
    Ok(Spanned { value: name.value.0.into(), span: name.span })
}

/// Zero is without limit in Envoy. A century is as good, and adds to any time without overflow.
fn never_if_zero(timeout: Duration) -> Duration {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    if timeout.is_zero() { CENTURY } else { timeout }
}

/// The endpoints of `load_assignment`, or of `hosts` as before 2018.
fn endpoints(reader: &mut Reader<'_>, name: Option<&Spanned<Arc<str>>>) -> Read<Vec<Endpoint>> {
    reader.deprecated("hosts", "`load_assignment`");
    let hosts = reader.list::<SocketAddress>("hosts");
    let assignment = reader.optional::<LoadAssignment>("load_assignment");
    reader.at_most_one_of(&["hosts", "load_assignment"])?;
    let hosts = hosts?.into_iter().map(|address| Endpoint { address, weight: 1 });
    let Some(assignment) = assignment? else { return Ok(hosts.collect()) };
    let given = &assignment.cluster_name;
    if let Some(name) = name.filter(|name| *name.value != *given.value.0) {
        let message =
            format!("`cluster_name` is `{}`, the cluster is `{}`; the latter counts", given.value.0, name.value);
        reader.diagnostics().warn(Diagnostic::warning(Code::Suspicious, message).at(given.span, ""));
    }
    Ok(assignment.endpoints)
}

fn health_checks(reader: &mut Reader<'_>) -> Read<Vec<HealthCheck>> {
    let checks = reader.list::<HealthCheck>("health_checks")?;
    health_check::names(&checks, reader)?;
    Ok(checks)
}

fn host_removal(reader: &mut Reader<'_>) -> Read<bool> {
    reader.deprecated("drain_connections_on_host_removal", "`ignore_health_on_host_removal`");
    let old = reader.or("drain_connections_on_host_removal", false);
    let new = reader.or("ignore_health_on_host_removal", false);
    Ok(old? || new?)
}

/// Fields that are supported only as Envoy has them by default.
fn defaults(reader: &mut Reader<'_>) -> Read<()> {
    let mut result = Ok(());
    if let Some(socket) = reader.get("transport_socket") {
        result = result.and(cluster_options::plain_text(socket));
    }
    result = result.and(reader.only("wait_for_warm_on_init", true));
    let switches = [
        "use_tcp_for_dns_lookups",
        "close_connections_on_host_health_failure",
        "connection_pool_per_downstream_connection",
    ];
    for name in switches {
        result = result.and(reader.only(name, false));
    }
    result
}
