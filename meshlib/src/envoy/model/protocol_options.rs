//! HTTP/2, and what is spoken to a cluster's hosts.

use std::time::Duration;

use super::{
    connection_options::{Http1Defaults, UpstreamHttp},
    extension,
};
use crate::{
    cluster::config::UpstreamProtocol,
    envoy::{
        diagnostic::Code,
        names::{Category, Kind},
        reader::{FromConfig, Read, Reader, Unsupported, Value},
    },
    http::options::Http2Options,
};

/// `Http2ProtocolOptions`: what a file sets, over the defaults of its side.
#[derive(Clone, Copy, Default)]
pub(super) struct Http2 {
    streams: Option<u32>,
    stream_window: Option<u32>,
    connection_window: Option<u32>,
}

impl Http2 {
    pub(super) fn over(defaults: Http2Options, value: Value<'_>) -> Read<Http2Options> {
        let set = value.read::<Self>()?;
        let mut options = defaults;
        options.max_concurrent_streams = set.streams.unwrap_or(options.max_concurrent_streams);
        options.initial_stream_window_size = set.stream_window.unwrap_or(options.initial_stream_window_size);
        options.initial_connection_window_size =
            set.connection_window.unwrap_or(options.initial_connection_window_size);
        Ok(options)
    }
}

impl FromConfig for Http2 {
    const MESSAGE: &'static str = "http2_protocol_options";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("the size of HPACK's table", &["hpack_table_size", "enable_huffman_encoding", "max_header_field_size_kb"]),
        ("limits on frames; they are built in", &["max_outbound_frames", "max_outbound_control_frames"]),
        ("limits on frames; they are built in", &["max_consecutive_inbound_frames_with_empty_payload"]),
        ("limits on frames; they are built in", &["max_inbound_priority_frames_per_stream", "stream_reset_burst"]),
        ("limits on frames; they are built in", &["max_inbound_window_update_frames_per_data_frame_sent"]),
        ("limits on frames; they are built in", &["stream_reset_rate", "max_metadata_size"]),
        ("settings of one's own", &["custom_settings_parameters"]),
        ("keepalive pings", &["connection_keepalive"]),
        ("the choice of a codec", &["use_oghttp2_codec"]),
        ("treatment of bad messages", &["stream_error_on_invalid_http_messaging", "disallow_obs_text"]),
        ("treatment of bad messages", &["override_stream_error_on_invalid_http_message"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        const MOST: u32 = i32::MAX.unsigned_abs();
        let streams = bounded(reader, "max_concurrent_streams", 1, MOST);
        let stream_window = bounded(reader, "initial_stream_window_size", 65_535, MOST);
        let connection_window = bounded(reader, "initial_connection_window_size", 65_535, MOST);
        let connect = reader.only("allow_connect", false);
        let metadata = reader.only("allow_metadata", false);
        let options = Self { streams: streams?, stream_window: stream_window?, connection_window: connection_window? };
        connect?;
        metadata.map(|()| options)
    }
}

fn bounded(reader: &mut Reader<'_>, name: &'static str, least: u32, most: u32) -> Read<Option<u32>> {
    let Some(value) = reader.get(name) else { return Ok(None) };
    match value.read::<u32>()? {
        given if (least..=most).contains(&given) => Ok(Some(given)),
        _ => Err(value.invalid(&format!("from {least} to {most}"))),
    }
}

/// What is spoken to a cluster's hosts, where the file says it.
#[derive(Default)]
pub(super) struct Upstream {
    pub(super) protocol: Option<UpstreamProtocol>,
    pub(super) idle_timeout: Option<Duration>,
}

/// `typed_extension_protocol_options`: of its extensions, only HTTP's.
pub(super) fn extension_options(value: Value<'_>) -> Read<Upstream> {
    let mut upstream = Upstream::default();
    for (key, options) in value.entries()? {
        let name = (key.value == "envoy.extensions.upstreams.http.v3.HttpProtocolOptions").then_some(options);
        let Some(options) = name else {
            let message = format!("the protocol options `{}` are not supported by this version", key.value);
            let error = crate::envoy::diagnostic::Diagnostic::error(Code::Unsupported, message).at(key.span, "");
            return Err(value.diagnostics().error(error));
        };
        let found = extension::of_type(options, Category::ProtocolOptions)?;
        debug_assert_eq!(found.kind, Kind::HttpProtocolOptions);
        upstream = found.config.read()?;
    }
    Ok(upstream)
}

impl FromConfig for Upstream {
    const MESSAGE: &'static str = "HttpProtocolOptions";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("a protocol that is found out", &["auto_config", "use_downstream_protocol_config"]),
        ("filters of upstream requests", &["http_filters", "header_validation_config"]),
        ("TLS towards hosts", &["upstream_http_protocol_options"]),
        ("outlier detection", &["outlier_detection"]),
        ("defaults of routes", &["request_mirror_policies", "hash_policy", "retry_policy"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let common = reader.optional::<UpstreamHttp>("common_http_protocol_options");
        let explicit = reader.optional::<Explicit>("explicit_http_config");
        let others = ["auto_config", "use_downstream_protocol_config"];
        if !others.iter().any(|name| reader.is_set(name)) {
            reader.exactly_one_of(&["explicit_http_config"])?;
        }
        let idle_timeout = common?.and_then(|common| common.idle_timeout);
        Ok(Self { protocol: explicit?.map(|explicit| explicit.0), idle_timeout })
    }
}

/// `ExplicitHttpConfig`.
struct Explicit(UpstreamProtocol);

impl FromConfig for Explicit {
    const MESSAGE: &'static str = "explicit_http_config";
    const UNSUPPORTED: &'static [Unsupported] = &[("HTTP/3", &["http3_protocol_options"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let http1 = reader.optional::<Http1Defaults>("http_protocol_options");
        let http2 = reader.get("http2_protocol_options").map(|value| Http2::over(Http2Options::upstream(), value));
        if !reader.is_set("http3_protocol_options") {
            let null = reader.null("http2_protocol_options");
            if let Some(span) = null.filter(|_| !reader.is_set("http_protocol_options")) {
                return Err(super::cluster_options::null_trap(reader.diagnostics(), span));
            }
            reader.exactly_one_of(&["http_protocol_options", "http2_protocol_options"])?;
        }
        http1?;
        Ok(Self(http2.transpose()?.map_or(UpstreamProtocol::Http1, UpstreamProtocol::Http2)))
    }
}
