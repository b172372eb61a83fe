//! `Bootstrap`: the whole file.

use std::net::SocketAddr;

use super::{Cluster, Listener, SocketAddress};
use crate::{
    envoy::{
        diagnostic::Spanned,
        reader::{FromConfig, Harmless, Read, Reader, Unsupported},
    },
    proxy::config::{AccessLogConfig, AccessLoggerConfig, AdminConfig, NodeConfig},
};

/// `Bootstrap`.
pub(in crate::envoy) struct Bootstrap {
    pub(in crate::envoy) listeners: Vec<Listener>,
    pub(in crate::envoy) clusters: Vec<Cluster>,
    pub(in crate::envoy) admin: Option<Spanned<AdminConfig>>,
    pub(in crate::envoy) node: NodeConfig,
}

impl FromConfig for Bootstrap {
    const MESSAGE: &'static str = "bootstrap";
    const HARMLESS: &'static [Harmless] = &[
        ("stats_flush_interval", "stats are read when asked for, not flushed"),
        ("stats_flush_on_admin", "stats are read when asked for, not flushed"),
        ("watchdog", "workers are watched by the process's liveness probe"),
        ("watchdogs", "workers are watched by the process's liveness probe"),
        ("enable_dispatcher_stats", "only adds stats of Envoy's event loop"),
        ("flags_path", "only names a directory of run-time overrides, which are unsupported on their own"),
        ("perf_tracing_file_path", "only writes a trace of Envoy itself"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("configuration from a management server", &["dynamic_resources", "config_sources", "default_config_source"]),
        ("configuration from a management server", &["node_context_params", "hds_config"]),
        ("extensions of configuration delivery", &["xds_delegate_extension", "xds_config_tracker_extension"]),
        ("settings of all clusters", &["cluster_manager"]),
        ("stats sinks and their settings", &["stats_sinks", "stats_config", "deferred_stat_options"]),
        ("stats sinks and their settings", &["stats_eviction_interval", "stats_server_version_override"]),
        ("tracing", &["tracing"]),
        ("run-time flags", &["runtime", "layered_runtime"]),
        ("overload actions; limits are built in", &["overload_manager", "memory_allocator_manager"]),
        ("another prefix of `x-envoy-` headers", &["header_prefix"]),
        ("a resolver of one's own", &["use_tcp_for_dns_lookups", "dns_resolution_config", "typed_dns_resolver_config"]),
        ("extensions of the process", &["bootstrap_extensions", "fatal_actions", "default_socket_interface"]),
        ("extensions of the process", &["certificate_provider_instances", "default_regex_engine", "listener_manager"]),
        ("settings of headers, logs and workers", &["inline_headers", "application_log_config"]),
        ("settings of headers, logs and workers", &["grpc_async_client_manager_config", "enable_worker_cpu_affinity"]),
        ("rate limiting", &["rate_limit_service"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let node = reader.optional::<Node>("node");
        let resources = reader.optional::<StaticResources>("static_resources");
        let admin = reader.optional::<Spanned<Admin>>("admin");
        let resources = resources?.unwrap_or_default();
        let admin = admin?.and_then(|admin| admin.value.0.map(|value| Spanned { value, span: admin.span }));
        let node = node?.map(|node| node.0).unwrap_or_default();
        Ok(Self { listeners: resources.listeners, clusters: resources.clusters, admin, node })
    }
}

/// `StaticResources`.
#[derive(Default)]
struct StaticResources {
    listeners: Vec<Listener>,
    clusters: Vec<Cluster>,
}

impl FromConfig for StaticResources {
    const MESSAGE: &'static str = "static_resources";
    const UNSUPPORTED: &'static [Unsupported] = &[("secrets by name", &["secrets"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let listeners = reader.list("listeners");
        let clusters = reader.list("clusters");
        Ok(Self { listeners: listeners?, clusters: clusters? })
    }
}

/// `Node`.
pub(super) struct Node(NodeConfig);

impl FromConfig for Node {
    const MESSAGE: &'static str = "node";
    const HARMLESS: &'static [Harmless] = &[
        ("metadata", "only a management server reads it"),
        ("locality", "only a management server and zone-aware balancing read it, which are unsupported on their own"),
        ("dynamic_parameters", "only a management server reads it"),
        ("build_version", "only a management server reads it"),
        ("user_agent_name", "only a management server reads it"),
        ("user_agent_version", "only a management server reads it"),
        ("user_agent_build_version", "only a management server reads it"),
        ("extensions", "only a management server reads it"),
        ("client_features", "only a management server reads it"),
        ("listening_addresses", "only a management server reads it"),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let id = reader.or("id", String::new());
        let cluster = reader.or("cluster", String::new());
        Ok(Self(NodeConfig { id: id?, cluster: cluster? }))
    }
}

/// `Admin`; none without an address, as in Envoy.
pub(super) struct Admin(Option<AdminConfig>);

impl FromConfig for Admin {
    const MESSAGE: &'static str = "admin";
    const HARMLESS: &'static [Harmless] = &[
        ("profile_path", "only names where Envoy's CPU profiler writes"),
        ("ignore_global_conn_limit", "the admin interface never counts against the limit of connections"),
    ];
    const UNSUPPORTED: &'static [Unsupported] =
        &[("socket options", &["socket_options"]), ("a list of allowed paths", &["allow_paths"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        reader.deprecated("access_log_path", "`access_log` with a `FileAccessLog`");
        let path = reader.optional::<String>("access_log_path");
        let logs = reader.list::<AccessLoggerConfig>("access_log");
        let address = reader.optional::<SocketAddress>("address")?;
        let address: Option<Read<SocketAddr>> =
            address.map(|address| address.ip(reader, "the admin interface's address"));
        let (path, mut logs) = (path?, logs?);
        logs.extend(path.filter(|path| !path.is_empty()).map(|path| AccessLogConfig::file(path).into()));
        let Some(address) = address else { return Ok(Self(None)) };
        let mut config = AdminConfig::new(address?);
        config.access_logs = logs;
        Ok(Self(Some(config)))
    }
}
