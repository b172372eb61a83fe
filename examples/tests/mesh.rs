//! Generated clients of tonic through a [`Mesh`] from a file: its listener's chain without a socket, and a listener in
//! front of a service; two meshes in one process, on runtimes of both kinds.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

use futures_util::{Stream, StreamExt, stream};
use meshlib::{
    base::{DrainTimes, RequestInfo},
    proxy::mesh::Mesh,
};
use meshlib_examples::{
    client::EchoClient as Caller,
    echo::EchoServer,
    proto::{EchoRequest, RepeatRequest, stream_echo_client::StreamEchoClient},
};
use tokio::sync::mpsc;
use tonic::{body::Body, client::GrpcService, codegen::StdError};

const FILE: &str = "
static_resources:
  listeners:
  - name: ingress
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.http_connection_manager
        config:
          stat_prefix: ingress
          route_config:
            virtual_hosts:
            - {name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: echo, timeout: 0s}}]}
          http_filters: [{name: envoy.router}]
  clusters:
  - name: echo
    http2_protocol_options: {}
    load_assignment:
      cluster_name: echo
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: PORT}}}
";

fn mesh(server: &EchoServer) -> Mesh {
    Mesh::from_str("envoy.yaml", &FILE.replace("PORT", &server.address().port().to_string())).unwrap()
}

fn request(content: &str) -> EchoRequest {
    EchoRequest { content: content.to_owned() }
}

/// What is sent into the channel, as it comes.
fn requests() -> (mpsc::UnboundedSender<EchoRequest>, impl Stream<Item = EchoRequest> + Send) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) }))
}

async fn all_kinds_of_stream<S>(service: S)
where
    S: GrpcService<Body>,
    S::ResponseBody: http_body::Body<Data = bytes::Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    let mut client = StreamEchoClient::new(service);
    let repeated = client.repeat(RepeatRequest { content: "again".into(), count: 1000, pause_ms: 0 }).await.unwrap();
    assert_eq!(repeated.into_inner().map(|answer| assert_eq!(answer.unwrap().content, "again")).count().await, 1000);
    let joined = client.join(stream::iter(["a", "b", "c"].map(request))).await.unwrap();
    assert_eq!(joined.into_inner().content, "abc");

    // Writes before it reads, then turn by turn.
    let (sender, sent) = requests();
    sender.send(request("first")).unwrap();
    let mut answers = client.chat(sent).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().content, "first");
    for turn in 0..100 {
        sender.send(request(&turn.to_string())).unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap().content, turn.to_string());
    }
    drop(sender);
    assert!(answers.message().await.unwrap().is_none());
}

/// One mesh reaches the server, the other serves that mesh's chain behind a socket.
async fn two_meshes() {
    let server = EchoServer::start("127.0.0.1:0".parse().unwrap(), "one").await.unwrap();
    let (inner, outer) = (mesh(&server), mesh(&server));
    let chain = inner.service().unwrap();
    all_kinds_of_stream(chain.clone()).await;

    let address = outer.serve_with("ingress", chain.clone()).unwrap();
    let client = Caller::connect(&format!("http://{address}")).await.unwrap();
    all_kinds_of_stream(client.channel()).await;
    assert_eq!(client.echo("through both").await.unwrap().hostname(), Some("one"));

    // Each has counted what went through it.
    let requests = |mesh: &Mesh| mesh.resources().stats().counter_value("http.ingress.downstream_rq_total");
    assert_eq!((requests(&inner), requests(&outer)), (Some(7), Some(4)));
    let active = |mesh: &Mesh| mesh.resources().stats().gauge_value("http.ingress.downstream_rq_active");
    let mut unary = meshlib_examples::proto::echo_client::EchoClient::new(chain);
    let answer = unary.echo(request("direct")).await.unwrap();
    let info = answer.extensions().get::<RequestInfo>().unwrap();
    assert_eq!(info.upstream_host(), Some(server.address()));
    assert_eq!((active(&inner), active(&outer)), (Some(0), Some(0)));

    outer.drain(DrainTimes::within(std::time::Duration::ZERO));
    outer.finished().await;
    assert!(Caller::connect(&format!("http://{address}")).await.is_err());
    assert_eq!(unary.echo(request("the other goes on")).await.unwrap().into_inner().content, "the other goes on");
}

#[tokio::test]
async fn two_meshes_on_one_thread() {
    two_meshes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_meshes_on_many_threads() {
    two_meshes().await;
}
