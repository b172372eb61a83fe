//! A cluster's discovery, and whether its parts fit together.

use crate::{
    cluster::config::{ClusterConfig, DiscoveryConfig, DnsEndpoint, StaticEndpoint, StrictDnsConfig, UpstreamProtocol},
    envoy::{
        diagnostic::{Code, Diagnostic, Diagnostics, Spanned},
        model::{Cluster, ClusterType, Endpoint, Host, SocketAddress},
        reader::Read,
    },
};

pub(super) fn lower(cluster: Cluster, diagnostics: &Diagnostics) -> Read<ClusterConfig> {
    let speaks = health_check_speaks(&cluster, diagnostics);
    let discovery = match cluster.cluster_type {
        ClusterType::Static => fixed(&cluster, diagnostics),
        ClusterType::StrictDns(options) => {
            let mut dns = StrictDnsConfig::new(cluster.endpoints.iter().map(name).collect());
            options.apply(&mut dns);
            Ok(DiscoveryConfig::StrictDns(dns))
        }
        ClusterType::Custom(discovery) => match cluster.endpoints.first() {
            None => Ok(DiscoveryConfig::Custom(discovery)),
            Some(endpoint) => {
                let message = format!("`{}` finds its own endpoints", discovery.name());
                let error = Diagnostic::error(Code::Conflict, message);
                Err(diagnostics.error(error.at(endpoint.address.host.span, "this one would never be used")))
            }
        },
    };
    let mut config = cluster.config;
    config.discovery = discovery?;
    speaks.map(|()| config)
}

fn fixed(cluster: &Cluster, diagnostics: &Diagnostics) -> Read<DiscoveryConfig> {
    let endpoints: Vec<_> = cluster.endpoints.iter().map(|endpoint| static_endpoint(endpoint, diagnostics)).collect();
    Ok(DiscoveryConfig::Static(endpoints.into_iter().collect::<Read<_>>()?))
}

fn static_endpoint(Endpoint { address, weight }: &Endpoint, diagnostics: &Diagnostics) -> Read<StaticEndpoint> {
    let SocketAddress { host: Spanned { span, .. }, .. } = address;
    let address = address.ip_or(|name| {
        let error = Diagnostic::error(Code::NotAnIpAddress, format!("`{name}` is not an IP address"));
        let error = error.at(*span, "a cluster of type `STATIC` does not resolve names");
        diagnostics.error(error.help("with `type: STRICT_DNS` every address of the name is a host"))
    })?;
    Ok(StaticEndpoint { address, weight: *weight })
}

fn name(Endpoint { address, weight }: &Endpoint) -> DnsEndpoint {
    let host = match &address.host.value {
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    };
    DnsEndpoint { host: host.into(), port: address.port, weight: *weight }
}

/// gRPC is HTTP/2: so must be its health check.
fn health_check_speaks(cluster: &Cluster, diagnostics: &Diagnostics) -> Read<()> {
    let Some(check) = cluster.grpc_health_check else { return Ok(()) };
    if cluster.config.protocol != UpstreamProtocol::Http1 {
        return Ok(());
    }
    let message =
        format!("the gRPC health check of `{}` needs HTTP/2, and the cluster speaks HTTP/1.1", cluster.name.value);
    let error = Diagnostic::error(Code::Http2Needed, message).at(check, "gRPC is spoken over HTTP/2 only");
    Err(diagnostics.error(match cluster.null_http2 {
        Some(null) => error.and(null, "this is null, which is as if it were not there: write `{}` behind it"),
        None => error.and(cluster.name.span, "this cluster").help("give the cluster `http2_protocol_options: {}`"),
    }))
}
