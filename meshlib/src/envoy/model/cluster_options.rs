//! Parts of a cluster: balancing, and what is spoken to its hosts.

use std::time::Duration;

use super::{
    connection_options::{Http1Defaults, UpstreamHttp},
    extension, own_extension,
    protocol_options::{Http2, Upstream, extension_options},
};
use crate::{
    cluster::{balance::LbPolicy, config::UpstreamProtocol},
    envoy::{
        diagnostic::{Code, Diagnostic, Diagnostics, Reported, Span},
        names::{Category, Kind},
        reader::{FromConfig, Harmless, Percent, Read, Reader, Unsupported, Value},
    },
    http::options::Http2Options,
};

/// What is spoken to a cluster's hosts, and for how long.
pub(super) struct Protocol {
    pub(super) protocol: UpstreamProtocol,
    pub(super) idle_timeout: Option<Duration>,
    /// Where `http2_protocol_options` is null, which looks like HTTP/2 and is not.
    pub(super) null_http2: Option<Span>,
}

pub(super) fn protocol(reader: &mut Reader<'_>) -> Read<Protocol> {
    const INSTEAD: &str = "`typed_extension_protocol_options` with `HttpProtocolOptions`";
    for name in ["http2_protocol_options", "http_protocol_options", "common_http_protocol_options"] {
        reader.deprecated(name, INSTEAD);
    }
    let null_http2 = reader.null("http2_protocol_options");
    let common = reader.optional::<UpstreamHttp>("common_http_protocol_options");
    let http1 = reader.optional::<Http1Defaults>("http_protocol_options");
    let http2 = reader.get("http2_protocol_options").map(|value| Http2::over(Http2Options::upstream(), value));
    let extension = reader.get("typed_extension_protocol_options").map(extension_options).transpose();
    let selection = reader
        .choice("protocol_selection", &[("USE_CONFIGURED_PROTOCOL", Some(())), ("USE_DOWNSTREAM_PROTOCOL", None)]);
    let exclusive = ["http2_protocol_options", "http_protocol_options", "common_http_protocol_options"]
        .into_iter()
        .try_for_each(|name| reader.at_most_one_of(&[name, "typed_extension_protocol_options"]));
    let upstream = extension?.unwrap_or_else(Upstream::default);
    let idle_timeout = upstream.idle_timeout.or(common?.and_then(|common| common.idle_timeout));
    let http2 = http2.transpose()?.map(UpstreamProtocol::Http2);
    http1?;
    selection?;
    exclusive?;
    Ok(Protocol { protocol: upstream.protocol.or(http2).unwrap_or(UpstreamProtocol::Http1), idle_timeout, null_http2 })
}

/// `http2_protocol_options:` with nothing behind it.
pub(super) fn null_trap(diagnostics: &Diagnostics, span: Span) -> Reported {
    let error =
        Diagnostic::error(Code::MissingField, "`http2_protocol_options` is null, which is as if it were not there");
    diagnostics.error(error.at(span, "write `http2_protocol_options: {}`"))
}

/// How a host is picked: by round robin, or by a policy of the application's own.
pub(super) fn balancing(reader: &mut Reader<'_>) -> Read<LbPolicy> {
    let policy = reader.choice(
        "lb_policy",
        &[
            ("ROUND_ROBIN", Some(())),
            ("LEAST_REQUEST", None),
            ("RING_HASH", None),
            ("RANDOM", None),
            ("ORIGINAL_DST_LB", None),
            ("MAGLEV", None),
            ("CLUSTER_PROVIDED", None),
            ("LOAD_BALANCING_POLICY_CONFIG", reader.is_set("load_balancing_policy").then_some(())),
        ],
    );
    let policies = reader.optional::<Policies>("load_balancing_policy");
    policy?;
    Ok(policies?.map_or_else(LbPolicy::default, |policies| policies.0))
}

/// `LoadBalancingPolicy`: the first of a list that is supported is taken, as in Envoy.
struct Policies(LbPolicy);

impl FromConfig for Policies {
    const MESSAGE: &'static str = "load_balancing_policy";

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let Some(list) = reader.get("policies") else { return Err(missing(reader, "policies")) };
        match list.items().next() {
            Some(first) => first.message("policy", |policy| match policy.get("typed_extension_config") {
                Some(config) => config.message("typed_extension_config", lb_policy).map(Self),
                None => Err(missing(policy, "typed_extension_config")),
            }),
            None => Err(list.invalid("a list of at least one policy")),
        }
    }
}

/// Reports that the field has to be there.
fn missing(reader: &mut Reader<'_>, name: &'static str) -> Reported {
    reader.required::<String>(name).err().unwrap_or_else(Reported::later)
}

fn lb_policy(reader: &mut Reader<'_>) -> Read<LbPolicy> {
    if let Some(own) = own_extension::read(reader, &reader.diagnostics().extensions().load_balancers) {
        return own;
    }
    let found = extension::read(reader, Category::LoadBalancing)?;
    debug_assert_eq!(found.kind, Kind::RoundRobin);
    found.config.read::<RoundRobin>().map(|RoundRobin| LbPolicy::default())
}

struct RoundRobin;

impl FromConfig for RoundRobin {
    const MESSAGE: &'static str = "round_robin";
    const UNSUPPORTED: &'static [Unsupported] =
        &[("a slow start of new hosts", &["slow_start_config"]), ("balancing by localities", &["locality_lb_config"])];

    fn from_config(_: &mut Reader<'_>) -> Read<Self> {
        Ok(Self)
    }
}

/// `CommonLbConfig`: the panic threshold.
pub(super) struct CommonLb(pub(super) Option<f64>);

impl FromConfig for CommonLb {
    const MESSAGE: &'static str = "common_lb_config";
    const HARMLESS: &'static [Harmless] = &[
        ("update_merge_window", "updates are published as they come; none rebuilds more than one host set"),
        ("consistent_hashing_lb_config", "only balancing by hashes uses it, which is unsupported on its own"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("balancing by localities", &["zone_aware_lb_config", "locality_weighted_lb_config"]),
        ("a choice of host states", &["override_host_status"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let panic = reader.optional::<Percent>("healthy_panic_threshold");
        let new = reader.only("ignore_new_hosts_until_first_hc", false);
        let close = reader.only("close_connections_on_host_set_change", false);
        let panic = panic?.map(|percent| percent.0);
        new.and(close).map(|()| Self(panic))
    }
}

/// `transport_socket` of a cluster: plain text may be said, TLS is not supported yet.
pub(super) fn plain_text(socket: Value<'_>) -> Read<()> {
    socket.message("transport_socket", |reader| {
        let found = extension::read(reader, Category::TransportSocket)?;
        match found.kind {
            Kind::RawBuffer => found.config.message("raw_buffer", |_| Ok(())),
            _ => {
                let message = "TLS towards hosts is not supported by this version";
                Err(reader.value().error(Code::Unsupported, message, "hosts are spoken to in plain text"))
            }
        }
    })
}
