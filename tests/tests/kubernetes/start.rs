//! The two Envoy files as they run: a call through the edge and a sidecar to the application.

use std::{net::SocketAddr, path::Path, sync::Arc};

use meshlib::{
    base::Resources,
    cluster::config::{DiscoveryConfig, DnsEndpoint, StaticEndpoint},
    discovery::SystemResolver,
    proxy::{
        config::{AccessLogConfig, CertificateConfig, MeshConfig},
        server::Server,
    },
};
use meshlib_examples::{certificate::SelfSigned, client::EchoClient, dns::DnsServer, echo::EchoServer};

use crate::envoy::EnvoyFile;

/// What the file configures, on free ports, with its access log in a file of `logs`.
fn on_free_ports(file: &str, logs: &Path) -> MeshConfig {
    let mut config = EnvoyFile::read(file).config;
    let listener = &mut config.listeners[0];
    listener.address.set_port(0);
    listener.filter_chains[0].http.access_logs = vec![AccessLogConfig::file(logs.join(file)).into()];
    config.admin.as_mut().unwrap().address.set_port(0);
    config
}

fn port(server: &Server) -> u16 {
    server.local_addrs().next().unwrap().port()
}

/// Whether every host of the one cluster passes its checks.
fn is_healthy(server: &Server) -> bool {
    let hosts = server.cluster("echo-grpc").unwrap().hosts().load_full();
    hosts.hosts().len() == 1 && hosts.healthy() == 1 && !hosts.is_panic()
}

#[tokio::test]
async fn the_files_serve_a_call() {
    let logs = tempfile::tempdir().unwrap();
    let application = EchoServer::start("127.0.0.1:0".parse().unwrap(), "pod-1").await.unwrap();
    let mut config = on_free_ports("sidecar.envoy.yaml", logs.path());
    config.clusters[0].discovery = DiscoveryConfig::Static(vec![StaticEndpoint::new(application.address())]);
    let sidecar = Server::start(config, Resources::default()).await.unwrap();

    let (dns, certificate) = (DnsServer::start().await.unwrap(), SelfSigned::new("localhost").unwrap());
    let mut config = on_free_ports("edge.envoy.yaml", logs.path());
    let tls = config.listeners[0].filter_chains[0].tls.as_mut().unwrap();
    tls.certificates = vec![CertificateConfig::files(certificate.chain_path(), certificate.key_path())];
    let DiscoveryConfig::StrictDns(discovery) = &mut config.clusters[0].discovery else { panic!("not by DNS") };
    let [DnsEndpoint { host, port: upstream, .. }] = &mut *discovery.endpoints else { panic!("{discovery:?}") };
    dns.set(host, ["127.0.0.1".parse().unwrap()]);
    *upstream = port(&sidecar);
    let resolver = SystemResolver::with_server(dns.address());
    let edge = Server::start(config, Resources::default().with_resolver(Arc::new(resolver))).await.unwrap();

    // Both have warmed up: their first checks are over.
    assert!(is_healthy(&sidecar) && is_healthy(&edge));
    let address = SocketAddr::from(([127, 0, 0, 1], port(&edge)));
    let client = EchoClient::connect(&format!("https://{address}")).await.unwrap();
    let reply = client.echo("hello").await.unwrap();
    assert_eq!((reply.content.as_str(), reply.hostname()), ("hello", Some("pod-1")));
}
