//! Endpoints: `load_assignment`, and `hosts` as before 2018.

use std::num::NonZeroU32;

use super::SocketAddress;
use crate::envoy::{
    diagnostic::Spanned,
    reader::{FromConfig, Harmless, NonEmpty, Read, Reader, Unsupported},
};

/// One endpoint.
pub(in crate::envoy) struct Endpoint {
    pub(in crate::envoy) address: SocketAddress,
    pub(in crate::envoy) weight: u32,
}

/// `ClusterLoadAssignment`.
pub(super) struct LoadAssignment {
    pub(super) cluster_name: Spanned<NonEmpty>,
    pub(super) endpoints: Vec<Endpoint>,
}

impl FromConfig for LoadAssignment {
    const MESSAGE: &'static str = "load_assignment";
    const HARMLESS: &'static [Harmless] = &[("named_endpoints", "only a management server's answer refers to it")];
    const UNSUPPORTED: &'static [Unsupported] = &[("dropping and overprovisioning", &["policy"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let cluster_name = reader.required("cluster_name");
        let localities = reader.list::<Locality>("endpoints");
        let endpoints = localities?.into_iter().flat_map(|locality| locality.0).collect();
        Ok(Self { cluster_name: cluster_name?, endpoints })
    }
}

/// `LocalityLbEndpoints`.
pub(super) struct Locality(Vec<Endpoint>);

impl FromConfig for Locality {
    const MESSAGE: &'static str = "endpoints";
    const HARMLESS: &'static [Harmless] = &[
        ("locality", "only balancing by zones uses it, which is unsupported on its own"),
        ("load_balancing_weight", "only balancing by localities uses it, which is unsupported on its own"),
        ("proximity", "only balancing by localities uses it, which is unsupported on its own"),
        ("metadata", "no filter of this version reads it"),
    ];
    const UNSUPPORTED: &'static [Unsupported] =
        &[("endpoints from elsewhere", &["load_balancer_endpoints", "leds_cluster_locality_config"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let endpoints = reader.list::<LbEndpoint>("lb_endpoints");
        let priority = reader.only("priority", 0_u32);
        let endpoints = endpoints?.into_iter().map(|endpoint| endpoint.0).collect();
        priority.map(|()| Self(endpoints))
    }
}

/// `LbEndpoint`.
pub(super) struct LbEndpoint(Endpoint);

impl FromConfig for LbEndpoint {
    const MESSAGE: &'static str = "lb_endpoint";
    const HARMLESS: &'static [Harmless] = &[("metadata", "no filter of this version reads it")];
    const UNSUPPORTED: &'static [Unsupported] = &[("endpoints by name", &["endpoint_name"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let endpoint = reader.required::<EndpointMessage>("endpoint");
        let weight = reader.optional::<NonZeroU32>("load_balancing_weight");
        let health = reader.choice(
            "health_status",
            &[
                ("UNKNOWN", Some(())),
                ("HEALTHY", Some(())),
                ("UNHEALTHY", None),
                ("DRAINING", None),
                ("TIMEOUT", None),
                ("DEGRADED", None),
            ],
        );
        let (address, weight) = (endpoint?.0, weight?.map_or(1, NonZeroU32::get));
        health.map(|_| Self(Endpoint { address, weight }))
    }
}

/// `Endpoint`.
pub(super) struct EndpointMessage(SocketAddress);

impl FromConfig for EndpointMessage {
    const MESSAGE: &'static str = "endpoint";
    const HARMLESS: &'static [Harmless] = &[
        ("hostname", "only changes of the host use it, which are unsupported on their own"),
        ("observability_name", "only stats of Envoy show it"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("health checks of another address", &["health_check_config"]),
        ("several addresses", &["additional_addresses"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        reader.required("address").map(Self)
    }
}
