//! The reference deployment: what its files configure, in either spelling.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::*;
use crate::{
    cluster::config::*,
    http::{header_match::*, options::*},
    proxy::config::*,
    route::config::*,
};

fn listener(address: &str, tls: Option<DownstreamTlsConfig>) -> ListenerConfig {
    let route = RouteConfig::new(RouteMatch::prefix("/api.Echo/"), RouteAction::cluster("echo-grpc"));
    let host = VirtualHostConfig::new("https", vec!["*".to_owned()], vec![route]);
    let routes = RouteTableConfig::new("local_route", vec![host]);
    let mut http = HttpConnectionManagerConfig::new("ingress_https", routes);
    http.access_logs = vec![AccessLogConfig::file("/dev/stdout").into()];
    http.http_filters = vec![HttpFilterConfig::HealthCheck(HealthCheckFilterConfig::new(vec![
        HeaderMatch::exact(HeaderMatchName::Path, "/healthz"),
        HeaderMatch::exact("x-envoy-livenessprobe".parse().unwrap(), "healthz"),
    ]))];
    let chain = match tls {
        Some(tls) => FilterChainConfig::tls(tls, http),
        None => FilterChainConfig::plain(http),
    };
    ListenerConfig::new(address.parse().unwrap(), chain)
}

fn cluster(discovery: DiscoveryConfig) -> ClusterConfig {
    let mut cluster = ClusterConfig::new("echo-grpc", discovery).connect_failover(false);
    cluster.connect_timeout = Duration::from_millis(500);
    cluster.protocol = UpstreamProtocol::Http2(Http2Options::upstream());
    cluster.health_checks = vec![
        HealthCheckConfig::grpc(Duration::from_secs(1), Duration::from_secs(10), 2, 2)
            .no_traffic_interval(Duration::from_secs(60)),
    ];
    cluster
}

fn mesh(listener: ListenerConfig, cluster: ClusterConfig) -> MeshConfig {
    let mut admin = AdminConfig::new("127.0.0.1:8090".parse().unwrap());
    admin.access_logs = vec![AccessLogConfig::file("/dev/stdout").into()];
    MeshConfig::default().listener(listener).cluster(cluster).admin(admin)
}

fn edge() -> MeshConfig {
    let file = |name: &str| DataSource::File(PathBuf::from(name));
    let certificate = CertificateConfig {
        certificate_chain: file("/etc/ssl/envoy/tls.crt"),
        private_key: file("/etc/ssl/envoy/tls.key"),
    };
    let host = Arc::from("echo-grpc.envoy.svc.cluster.local");
    let dns = StrictDnsConfig::new(vec![DnsEndpoint { host, port: 8786, weight: 1 }]);
    mesh(
        listener("0.0.0.0:443", Some(DownstreamTlsConfig::new(vec![certificate]))),
        cluster(DiscoveryConfig::StrictDns(dns)),
    )
}

fn sidecar() -> MeshConfig {
    let endpoint = StaticEndpoint { address: "127.0.0.1:8081".parse().unwrap(), weight: 1 };
    mesh(listener("0.0.0.0:8786", None), cluster(DiscoveryConfig::Static(vec![endpoint])))
}

#[test]
fn edge_of_2019() {
    assert_eq!(loaded(EDGE_2019).config, edge());
}

#[test]
fn edge_of_today() {
    let loaded = loaded(EDGE_V3);
    assert_eq!(loaded.config, edge());
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn sidecar_of_2019() {
    assert_eq!(loaded(SIDECAR_2019).config, sidecar());
}

#[test]
fn sidecar_of_today() {
    let loaded = loaded(SIDECAR_V3);
    assert_eq!(loaded.config, sidecar());
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn outdated_spellings_are_listed_once_each() {
    insta::assert_snapshot!(loaded(EDGE_2019).warnings);
}

#[test]
fn json_is_as_good_as_yaml() {
    let text = r#"{"static_resources": {"clusters": [{"name": "c", "connectTimeout": "0.5s", "loadAssignment": {
        "clusterName": "c", "endpoints": [{"lbEndpoints": [{"endpoint": {"address": {"socketAddress":
        {"address": "127.0.0.1", "portValue": "80"}}}}]}]}}]}}"#;
    let config = loaded(text).config;
    assert_eq!(config.clusters[0].connect_timeout, Duration::from_millis(500));
    let endpoint = StaticEndpoint { address: "127.0.0.1:80".parse().unwrap(), weight: 1 };
    assert_eq!(config.clusters[0].discovery, DiscoveryConfig::Static(vec![endpoint]));
}

#[test]
fn a_file_from_the_file_system() {
    use crate::base::resources::{Files, SystemFiles};
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/envoy/testdata/edge-2019.yaml");
    assert_eq!(crate::envoy::load_file(&path, &SystemFiles).unwrap().config, edge());
    let missing = crate::envoy::load_file(&path.join("no"), &SystemFiles).unwrap_err();
    assert_eq!(missing.iter().map(|error| error.code).collect::<Vec<_>>(), [Code::File]);

    struct Latin1;
    impl Files for Latin1 {
        fn read(&self, _: &std::path::Path) -> std::io::Result<Vec<u8>> {
            Ok(b"node:\n  id: caf\xe9\n".to_vec())
        }
        fn fingerprint(&self, _: &std::path::Path) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    let errors = crate::envoy::load_file("envoy.yaml".as_ref(), &Latin1).unwrap_err();
    insta::assert_snapshot!(errors);
}
