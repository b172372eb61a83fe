//! Options that several messages share: of HTTP, and of HTTP/1.

use std::time::Duration;

use crate::envoy::reader::{FromConfig, Read, Reader, Unsupported};

/// `core.HttpProtocolOptions`.
#[derive(Default)]
pub(super) struct CommonHttp {
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_headers_count: Option<usize>,
}

impl FromConfig for CommonHttp {
    const MESSAGE: &'static str = "common_http_protocol_options";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("a longest life of connections", &["max_connection_duration", "max_connection_duration_jitter"]),
        ("a longest life of connections", &["max_requests_per_connection"]),
        ("a longest life of streams", &["max_stream_duration"]),
        ("a limit of response headers", &["max_response_headers_kb"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
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
