//! Routes.

use std::{sync::Arc, time::Duration};

use crate::{
    envoy::{
        diagnostic::Spanned,
        reader::{FromConfig, Harmless, NonEmpty, Read, Reader, Unsupported},
    },
    http::header_match::HeaderMatch,
    route::config::{RouteAction, RouteConfig, RouteMatch},
};

/// `Route`.
pub(super) struct Route(pub(super) RouteConfig);

const OTHER_ACTIONS: [&str; 4] = ["redirect", "direct_response", "filter_action", "non_forwarding_action"];

impl FromConfig for Route {
    const MESSAGE: &'static str = "route";
    const HARMLESS: &'static [Harmless] = &[
        ("metadata", "no filter of this version reads it"),
        ("decorator", "only tracing uses it"),
        ("tracing", "only tracing uses it, which is unsupported on its own"),
        ("stat_prefix", "stats of single routes are not made"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("redirects", &["redirect"]),
        ("answers without a cluster", &["direct_response", "filter_action", "non_forwarding_action"]),
        ("settings of filters", &["typed_per_filter_config", "per_filter_config"]),
        ("changes of headers", &["request_headers_to_add", "request_headers_to_remove"]),
        ("changes of headers", &["response_headers_to_add", "response_headers_to_remove"]),
        ("limits on buffered bodies", &["per_request_buffer_limit_bytes", "request_body_buffer_limit"]),
        ("extensions that choose a route", &["route_specifiers"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let name = reader.or("name", String::new());
        let matches = reader.required::<Match>("match");
        let action = match OTHER_ACTIONS.iter().any(|action| reader.is_set(action)) {
            true => reader.optional::<Action>("route").map(Option::unwrap_or_default),
            false => reader.required("route"),
        };
        let (name, action) = (name?, action?);
        let mut config = RouteConfig::new(matches?.0, action.0);
        config.name = Some(name).filter(|name| !name.is_empty()).map(Arc::from);
        Ok(Self(config))
    }
}

/// `RouteMatch`.
struct Match(RouteMatch);

/// The ways to match a path that are not supported.
const OTHER_PATHS: &[&str] = &["safe_regex", "regex", "connect_matcher", "path_separated_prefix", "path_match_policy"];

impl FromConfig for Match {
    const MESSAGE: &'static str = "match";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("paths by regular expressions", &["safe_regex", "regex"]),
        ("CONNECT", &["connect_matcher"]),
        ("other ways to match a path", &["path_separated_prefix", "path_match_policy"]),
        ("a share of requests", &["runtime_fraction", "runtime"]),
        ("query parameters and cookies", &["query_parameters", "cookies"]),
        ("gRPC only", &["grpc"]),
        ("conditions on the connection", &["tls_context", "dynamic_metadata", "filter_state"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let prefix = reader.optional::<String>("prefix");
        let path = reader.optional::<String>("path");
        let headers = reader.list::<HeaderMatch>("headers");
        let case = reader.only("case_sensitive", true);
        if !OTHER_PATHS.iter().any(|name| reader.is_set(name)) {
            reader.exactly_one_of(&["prefix", "path"])?;
        }
        let mut matches = match (prefix?, path?) {
            (_, Some(path)) => RouteMatch::path(path),
            (prefix, None) => RouteMatch::prefix(prefix.unwrap_or_default()),
        };
        matches.headers = headers?;
        case.map(|()| Self(matches))
    }
}

/// `RouteAction`.
pub(super) struct Action(RouteAction);

impl Default for Action {
    /// Of a route that is an error anyway.
    fn default() -> Self {
        Self(RouteAction::cluster(""))
    }
}

const OTHER_CLUSTERS: [&str; 4] =
    ["cluster_header", "weighted_clusters", "cluster_specifier_plugin", "inline_cluster_specifier_plugin"];

impl FromConfig for Action {
    const MESSAGE: &'static str = "route_action";
    const HARMLESS: &'static [Harmless] =
        &[("cluster_not_found_response_code", "a file whose routes name unknown clusters is refused")];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("a cluster named by a header", &["cluster_header"]),
        ("several clusters by weight", &["weighted_clusters"]),
        ("clusters chosen by plugins", &["cluster_specifier_plugin", "inline_cluster_specifier_plugin"]),
        ("subsets of hosts", &["metadata_match"]),
        ("changes of the path", &["prefix_rewrite", "regex_rewrite", "path_rewrite_policy", "path_rewrite"]),
        ("changes of the host", &["host_rewrite_literal", "host_rewrite_header", "host_rewrite_path_regex"]),
        ("changes of the host", &["host_rewrite", "auto_host_rewrite_header"]),
        ("idle times of single routes", &["idle_timeout", "flush_timeout"]),
        ("early data", &["early_data_policy"]),
        ("retries", &["retry_policy", "retry_policy_typed_config", "hedge_policy"]),
        ("mirroring", &["request_mirror_policies", "request_mirror_policy"]),
        ("rate limiting", &["rate_limits", "include_vh_rate_limits"]),
        ("hashing", &["hash_policy"]),
        ("CORS", &["cors"]),
        ("the client's own deadline", &["max_grpc_timeout", "grpc_timeout_offset", "max_stream_duration"]),
        ("upgrades", &["upgrade_configs"]),
        ("internal redirects", &["internal_redirect_policy", "internal_redirect_action", "max_internal_redirects"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let other = OTHER_CLUSTERS.iter().any(|name| reader.is_set(name));
        let cluster = match other {
            true => reader.optional::<Spanned<NonEmpty>>("cluster"),
            false => reader.required("cluster").map(Some),
        };
        let timeout = reader.optional::<Duration>("timeout");
        let priority = reader.choice("priority", &[("DEFAULT", Some(())), ("HIGH", None)]);
        let host = reader.only("auto_host_rewrite", false);
        let forwarded = reader.only("append_x_forwarded_host", false);
        let cluster = cluster?.map(|name| Spanned { value: Arc::from(name.value.0), span: name.span });
        if let Some(cluster) = &cluster {
            reader.diagnostics().names().refer_to_cluster(cluster.clone());
        }
        let mut config = RouteAction::cluster(cluster.map_or_else(Arc::default, |cluster| cluster.value));
        if let Some(timeout) = timeout? {
            // Zero is without limit, as in Envoy.
            config.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        }
        host.and(forwarded).and(priority.map(|_| ())).map(|()| Self(config))
    }
}
