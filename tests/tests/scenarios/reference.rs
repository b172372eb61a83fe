//! The reference deployment's own files, byte for byte, where `MESHLIB_REFERENCE` names their folder.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use meshlib::{
    base::{ErrorKind, Resources},
    cluster::config::{
        ClusterConfig, DiscoveryConfig, DnsEndpoint, HealthCheckConfig, StaticEndpoint, StrictDnsConfig,
        UpstreamProtocol,
    },
    envoy,
    http::{
        header_match::{HeaderMatch, HeaderMatchName},
        options::Http2Options,
    },
    proxy::{
        config::{
            AccessLogConfig, AdminConfig, CertificateConfig, DataSource, DownstreamTlsConfig, FilterChainConfig,
            HealthCheckFilterConfig, HttpConnectionManagerConfig, HttpFilterConfig, ListenerConfig, MeshConfig,
        },
        server::Server,
    },
    route::config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig, VirtualHostConfig},
};

use crate::support::{h1, within};

/// A file of the reference, as it is; `None` where there is none.
fn reference(name: &str) -> Option<MeshConfig> {
    let Some(folder) = std::env::var_os("MESHLIB_REFERENCE") else {
        println!("skipped: MESHLIB_REFERENCE is not set");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(envoy::load(name, &text).unwrap_or_else(|errors| panic!("{errors}")).config)
}

fn http() -> HttpConnectionManagerConfig {
    let route = RouteConfig::new(RouteMatch::prefix("/api.Echo/"), RouteAction::cluster("echo-grpc"));
    let host = VirtualHostConfig::new("https", vec!["*".to_owned()], vec![route]);
    let mut http = HttpConnectionManagerConfig::new("ingress_https", RouteTableConfig::new("local_route", vec![host]));
    http.access_logs = vec![AccessLogConfig::file("/dev/stdout").into()];
    http.http_filters = vec![HttpFilterConfig::HealthCheck(HealthCheckFilterConfig::new(vec![
        HeaderMatch::exact(HeaderMatchName::Path, "/healthz"),
        HeaderMatch::exact("x-envoy-livenessprobe".parse().expect("a name"), "healthz"),
    ]))];
    http
}

fn mesh(address: &str, chain: FilterChainConfig, discovery: DiscoveryConfig) -> MeshConfig {
    let mut cluster = ClusterConfig::new("echo-grpc", discovery);
    cluster.connect_timeout = Duration::from_millis(500);
    cluster.protocol = UpstreamProtocol::Http2(Http2Options::upstream());
    cluster.health_checks = vec![
        HealthCheckConfig::grpc(Duration::from_secs(1), Duration::from_secs(10), 2, 2)
            .no_traffic_interval(Duration::from_secs(60)),
    ];
    // As in Envoy, and other than by the builder.
    cluster.connect_failover = false;
    let mut admin = AdminConfig::new(SocketAddr::from(([127, 0, 0, 1], 8090)));
    admin.access_logs = vec![AccessLogConfig::file("/dev/stdout").into()];
    let mut mesh = MeshConfig::default();
    mesh.listeners = vec![ListenerConfig::new(address.parse().expect("an address"), chain)];
    mesh.clusters = vec![cluster];
    mesh.admin = Some(admin);
    mesh
}

fn edge() -> MeshConfig {
    let file = |name: &str| DataSource::File(PathBuf::from("/etc/ssl/envoy").join(name));
    let certificate = CertificateConfig::new(file("tls.crt"), file("tls.key"));
    let chain = FilterChainConfig::tls(DownstreamTlsConfig::new(vec![certificate]), http());
    let dns = StrictDnsConfig::new(vec![DnsEndpoint::new("echo-grpc.envoy.svc.cluster.local", 8786)]);
    mesh("0.0.0.0:443", chain, DiscoveryConfig::StrictDns(dns))
}

fn sidecar() -> MeshConfig {
    let address = SocketAddr::from(([127, 0, 0, 1], 8081));
    let endpoints = vec![StaticEndpoint::new(address)];
    mesh("0.0.0.0:8786", FilterChainConfig::plain(http()), DiscoveryConfig::Static(endpoints))
}

/// Starts what the file says, where its ports and paths are to be had.
async fn start(config: MeshConfig) -> Option<Server> {
    match within("it starts or says why not", Server::start(config, Resources::default())).await {
        Ok(server) => Some(server),
        Err(error) => {
            // A port that is taken or privileged, a certificate that is not there: nothing else may be wrong.
            assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Tls), "{error:?}");
            let text = error.to_string();
            let named = ["0.0.0.0:443", "0.0.0.0:8786", "127.0.0.1:8090", "/etc/ssl/envoy/tls.crt"];
            assert!(named.iter().any(|named| text.contains(named)), "it says what is missing: {text}");
            None
        }
    }
}

#[tokio::test]
async fn the_edge() {
    let Some(config) = reference("edge.envoy.yaml") else { return };
    assert_eq!(config, edge());
    let Some(server) = start(config).await else { return };
    let port = server.local_addrs().next().expect("a listener").port();
    let mut connection = h1::Connection::open_tls(SocketAddr::from(([127, 0, 0, 1], port)), &[]).await;
    connection.write(PROBE).await;
    assert_eq!(connection.next().await.expect("a reply").first(), "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn the_sidecar() {
    let Some(config) = reference("sidecar.envoy.yaml") else { return };
    assert_eq!(config, sidecar());
    let Some(server) = start(config).await else { return };
    let port = server.local_addrs().next().expect("a listener").port();
    let reply = h1::call(SocketAddr::from(([127, 0, 0, 1], port)), PROBE).await;
    assert_eq!(reply.first(), "HTTP/1.1 200 OK");
}

const PROBE: &str = "GET /healthz HTTP/1.1\r\nhost: edge\r\nx-envoy-livenessprobe: healthz\r\n\r\n";
