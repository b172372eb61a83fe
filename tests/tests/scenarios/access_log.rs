//! Envoy's default access log line, field by field, at both hops.

use std::net::{IpAddr, Ipv4Addr};

use meshlib_examples::{
    demo::Loopback,
    mesh::{Options, Pod},
};

use crate::support::{
    answered_by,
    app::App,
    file::File,
    h2::Client,
    log::Log,
    mesh,
    proxy::{Chain, Proxy},
};

const ECHO: &[u8] = b"\0\0\0\0\x06\x0a\x04echo";

#[tokio::test]
async fn a_call_leaves_a_line_at_each_hop() {
    let app = App::echo().await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let request = client.grpc("/api.Echo/Echo").header("user-agent", "grpcurl/v1.8.6 grpc-go/1.44.1-dev");
    let answer = client.call(request, ECHO).await.expect("an answer");
    let (edge, sidecar) = chain.log_lines().await;
    for line in [&edge, &sidecar] {
        assert_eq!(line.outcome(), "POST /api.Echo/Echo HTTP/2 200 - 11 11");
        assert_eq!(line.forwarded_for(), "-");
        assert_eq!(line.user_agent(), "grpcurl/v1.8.6 grpc-go/1.44.1-dev");
        assert_eq!(line.authority(), chain.edge.address().to_string());
        let service_time: u64 = line.service_time().parse().expect("milliseconds");
        assert!(service_time <= line.duration(), "{line:?}");
        let time = line.start_time();
        assert!(
            time.len() == "2026-11-22T12:37:01.614Z".len() && &time[10..11] == "T" && time.ends_with('Z'),
            "{time}"
        );
    }
    assert_eq!(edge.service_time(), answer.header("x-envoy-upstream-service-time"));
    assert_eq!(edge.request_id(), sidecar.request_id());
    assert_eq!(edge.upstream(), chain.sidecar.address().to_string());
    assert_eq!(sidecar.upstream(), app.address().to_string());
}

/// The flag belongs to the hop that made the reply.
#[tokio::test]
async fn a_dead_application_is_the_sidecars_failure() {
    let nobody = Loopback::reserve(&[IpAddr::V4(Ipv4Addr::LOCALHOST)]).expect("a port");
    let chain = Chain::start(nobody.addresses().next().expect("an address"), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    assert_eq!(client.call(client.request("GET", "/a"), b"").await.expect("an answer").status, 503);
    let (edge, sidecar) = chain.log_lines().await;
    assert_eq!(sidecar.outcome(), "GET /a HTTP/2 503 UF 0 98");
    assert_eq!(edge.outcome(), "GET /a HTTP/2 503 - 0 98");
}

/// Through all of the reference's parts; the health checks of the edge are lines of the sidecar.
#[tokio::test]
async fn the_deployments_sidecars_log_checks_and_calls() {
    let (deployment, client) = mesh(Options { pods: 1, ..Options::default() }).await;
    answered_by(&client).await;
    let directory = deployment.access_log().parent().expect("a directory").to_owned();
    let edge = Log::new(deployment.access_log()).line().await;
    assert_eq!(edge.outcome(), "POST /api.Echo/Echo HTTP/2 200 - 12 12");
    let name = deployment.pods().first().map(Pod::name).expect("a pod");
    let sidecar = Log::new(directory.join(format!("{name}.log")));
    let call = sidecar.find(|line| line.request_id() == edge.request_id()).await;
    assert_eq!(call.outcome(), edge.outcome());
    let check = sidecar.find(|line| line.user_agent() == "Envoy/HC").await;
    assert!(check.outcome().starts_with("POST /grpc.health.v1.Health/Check HTTP/2 200 - 5 7"), "{check:?}");
    assert_eq!(check.authority(), "echo-grpc", "the cluster's name");
}

#[tokio::test]
async fn control_characters_do_not_reach_the_log() {
    let proxy = Proxy::start(File::to([])).await;
    let client = Client::connect(proxy.address()).await;
    client.call(client.request("GET", "/").header("user-agent", "a\tb"), b"").await.expect("an answer");
    let line = proxy.log().line().await;
    assert_eq!((line.outcome().as_str(), line.user_agent()), ("GET / HTTP/2 503 UH 0 19", "a\\tb"));
}
