//! The Envoy files inside the deployment.

use std::time::Duration;

use meshlib::{
    cluster::config::{DiscoveryConfig, DnsEndpoint, StaticEndpoint},
    http::header_match::HeaderMatch,
    proxy::config::{CertificateConfig, HttpFilterConfig, MeshConfig},
    route::config::PathMatch,
};
use serde_json::Value;

use crate::files;

/// One Envoy file, with what the rest of the deployment must agree with.
#[derive(Debug)]
pub(crate) struct EnvoyFile {
    pub(crate) name: String,
    root: Value,
    /// The same, as meshlib reads it.
    pub(crate) config: MeshConfig,
}

impl EnvoyFile {
    pub(crate) fn read(name: &str) -> Self {
        let text = files::read(name);
        let (root, config) = parse_and_validate_envoy_file(name, &text);
        Self { name: name.to_owned(), root, config }
    }

    /// The one value at this JSON pointer.
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.root.pointer(pointer).unwrap_or_else(|| panic!("{}: nothing at {pointer}", self.name))
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer).as_array().unwrap()
    }

    /// The one listener's port.
    pub(crate) fn port(&self) -> i32 {
        assert_eq!(self.list("/static_resources/listeners").len(), 1);
        number(self.at("/static_resources/listeners/0/address/socket_address/port_value"))
    }

    pub(crate) fn listens_to_everybody(&self) -> bool {
        self.at("/static_resources/listeners/0/address/socket_address/address") == "0.0.0.0"
    }

    /// The files of the certificate and of its key, where the listener terminates TLS.
    pub(crate) fn certificate(&self) -> Option<[&str; 2]> {
        let socket = self.root.pointer("/static_resources/listeners/0/filter_chains/0/transport_socket")?;
        let certificate = &socket["typed_config"]["common_tls_context"]["tls_certificates"][0];
        let file = |field: &str| certificate[field]["filename"].as_str().unwrap();
        Some([file("certificate_chain"), file("private_key")])
    }

    fn manager(&self, pointer: &str) -> &[Value] {
        self.list(&format!("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config{pointer}"))
    }

    /// The prefixes that are routed, with their clusters, in order.
    pub(crate) fn routes(&self) -> Vec<(&str, &str)> {
        let routes = self.manager("/route_config/virtual_hosts/0/routes").iter();
        routes
            .map(|route| (route["match"]["prefix"].as_str().unwrap(), route["route"]["cluster"].as_str().unwrap()))
            .collect()
    }

    /// What the health-check filter waits for: header names and values.
    pub(crate) fn health_headers(&self) -> Vec<(&str, &str)> {
        let filter = &self.manager("/http_filters")[0]["typed_config"];
        assert_eq!(filter["pass_through_mode"], false);
        let headers = filter["headers"].as_array().unwrap().iter();
        headers
            .map(|header| (header["name"].as_str().unwrap(), header["string_match"]["exact"].as_str().unwrap()))
            .collect()
    }

    /// The one cluster's only endpoint.
    pub(crate) fn endpoint(&self) -> (&str, i32) {
        assert_eq!(self.list("/static_resources/clusters").len(), 1);
        let endpoints = "/static_resources/clusters/0/load_assignment/endpoints";
        assert_eq!(self.list(&format!("{endpoints}/0/lb_endpoints")).len(), 1);
        let socket = self.at(&format!("{endpoints}/0/lb_endpoints/0/endpoint/address/socket_address"));
        (socket["address"].as_str().unwrap(), number(&socket["port_value"]))
    }

    /// A duration in the one health check of the one cluster, in seconds.
    pub(crate) fn check_seconds(&self, field: &str) -> f64 {
        let text = self.at(&format!("/static_resources/clusters/0/health_checks/0/{field}")).as_str().unwrap();
        text.strip_suffix('s').unwrap().parse().unwrap()
    }
}

fn number(value: &Value) -> i32 {
    value.as_i64().unwrap().try_into().unwrap()
}

/// Every Envoy file of the deployment comes through here: it must be YAML, and meshlib must have nothing to say to it.
fn parse_and_validate_envoy_file(name: &str, text: &str) -> (Value, MeshConfig) {
    let root = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let loaded = meshlib::envoy::load(name, text).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    (root, loaded.config)
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// The other tests look at the file as it is written; this one makes sure that it is read so.
#[test]
fn what_is_written_is_what_is_loaded() {
    for file in [EnvoyFile::read("edge.envoy.yaml"), EnvoyFile::read("sidecar.envoy.yaml")] {
        let ([listener], [cluster]) = (&*file.config.listeners, &*file.config.clusters) else { panic!("{file:?}") };
        assert_eq!(i32::from(listener.address.port()), file.port());
        assert_eq!(listener.address.ip().is_unspecified(), file.listens_to_everybody());
        let [chain] = &*listener.filter_chains else { panic!("{listener:?}") };
        let certificates = chain.tls.as_ref().map(|tls| tls.certificates.clone());
        let written = file.certificate().map(|[chain, key]| vec![CertificateConfig::files(chain, key)]);
        assert_eq!(certificates, written, "{}", file.name);

        let [host] = &*chain.http.routes.virtual_hosts else { panic!("{chain:?}") };
        let routes: Vec<_> = host.routes.iter().map(|route| (&route.matches.path, &*route.action.cluster)).collect();
        let prefixes = file.routes().into_iter().map(|(prefix, to)| (PathMatch::Prefix(prefix.to_owned()), to));
        assert_eq!(routes, prefixes.collect::<Vec<_>>().iter().map(|(path, to)| (path, *to)).collect::<Vec<_>>());
        let [HttpFilterConfig::HealthCheck(filter)] = &*chain.http.http_filters else { panic!("{chain:?}") };
        let headers = file.health_headers().into_iter();
        let headers = headers.map(|(name, value)| HeaderMatch::exact(name.parse().unwrap(), value));
        assert_eq!(filter.headers, headers.collect::<Vec<_>>());

        let (address, port) = (file.endpoint().0, file.endpoint().1.try_into().unwrap());
        match &cluster.discovery {
            DiscoveryConfig::Static(fixed) => {
                assert_eq!(fixed, &[StaticEndpoint::new(format!("{address}:{port}").parse().unwrap())]);
            }
            DiscoveryConfig::StrictDns(dns) => assert_eq!(dns.endpoints, [DnsEndpoint::new(address, port)]),
            other => panic!("{other:?}"),
        }
        let [check] = &*cluster.health_checks else { panic!("{cluster:?}") };
        assert_eq!(seconds(check.interval), file.check_seconds("interval"));
        assert_eq!(seconds(check.no_traffic_interval), file.check_seconds("no_traffic_interval"));
        assert_eq!(seconds(check.timeout), file.check_seconds("timeout"));
    }
}

#[test]
#[should_panic(expected = "`helth_checks`")]
fn a_field_that_meshlib_does_not_know_is_found() {
    let text = files::read("edge.envoy.yaml").replace("health_checks:", "helth_checks:");
    parse_and_validate_envoy_file("edge.envoy.yaml", &text);
}

#[test]
fn the_sidecar_routes_what_the_edge_sends_and_its_health_checks() {
    let [edge, sidecar] = [EnvoyFile::read("edge.envoy.yaml"), EnvoyFile::read("sidecar.envoy.yaml")];
    let routed = |path: &str| sidecar.routes().iter().any(|(prefix, _)| path.starts_with(prefix));
    assert!(routed("/grpc.health.v1.Health/Check"));
    for (prefix, _) in edge.routes() {
        assert!(routed(prefix), "{prefix}");
    }
}

#[test]
fn routes_and_load_assignments_name_the_cluster() {
    for file in [EnvoyFile::read("edge.envoy.yaml"), EnvoyFile::read("sidecar.envoy.yaml")] {
        let cluster = file.at("/static_resources/clusters/0/name");
        assert!(file.routes().iter().all(|(_, routed)| cluster == routed), "{}", file.name);
        assert_eq!(cluster, file.at("/static_resources/clusters/0/load_assignment/cluster_name"));
    }
}
