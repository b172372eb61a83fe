//! Addresses: an IP address or a name, and a port.

use std::net::{IpAddr, SocketAddr};

use crate::envoy::{
    diagnostic::{Code, Diagnostic, Reported, Spanned},
    reader::{FromConfig, Port, Read, Reader, Unsupported},
};

/// `Address`, of which only `socket_address` is supported.
#[derive(Clone, Debug)]
pub(in crate::envoy) struct SocketAddress {
    pub(in crate::envoy) host: Spanned<Host>,
    pub(in crate::envoy) port: u16,
}

/// What an address names.
#[derive(Clone, Debug)]
pub(in crate::envoy) enum Host {
    Ip(IpAddr),
    Name(String),
}

impl SocketAddress {
    /// The address, where a name is of no use. `what` must not be a name, `help` says what to do.
    pub(in crate::envoy) fn ip(&self, reader: &Reader<'_>, what: &str) -> Read<SocketAddr> {
        self.ip_or(|name| {
            let error = Diagnostic::error(Code::NotAnIpAddress, format!("{what} must be an IP address, not `{name}`"));
            reader.diagnostics().error(error.at(self.host.span, "names are not resolved here"))
        })
    }

    pub(in crate::envoy) fn ip_or(&self, refuse: impl FnOnce(&str) -> Reported) -> Read<SocketAddr> {
        match &self.host.value {
            Host::Ip(ip) => Ok(SocketAddr::new(*ip, self.port)),
            Host::Name(name) => Err(refuse(name)),
        }
    }
}

impl FromConfig for SocketAddress {
    const MESSAGE: &'static str = "address";
    const UNSUPPORTED: &'static [Unsupported] =
        &[("Unix domain sockets", &["pipe"]), ("internal listeners", &["envoy_internal_address"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        if reader.is_set("pipe") || reader.is_set("envoy_internal_address") {
            return reader.or("socket_address", Inner::nowhere()).map(|inner| inner.0);
        }
        reader.required::<Inner>("socket_address").map(|inner| inner.0)
    }
}

/// `SocketAddress`.
struct Inner(SocketAddress);

impl Inner {
    /// Stands in for an address of an unsupported kind, which is an error anyway.
    fn nowhere() -> Self {
        let host = Spanned { value: Host::Name(String::new()), span: Default::default() };
        Self(SocketAddress { host, port: 0 })
    }
}

impl FromConfig for Inner {
    const MESSAGE: &'static str = "socket_address";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("ports by the name of a service", &["named_port"]),
        ("a resolver of one's own", &["resolver_name"]),
        ("network namespaces", &["network_namespace_filepath"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let protocol = reader.choice("protocol", &[("TCP", Some(())), ("UDP", None)]);
        let address = reader.get("address");
        let host = match address {
            Some(value) => value.read::<Spanned<String>>(),
            None => reader.required("address"),
        };
        let port = if reader.is_set("named_port") {
            reader.or("port_value", Port(0))
        } else {
            reader.required::<Port>("port_value")
        };
        let ipv4_compat = reader.only("ipv4_compat", false);
        let (host, port) = (host?, port?.0);
        protocol?;
        ipv4_compat?;
        if let Some(empty) = address.filter(|_| host.value.is_empty()) {
            return Err(empty.invalid("an IP address or a name"));
        }
        let value = host.value.parse().map_or(Host::Name(host.value), Host::Ip);
        Ok(Self(SocketAddress { host: Spanned { value, span: host.span }, port }))
    }
}
