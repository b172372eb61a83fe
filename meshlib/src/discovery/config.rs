//! What a discovery is told: plain values, compared and cloned, read from a file or set by a builder.
//!
//! ```
//! use meshlib::discovery::config::{DnsEndpoint, DnsLookupFamily, StrictDnsConfig};
//!
//! let endpoint = DnsEndpoint::new("echo.default.svc.cluster.local", 8786);
//! let config = StrictDnsConfig::new(vec![endpoint]);
//! assert_eq!((config.refresh_rate.as_secs(), config.lookup_family), (5, DnsLookupFamily::Auto));
//! ```

use std::{net::SocketAddr, sync::Arc, time::Duration};

/// A fixed endpoint.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StaticEndpoint {
    /// Its address.
    pub address: SocketAddr,
    /// Its share of picks relative to the others'. Default 1 (`load_balancing_weight`).
    pub weight: u32,
}

impl StaticEndpoint {
    /// An endpoint of weight 1.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, weight: 1 }
    }
}

/// Names that are resolved over and over; each address is a host.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StrictDnsConfig {
    /// The names.
    pub endpoints: Vec<DnsEndpoint>,
    /// How often a name is resolved. Default 5 s (`dns_refresh_rate`).
    pub refresh_rate: Duration,
    /// Whether the records' own TTL is the interval (`respect_dns_ttl`); a TTL of 0 falls back to `refresh_rate`.
    pub respect_ttl: bool,
    /// The back-off after failures: base and maximum (`dns_failure_refresh_rate`); without it `refresh_rate` goes on.
    pub failure_refresh: Option<(Duration, Duration)>,
    /// Which addresses are asked for. Default [`DnsLookupFamily::Auto`].
    pub lookup_family: DnsLookupFamily,
}

impl StrictDnsConfig {
    /// These names, at Envoy's defaults.
    pub fn new(endpoints: Vec<DnsEndpoint>) -> Self {
        Self {
            endpoints,
            refresh_rate: Duration::from_secs(5),
            respect_ttl: false,
            failure_refresh: None,
            lookup_family: DnsLookupFamily::Auto,
        }
    }
}

/// A name whose addresses are endpoints.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DnsEndpoint {
    /// The name.
    pub host: Arc<str>,
    /// The port of every address.
    pub port: u16,
    /// The weight of every address. Default 1.
    pub weight: u32,
}

impl DnsEndpoint {
    /// A name whose addresses have weight 1.
    pub fn new(host: impl Into<Arc<str>>, port: u16) -> Self {
        Self { host: host.into(), port, weight: 1 }
    }
}

/// Which address families are asked for (Envoy's `DnsLookupFamily`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DnsLookupFamily {
    /// AAAA; A only if AAAA gave nothing.
    #[default]
    Auto,
    /// A only.
    V4Only,
    /// AAAA only.
    V6Only,
    /// A; AAAA only if A gave nothing.
    V4Preferred,
    /// Both.
    All,
}
