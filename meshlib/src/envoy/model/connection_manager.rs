//! The HTTP connection manager.

use super::{
    ClusterReference,
    connection_options::{DownstreamHttp, Http1Defaults},
    http_filter,
    protocol_options::Http2,
    route_table::RouteTable,
};
use crate::{
    envoy::{
        diagnostic::Code,
        reader::{FromConfig, Harmless, NonEmpty, Read, Reader, Unsupported},
    },
    http::options::{CodecType, Http2Options, ServerOptions},
    proxy::config::HttpConnectionManagerConfig,
};

/// `HttpConnectionManager`.
pub(super) struct ConnectionManager {
    pub(super) config: HttpConnectionManagerConfig,
    /// The clusters that its routes name.
    pub(super) clusters: Vec<ClusterReference>,
}

impl FromConfig for ConnectionManager {
    const MESSAGE: &'static str = "http_connection_manager";
    const HARMLESS: &'static [Harmless] = &[
        ("access_log_flush_interval", "a line is written when its stream ends"),
        ("internal_address_config", "no `x-envoy-internal` is made"),
        ("delayed_close_timeout", "a connection closes when its last byte is sent, within bounds"),
        ("stream_error_on_invalid_http_message", "a stream with a bad message is reset, its connection lives"),
        ("http1_safe_max_connection_duration", "a request under way is finished, whatever its connection's age"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("routes from a management server", &["rds", "scoped_routes"]),
        ("tracing", &["tracing"]),
        ("HTTP/3", &["http3_protocol_options"]),
        ("a jitter of draining", &["drain_timeout_jitter"]),
        ("a limit on flushing", &["stream_flush_timeout"]),
        ("logs before the end", &["flush_access_log_on_new_request", "access_log_options"]),
        ("other ways to find the client's address", &["original_ip_detection_extensions"]),
        ("changes of headers", &["early_header_mutation_extensions", "via", "scheme_header_transformation"]),
        ("details of client certificates", &["set_current_client_cert_details", "forward_client_cert_matcher"]),
        ("upgrades", &["upgrade_configs"]),
        ("changes of paths", &["path_normalization_options"]),
        ("other request ids", &["request_id_extension"]),
        ("changes of local replies", &["local_reply_config", "proxy_status_config"]),
        ("another validation of headers", &["typed_header_validation_config"]),
        ("changes of `x-forwarded-proto`", &["forward_proto_config"]),
        ("stats of route resolution", &["record_route_resolution_stats"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let stat_prefix = reader.required::<NonEmpty>("stat_prefix");
        let routes = routes(reader);
        let filters = reader.get("http_filters");
        let filters = http_filter::filters(filters, reader.value());
        let logs = reader.list("access_log");
        let server = server_options(reader);
        let names = (reader.or("server_name", String::new()), reader.or("use_remote_address", false));
        let hops = reader.or("xff_num_trusted_hops", 0);
        let request_id = reader.or("generate_request_id", true);
        let defaults = defaults(reader);

        let (stat_prefix, RouteTable { config: routes, clusters }) = (stat_prefix?, routes?);
        let mut config = HttpConnectionManagerConfig::new(stat_prefix.0, routes);
        config.http_filters = filters?;
        config.access_logs = logs?;
        config.server = server?;
        let server_name = names.0?;
        if !server_name.is_empty() {
            config.server_name = server_name;
        }
        config.use_remote_address = names.1?;
        config.xff_num_trusted_hops = hops?;
        config.generate_request_id = request_id?;
        defaults.map(|()| Self { config, clusters })
    }
}

fn routes(reader: &mut Reader<'_>) -> Read<RouteTable> {
    if let Some(value) = reader.get("route_config") {
        return value.read();
    }
    if reader.is_set("rds") || reader.is_set("scoped_routes") {
        // Reported as unsupported; what else is wrong still gets found.
        return Ok(RouteTable::default());
    }
    reader.required("route_config")
}

fn server_options(reader: &mut Reader<'_>) -> Read<ServerOptions> {
    reader.deprecated("idle_timeout", "`common_http_protocol_options` with `idle_timeout`");
    let codecs = [
        ("AUTO", Some(CodecType::Auto)),
        ("HTTP1", Some(CodecType::Http1)),
        ("HTTP2", Some(CodecType::Http2)),
        ("HTTP3", None),
    ];
    let codec = reader.choice("codec_type", &codecs);
    let common = reader.optional::<DownstreamHttp>("common_http_protocol_options");
    let http1 = reader.optional::<Http1Defaults>("http_protocol_options");
    let http2 = reader.get("http2_protocol_options").map(|value| Http2::over(Http2Options::downstream(), value));
    let head = header_limit(reader);
    let stream_idle = reader.optional("stream_idle_timeout");
    let idle = reader.optional("idle_timeout");
    let headers = headers_timeout(reader);
    let drain = reader.optional("drain_timeout");

    let mut options = ServerOptions::default();
    options.codec = codec?.unwrap_or_default();
    options.http2 = http2.transpose()?.unwrap_or(options.http2);
    options.max_request_headers_bytes = head?.unwrap_or(options.max_request_headers_bytes);
    options.stream_idle_timeout = stream_idle?.unwrap_or(options.stream_idle_timeout);
    options.request_headers_timeout = headers?.unwrap_or(options.request_headers_timeout);
    options.drain_timeout = drain?.unwrap_or(options.drain_timeout);
    let common = common?.unwrap_or_default();
    options.max_connection_duration = common.max_connection_duration.unwrap_or_default();
    options.max_connection_duration_jitter = common.max_connection_duration_jitter.unwrap_or_default();
    options.idle_timeout = common.idle_timeout.or(idle?).unwrap_or(options.idle_timeout);
    options.max_request_headers_count = common.max_headers_count.unwrap_or(options.max_request_headers_count);
    http1?;
    Ok(options)
}

fn header_limit(reader: &mut Reader<'_>) -> Read<Option<u32>> {
    let Some(value) = reader.get("max_request_headers_kb") else { return Ok(None) };
    match value.read::<u32>()? {
        kilobytes @ 1..=8192 => Ok(Some(kilobytes << 10)),
        _ => Err(value.invalid("from 1 to 8192")),
    }
}

fn headers_timeout(reader: &mut Reader<'_>) -> Read<Option<std::time::Duration>> {
    let Some(value) = reader.get("request_headers_timeout") else { return Ok(None) };
    let timeout = value.read::<std::time::Duration>()?;
    if timeout.is_zero() {
        let message = "`request_headers_timeout` cannot be switched off";
        return Err(value.error(Code::Unsupported, message, "leave it out for 10 s, or give a time"));
    }
    Ok(Some(timeout))
}

/// Fields that are supported only as Envoy has them by default.
fn defaults(reader: &mut Reader<'_>) -> Read<()> {
    let mut result = Ok(());
    let switches = [
        "add_user_agent",
        "skip_xff_append",
        "preserve_external_request_id",
        "always_set_request_id_in_response",
        "proxy_100_continue",
        "represent_ipv4_remote_address_as_ipv4_mapped_ipv6",
        "normalize_path",
        "merge_slashes",
        "strip_matching_host_port",
        "strip_any_host_port",
        "strip_trailing_host_dot",
        "append_x_forwarded_port",
        "append_local_overload",
        "add_proxy_protocol_connection_state",
    ];
    for name in switches {
        result = result.and(reader.only(name, false));
    }
    let request = reader.only("request_timeout", std::time::Duration::ZERO);
    let server = reader.choice(
        "server_header_transformation",
        &[("OVERWRITE", Some(())), ("APPEND_IF_ABSENT", None), ("PASS_THROUGH", None)],
    );
    let certificate = reader.choice(
        "forward_client_cert_details",
        &[
            ("SANITIZE", Some(())),
            ("FORWARD_ONLY", None),
            ("APPEND_FORWARD", None),
            ("SANITIZE_SET", None),
            ("ALWAYS_FORWARD_ONLY", None),
        ],
    );
    let slashes = reader.choice(
        "path_with_escaped_slashes_action",
        &[
            ("IMPLEMENTATION_SPECIFIC_DEFAULT", Some(())),
            ("KEEP_UNCHANGED", Some(())),
            ("REJECT_REQUEST", None),
            ("UNESCAPE_AND_REDIRECT", None),
            ("UNESCAPE_AND_FORWARD", None),
        ],
    );
    result.and(request).and(server.map(|_| ())).and(certificate.map(|_| ())).and(slashes.map(|_| ()))
}
