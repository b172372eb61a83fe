//! Options that several messages share: of HTTP, and of HTTP/1.

use std::time::Duration;

use crate::envoy::reader::{FromConfig, Percent, Read, Reader, Unsupported};

/// What is read of `core.HttpProtocolOptions`, whichever side of the proxy it is for.
struct Common {
    idle_timeout: Option<Duration>,
    max_headers_count: Option<usize>,
}

impl Common {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let idle_timeout = reader.optional("idle_timeout");
        let count = reader.optional::<std::num::NonZeroU32>("max_headers_count");
        let underscores = reader.choice(
            "headers_with_underscores_action",
            &[("ALLOW", Some(())), ("REJECT_REQUEST", None), ("DROP_HEADER", None)],
        );
        let (idle_timeout, count) = (idle_timeout?, count?);
        underscores?;
        let max_headers_count = count.and_then(|count| usize::try_from(count.get()).ok());
        Ok(Self { idle_timeout, max_headers_count })
    }
}

const REQUESTS: Unsupported = ("a limit of requests of a connection", &["max_requests_per_connection"]);
const STREAMS: Unsupported = ("a longest life of streams", &["max_stream_duration"]);
const RESPONSES: Unsupported = ("a limit of response headers", &["max_response_headers_kb"]);

/// `core.HttpProtocolOptions` of a listener.
#[derive(Default)]
pub(super) struct DownstreamHttp {
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_headers_count: Option<usize>,
    pub(super) max_connection_duration: Option<Duration>,
    /// Per cent.
    pub(super) max_connection_duration_jitter: Option<f64>,
}

impl FromConfig for DownstreamHttp {
    const MESSAGE: &'static str = "common_http_protocol_options";
    const UNSUPPORTED: &'static [Unsupported] = &[REQUESTS, STREAMS, RESPONSES];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let common = Common::read(reader);
        let life = reader.optional("max_connection_duration");
        let jitter = reader.optional::<Percent>("max_connection_duration_jitter");
        let Common { idle_timeout, max_headers_count } = common?;
        let (max_connection_duration, jitter) = (life?, jitter?);
        let max_connection_duration_jitter = jitter.map(|percent| percent.0);
        Ok(Self { idle_timeout, max_headers_count, max_connection_duration, max_connection_duration_jitter })
    }
}

/// `core.HttpProtocolOptions` of a cluster.
pub(super) struct UpstreamHttp {
    pub(super) idle_timeout: Option<Duration>,
}

impl FromConfig for UpstreamHttp {
    const MESSAGE: &'static str = "common_http_protocol_options";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("a longest life of connections to hosts", &["max_connection_duration", "max_connection_duration_jitter"]),
        REQUESTS,
        STREAMS,
        RESPONSES,
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        Common::read(reader).map(|Common { idle_timeout, .. }| Self { idle_timeout })
    }
}

/// `Http1ProtocolOptions`: supported as Envoy has them by default.
pub(super) struct Http1Defaults;

impl FromConfig for Http1Defaults {
    const MESSAGE: &'static str = "http_protocol_options";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("HTTP/1.0", &["default_host_for_http_10"]),
        ("the case of header names", &["header_key_format"]),
        ("ignoring upgrades", &["ignore_http_11_upgrade"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let mut result = reader.only("allow_absolute_url", true);
        let switches = [
            "accept_http_10",
            "enable_trailers",
            "allow_chunked_length",
            "override_stream_error_on_invalid_http_message",
            "send_fully_qualified_url",
            "allow_custom_methods",
        ];
        for name in switches {
            result = result.and(reader.only(name, false));
        }
        // Which parser Envoy uses is its own affair.
        let parser = reader.optional::<bool>("use_balsa_parser");
        parser?;
        result.map(|()| Self)
    }
}
