//! Listeners and their filter chains.

use std::net::SocketAddr;

use super::{SocketAddress, connection_manager::ConnectionManager, extension, tls::DownstreamTls};
use crate::{
    envoy::{
        diagnostic::{Code, Diagnostic, Reported, Spanned},
        names::{Category, Kind},
        reader::{FromConfig, Harmless, Read, Reader, Unsupported, Value},
    },
    proxy::config::{FilterChainConfig, ListenerConfig},
};

/// `Listener`.
pub(in crate::envoy) struct Listener {
    pub(in crate::envoy) config: ListenerConfig,
    pub(in crate::envoy) name: Option<Spanned<String>>,
    pub(in crate::envoy) address: Spanned<SocketAddr>,
}

impl FromConfig for Listener {
    const MESSAGE: &'static str = "listener";
    const HARMLESS: &'static [Harmless] = &[
        ("metadata", "no filter of this version reads it"),
        ("traffic_direction", "only tracing and stats tags of Envoy use it"),
        ("per_connection_buffer_limit_bytes", "buffers are bounded by flow control"),
        ("per_connection_buffer_high_watermark_timeout", "buffers are bounded by flow control"),
        ("listener_filters_timeout", "the first bytes have a time of their own, 10 s"),
        ("continue_on_listener_filters_timeout", "the first bytes have a time of their own, 10 s"),
        ("reuse_port", "connections go to the least loaded worker either way"),
        ("enable_reuse_port", "connections go to the least loaded worker either way"),
        ("connection_balance_config", "connections go to the least loaded worker either way"),
        ("tcp_backlog_size", "the system's largest is used"),
        ("max_connections_to_accept_per_socket_event", "accepting is fair to open connections either way"),
        ("drain_type", "a listener drains when the process does"),
        ("bypass_overload_manager", "there is no overload manager"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("several addresses", &["additional_addresses"]),
        ("choosing a chain by rules", &["filter_chain_matcher", "fcds_config"]),
        ("the original destination", &["use_original_dst", "transparent", "freebind"]),
        ("socket options", &["socket_options", "tcp_fast_open_queue_length", "tcp_keepalive", "enable_mptcp"]),
        ("UDP and internal listeners", &["udp_listener_config", "internal_listener", "api_listener"]),
        ("listeners that do not bind", &["bind_to_port", "deprecated_v1"]),
        ("logs of connections", &["access_log"]),
        ("settings of stats", &["stat_prefix", "stats_matcher"]),
        ("exemption from the limit of connections", &["ignore_global_conn_limit"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let name = reader.optional::<Spanned<String>>("name");
        let address = reader.required::<Spanned<SocketAddress>>("address");
        let chains = reader.list::<Spanned<FilterChain>>("filter_chains");
        let default = reader.optional::<FilterChain>("default_filter_chain");
        let filters = reader.list::<ListenerFilter>("listener_filters");
        let address = address.and_then(|address| {
            let value = address.value.ip(reader, "a listener's address")?;
            Ok(Spanned { value, span: address.value.host.span })
        });
        let chain = one_chain(reader, chains?, default?);
        filters?;
        let (name, address, chain) = (name?.filter(|name| !name.value.is_empty()), address?, chain?);
        let mut config = ListenerConfig::new(address.value, chain.0);
        if let Some(name) = &name {
            config.name = name.value.as_str().into();
        }
        Ok(Self { config, name, address })
    }
}

/// Without conditions there can be but one chain: Envoy too refuses two that match the same connections.
fn one_chain(
    reader: &Reader<'_>,
    chains: Vec<Spanned<FilterChain>>,
    default: Option<FilterChain>,
) -> Read<FilterChain> {
    let mut chains = chains.into_iter();
    match (chains.next(), chains.next()) {
        (Some(first), Some(second)) => {
            let message = "a listener has one filter chain in this version";
            let error = Diagnostic::error(Code::Unsupported, message)
                .at(second.span, "this one would never be used")
                .and(first.span, "this one takes every connection");
            Err(reader.diagnostics().error(error))
        }
        (Some(first), None) => Ok(first.value),
        (None, _) => default.ok_or_else(|| {
            reader.value().error(Code::MissingField, "a listener needs a filter chain", "`filter_chains` is missing")
        }),
    }
}

/// A filter in front of the chains: those that only look are not needed, others are not supported.
struct ListenerFilter;

impl FromConfig for ListenerFilter {
    const MESSAGE: &'static str = "listener_filter";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("filters for some connections only", &["filter_disabled"]),
        ("filters from elsewhere", &["config_discovery"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        extension::read(reader, Category::ListenerFilter)?.config.message("listener_filter", |_| Ok(Self))
    }
}

/// `FilterChain`.
pub(super) struct FilterChain(FilterChainConfig);

impl FromConfig for FilterChain {
    const MESSAGE: &'static str = "filter_chain";
    const HARMLESS: &'static [Harmless] =
        &[("name", "only logs and dumps of Envoy show it"), ("metadata", "no filter of this version reads it")];
    const UNSUPPORTED: &'static [Unsupported] =
        &[("a time for the TLS handshake; it is 10 s", &["transport_socket_connect_timeout"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let matches = reader.get("filter_chain_match").map(refuse_match).transpose();
        let tls = tls(reader);
        let proxy_protocol = reader.only("use_proxy_proto", false);
        let http = match reader.get("filters") {
            Some(filters) => only_filter(filters),
            None => reader.required("filters"),
        };
        let (tls, http) = (tls?, http?);
        matches?;
        proxy_protocol?;
        Ok(Self(FilterChainConfig { tls: tls.map(|tls| tls.0), http: http.0 }))
    }
}

fn refuse_match(value: Value<'_>) -> Read<()> {
    if value.entries()?.next().is_none() {
        return Ok(());
    }
    let message = "`filter_chain_match` is not supported by this version";
    Err(value.error(Code::Unsupported, message, "leave it out: the chain takes every connection"))
}

/// `transport_socket`, or `tls_context` as before 2020.
fn tls(reader: &mut Reader<'_>) -> Read<Option<DownstreamTls>> {
    reader.deprecated("tls_context", "`transport_socket` with a `DownstreamTlsContext`");
    let old = reader.optional::<DownstreamTls>("tls_context");
    let socket = reader.get("transport_socket").map(transport_socket).transpose();
    reader.at_most_one_of(&["tls_context", "transport_socket"])?;
    Ok(old?.or(socket?.flatten()))
}

fn transport_socket(socket: Value<'_>) -> Read<Option<DownstreamTls>> {
    socket.message("transport_socket", |reader| {
        let found = extension::read(reader, Category::TransportSocket)?;
        match found.kind {
            Kind::RawBuffer => found.config.message("raw_buffer", |_| Ok(None)),
            Kind::UpstreamTls => Err(wrong_side(reader.value())),
            _ => found.config.read().map(Some),
        }
    })
}

fn wrong_side(value: Value<'_>) -> Reported {
    let message = "a listener's TLS is a `DownstreamTlsContext`, not an `UpstreamTlsContext`";
    value.error(Code::UnknownExtension, message, "")
}

/// The chain's filters: the HTTP connection manager and nothing else.
fn only_filter(filters: Value<'_>) -> Read<ConnectionManager> {
    let managers: Vec<_> = filters.items().map(Value::read::<Filter>).collect();
    let managers: Vec<_> = managers.into_iter().collect::<Read<_>>()?;
    let mut managers = managers.into_iter();
    match (managers.next(), managers.next()) {
        (Some(first), None) => Ok(first.0),
        (None, _) => Err(filters.error(Code::MissingField, "a filter chain needs an HTTP connection manager", "")),
        (Some(_), Some(_)) => {
            Err(filters.error(Code::FilterOrder, "the HTTP connection manager must be the chain's last filter", ""))
        }
    }
}

struct Filter(ConnectionManager);

impl FromConfig for Filter {
    const MESSAGE: &'static str = "filter";
    const UNSUPPORTED: &'static [Unsupported] = &[("filters from elsewhere", &["config_discovery"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        extension::read(reader, Category::NetworkFilter)?.config.read().map(Self)
    }
}
