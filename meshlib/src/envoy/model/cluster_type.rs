//! How a cluster finds its hosts: `type`, `cluster_type`, and the options of DNS.

use std::time::Duration;

use super::{extension, health_check::positive, own_extension};
use crate::{
    cluster::config::{CustomDiscovery, DnsLookupFamily, StrictDnsConfig},
    envoy::{
        diagnostic::Code,
        names::{Category, Kind},
        reader::{FromConfig, Read, Reader, Unsupported, Value},
    },
};

/// How a cluster finds its hosts.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::envoy) enum ClusterType {
    Static,
    StrictDns(DnsOptions),
    Custom(CustomDiscovery),
}

/// When and what DNS is asked; of [`StrictDnsConfig`] what is not its names.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::envoy) struct DnsOptions {
    refresh_rate: Option<Duration>,
    failure_refresh: Option<(Duration, Duration)>,
    respect_ttl: bool,
    lookup_family: DnsLookupFamily,
}

impl DnsOptions {
    pub(in crate::envoy) fn apply(self, config: &mut StrictDnsConfig) {
        config.refresh_rate = self.refresh_rate.unwrap_or(config.refresh_rate);
        config.failure_refresh = self.failure_refresh;
        config.respect_ttl = self.respect_ttl;
        config.lookup_family = self.lookup_family;
    }

    /// The fields that a cluster and a `DnsCluster` share.
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let refresh = refresh_rate(reader);
        let failure = reader.optional::<RefreshRate>("dns_failure_refresh_rate");
        let respect = reader.or("respect_dns_ttl", false);
        let family = reader.choice(
            "dns_lookup_family",
            &[
                ("AUTO", Some(DnsLookupFamily::Auto)),
                ("V4_ONLY", Some(DnsLookupFamily::V4Only)),
                ("V6_ONLY", Some(DnsLookupFamily::V6Only)),
                ("V4_PREFERRED", Some(DnsLookupFamily::V4Preferred)),
                ("ALL", Some(DnsLookupFamily::All)),
            ],
        );
        Ok(Self {
            refresh_rate: refresh?,
            failure_refresh: failure?.map(|rate| (rate.base, rate.max)),
            respect_ttl: respect?,
            lookup_family: family?.unwrap_or_default(),
        })
    }
}

fn refresh_rate(reader: &mut Reader<'_>) -> Read<Option<Duration>> {
    let Some(value) = reader.get("dns_refresh_rate") else { return Ok(None) };
    let rate = value.read::<Duration>()?;
    if rate > Duration::from_millis(1) { Ok(Some(rate)) } else { Err(value.invalid("longer than 0.001s")) }
}

/// `RefreshRate`.
struct RefreshRate {
    base: Duration,
    max: Duration,
}

impl FromConfig for RefreshRate {
    const MESSAGE: &'static str = "dns_failure_refresh_rate";

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let base = positive(reader, "base_interval");
        let max = reader.get("max_interval");
        let longest = max.map(Value::read::<Duration>).transpose();
        let Some(base) = base? else {
            return reader.required::<Duration>("base_interval").map(|base| Self { base, max: base });
        };
        let longest = longest?.unwrap_or(base.saturating_mul(10));
        match max.filter(|_| longest < base) {
            Some(max) => Err(max.invalid("no shorter than `base_interval`")),
            None => Ok(Self { base, max: longest }),
        }
    }
}

/// `type` or `cluster_type`; `STATIC` when neither is there.
pub(super) fn read(reader: &mut Reader<'_>) -> Read<ClusterType> {
    let options = DnsOptions::read(reader);
    let dns = *options.as_ref().unwrap_or(&DnsOptions::default());
    let types = [
        ("STATIC", Some(ClusterType::Static)),
        ("STRICT_DNS", Some(ClusterType::StrictDns(dns))),
        ("LOGICAL_DNS", None),
        ("EDS", None),
        ("ORIGINAL_DST", None),
    ];
    let named = reader.choice("type", &types);
    let custom = reader.get("cluster_type").map(|value| custom(value, dns)).transpose();
    reader.at_most_one_of(&["type", "cluster_type"])?;
    options?;
    Ok(named?.or(custom?).unwrap_or(ClusterType::Static))
}

fn custom(value: Value<'_>, dns: DnsOptions) -> Read<ClusterType> {
    value.message("cluster_type", |reader| {
        if let Some(own) = own_extension::read(reader, &reader.diagnostics().extensions().discoveries) {
            return own.map(ClusterType::Custom);
        }
        let found = extension::read(reader, Category::Cluster)?;
        match found.kind {
            Kind::StaticCluster => Ok(ClusterType::Static),
            Kind::StrictDnsCluster => Ok(ClusterType::StrictDns(dns)),
            _ => found.config.read::<DnsCluster>().map(|cluster| ClusterType::StrictDns(cluster.0)),
        }
    })
}

/// `DnsCluster`.
struct DnsCluster(DnsOptions);

impl FromConfig for DnsCluster {
    const MESSAGE: &'static str = "dns_cluster";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("jitter", &["dns_jitter"]),
        ("a resolver of one's own", &["typed_dns_resolver_config"]),
        ("a least interval", &["dns_min_refresh_rate"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let options = DnsOptions::read(reader);
        if let Some(value) = reader.get("all_addresses_in_single_endpoint").filter(|value| value.read() != Ok(false)) {
            let message = "logical DNS is not supported by this version";
            return Err(value.error(Code::Unsupported, message, "each address is a host of its own"));
        }
        options.map(Self)
    }
}
