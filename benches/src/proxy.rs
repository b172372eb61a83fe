//! A whole proxy in memory: client, listener, filters, router, cluster, three hosts, over pipes instead of sockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use meshlib::{
    base::resources::Network,
    cluster::config::{ClusterConfig, DiscoveryConfig, HealthCheckConfig, StaticEndpoint, UpstreamProtocol},
    http::{header_match::HeaderMatch, options::Http2Options},
    proxy::{
        config::{
            AccessLogConfig, FilterChainConfig, HealthCheckFilterConfig, HttpConnectionManagerConfig, HttpFilterConfig,
            ListenerConfig, MeshConfig,
        },
        server::Server,
    },
    route::config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig, VirtualHostConfig},
    testkit::{MemoryNetwork, Testkit},
};

use crate::{echo, sink::Discard};

/// The proxy and a client's connection to it.
pub struct Proxy {
    client: SendRequest<Bytes>,
    _server: Server,
}

impl Proxy {
    /// Starts the reference chain in front of three echoing hosts, on the ambient runtime, and connects to it.
    pub async fn start() -> Self {
        let kit = Testkit::seeded(1);
        let hosts = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"].map(|host| host.parse().expect("an address"));
        for host in hosts {
            listen(&kit.network, host);
        }
        let resources = kit.resources.clone().with_log_sinks(Arc::new(Discard));
        let server = Server::start(config(&hosts), resources).await.expect("the proxy starts");
        let address = server.local_addrs().next().expect("a listener");
        let io = kit.network.connect(address).await.expect("the proxy takes connections");
        let (client, connection) = h2::client::handshake(io).await.expect("HTTP/2");
        tokio::spawn(connection);
        Self { client, _server: server }
    }

    /// One unary call; answers how many bytes came back.
    pub async fn call(&self, message: Bytes) -> usize {
        let request = Request::post("http://echo.example/api.Echo/Echo")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(());
        let mut client = self.client.clone().ready().await.expect("a connection");
        let (response, mut stream) = client.send_request(request.expect("a request"), false).expect("a stream");
        stream.send_data(message, true).expect("an open stream");
        let mut body = response.await.expect("a response").into_body();
        let mut length = 0;
        while let Some(data) = body.data().await {
            let data = data.expect("data");
            length += data.len();
            body.flow_control().release_capacity(data.len()).expect("what was received");
        }
        assert!(body.trailers().await.expect("an end").is_some());
        length
    }
}

fn listen(network: &MemoryNetwork, at: SocketAddr) {
    let mut acceptor = network.bind(at).expect("a free address");
    tokio::spawn(async move {
        while let Ok(accepted) = std::future::poll_fn(|cx| acceptor.poll_accept(cx)).await {
            let io = accepted.socket.adopt().expect("a pipe");
            // A connection's error is its client's affair.
            tokio::spawn(async move { echo::serve(io).await.ok() });
        }
    });
}

fn config(hosts: &[SocketAddr]) -> MeshConfig {
    let route = RouteConfig::new(RouteMatch::prefix("/api.Echo/"), RouteAction::cluster("echo"));
    let host = VirtualHostConfig::new("all", vec!["*".to_owned()], vec![route]);
    let mut http = HttpConnectionManagerConfig::new("ingress", RouteTableConfig::new("local", vec![host]));
    http.access_logs = vec![AccessLogConfig::file("/log").into()];
    let probe = HeaderMatch::exact(":path".parse().expect("a name"), "/healthz");
    http.http_filters = vec![HttpFilterConfig::HealthCheck(HealthCheckFilterConfig::new(vec![probe]))];
    let endpoints = hosts.iter().map(|host| StaticEndpoint::new(*host)).collect();
    let mut cluster = ClusterConfig::new("echo", DiscoveryConfig::Static(endpoints));
    cluster.protocol = UpstreamProtocol::Http2(Http2Options::upstream());
    cluster.health_checks = vec![
        HealthCheckConfig::grpc(Duration::from_secs(1), Duration::from_secs(10), 2, 2)
            .no_traffic_interval(Duration::from_secs(60)),
    ];
    let address = "10.0.0.9:443".parse().expect("an address");
    let mut config = MeshConfig::default();
    config.listeners = vec![ListenerConfig::new(address, FilterChainConfig::plain(http))];
    config.clusters = vec![cluster];
    config
}
