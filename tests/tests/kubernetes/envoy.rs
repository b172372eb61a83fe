//! The Envoy files inside the deployment.

use serde_json::Value;

use crate::files;

/// One Envoy file, with what the rest of the deployment must agree with.
#[derive(Debug)]
pub(crate) struct EnvoyFile {
    pub(crate) name: String,
    root: Value,
}

impl EnvoyFile {
    pub(crate) fn read(name: &str) -> Self {
        let text = files::read(name);
        let root = parse_and_validate_envoy_file(name, &text);
        Self { name: name.to_owned(), root }
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

/// Every Envoy file of the deployment comes through here. It must be YAML; the reading by meshlib itself belongs here
/// too, in a line that lowers `text` and fails on any diagnostic.
fn parse_and_validate_envoy_file(name: &str, text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
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
