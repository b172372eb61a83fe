//! The echo application over real sockets.
#![cfg(test)]

use std::time::Duration;

use futures_util::StreamExt;
use meshlib::base::Resources;
use meshlib::cluster::{
    Cluster,
    config::{ClusterConfig, DiscoveryConfig},
};
use meshlib::layer::error_to_response::ErrorToResponseLayer;
use meshlib_examples::client::{ClientError, EchoClient};
use meshlib_examples::echo::EchoServer;
use meshlib_examples::proto::echo_client::EchoClient as GeneratedClient;
use meshlib_examples::proto::stream_echo_client::StreamEchoClient;
use meshlib_examples::proto::{EchoRequest, RepeatRequest};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};
use tower::ServiceBuilder;

async fn server_and_client() -> (EchoServer, EchoClient) {
    let server = EchoServer::start("127.0.0.1:0".parse().unwrap(), "pod-1").await.unwrap();
    let client = EchoClient::connect(&format!("http://{}", server.address())).await.unwrap();
    (server, client)
}

async fn health(client: &EchoClient, service: &str) -> Result<i32, Code> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let response = HealthClient::new(client.channel()).check(request).await;
    response.map(|response| response.into_inner().status).map_err(|status| status.code())
}

#[tokio::test]
async fn health_follows_set_serving_while_calls_are_answered() {
    let (server, client) = server_and_client().await;
    for service in ["", "api.Echo", "api.StreamEcho"] {
        assert_eq!(health(&client, service).await, Ok(ServingStatus::Serving.into()));
    }
    assert_eq!(health(&client, "api.Unknown").await, Err(Code::NotFound));
    server.set_serving(false).await;
    for service in ["", "api.Echo", "api.StreamEcho"] {
        assert_eq!(health(&client, service).await, Ok(ServingStatus::NotServing.into()));
    }
    assert_eq!(client.echo("still here").await.unwrap().content, "still here");
    // Health checks are no calls, and all went over one connection.
    assert_eq!((server.calls(), server.connections()), (1, 1));
}

#[tokio::test]
async fn the_streaming_calls_echo_too() {
    let (server, client) = server_and_client().await;
    let mut streams = StreamEchoClient::new(client.channel());

    let request = RepeatRequest { content: "again".into(), count: 3, pause_ms: 1 };
    let answers = streams.repeat(request).await.unwrap();
    assert_eq!(answers.metadata().get("hostname").unwrap(), "pod-1");
    let answers: Vec<_> = answers.into_inner().map(|answer| answer.unwrap().content).collect().await;
    assert_eq!(answers, ["again"; 3]);

    let requests =
        || futures_util::stream::iter(["a", "b", "c"].map(|content| EchoRequest { content: content.into() }));
    assert_eq!(streams.join(requests()).await.unwrap().into_inner().content, "abc");
    let answers = streams.chat(requests()).await.unwrap().into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap().content).collect().await;
    assert_eq!(answers, ["a", "b", "c"]);

    let too_many = RepeatRequest { content: String::new(), count: u32::MAX, pause_ms: 0 };
    assert_eq!(streams.repeat(too_many).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(server.calls(), 4);
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let (_server, client) = server_and_client().await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(client.channel());
    let answers = reflection.server_reflection_info(futures_util::stream::iter([request])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list.service.into_iter().map(|ServiceResponse { name }| name).collect();
    for name in ["api.Echo", "api.StreamEcho", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|listed| listed == name), "{name} is not in {names:?}");
    }
}

const FOREVER: Duration = Duration::from_secs(3600);

/// A call that has arrived and is not answered yet.
async fn call_in_flight(
    server: &EchoServer,
    client: &EchoClient,
    delay: Duration,
) -> tokio::task::JoinHandle<Result<String, ClientError>> {
    server.set_delay(delay);
    let client = client.clone();
    let call = tokio::spawn(async move { client.echo("slow").await.map(|reply| reply.content) });
    while server.calls() == 0 {
        tokio::task::yield_now().await;
    }
    call
}

#[tokio::test]
async fn stopping_lets_calls_in_flight_finish() {
    let (server, client) = server_and_client().await;
    let address = server.address();
    let call = call_in_flight(&server, &client, Duration::from_millis(200)).await;
    assert!(server.stop(Duration::from_secs(30)).await);
    assert_eq!(call.await.unwrap().unwrap(), "slow");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn stopping_is_bounded() {
    let (server, client) = server_and_client().await;
    let call = call_in_flight(&server, &client, FOREVER).await;
    assert!(!server.stop(Duration::ZERO).await);
    assert!(matches!(call.await.unwrap(), Err(ClientError::Status(_))));
}

#[tokio::test]
async fn killing_cuts_connections_and_closes_the_port() {
    let (server, client) = server_and_client().await;
    let address = server.address();
    let call = call_in_flight(&server, &client, FOREVER).await;
    server.kill().await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(&error, ClientError::Status(_)), "{error}");
    assert!(TcpStream::connect(address).await.is_err());
    // The same place can be taken at once, as by a restarted pod.
    let again = EchoServer::start(address, "pod-1-again").await.unwrap();
    let client = EchoClient::connect(&format!("http://{}", again.address())).await.unwrap();
    assert_eq!(client.echo("").await.unwrap().hostname(), Some("pod-1-again"));
}

#[tokio::test]
async fn a_name_that_no_header_can_carry_is_refused() {
    let error = EchoServer::start("127.0.0.1:0".parse().unwrap(), "pod\n1").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_cluster_takes_the_place_of_a_channel() {
    let any = "127.0.0.1:0".parse().unwrap();
    let servers = [EchoServer::start(any, "one").await.unwrap(), EchoServer::start(any, "two").await.unwrap()];
    let resources = Resources::default();
    let hosts = DiscoveryConfig::fixed(servers.each_ref().map(EchoServer::address));
    let cluster = Cluster::start(ClusterConfig::new("echo", hosts).http2(), &resources).unwrap();
    let channel = ServiceBuilder::new().layer(ErrorToResponseLayer::new()).service(cluster.service());

    let mut client = GeneratedClient::with_origin(channel.clone(), "http://echo".parse().unwrap());
    for _ in 0..4 {
        let answer = client.echo(EchoRequest { content: "hello".into() }).await.unwrap();
        assert_eq!(answer.into_inner().content, "hello");
    }
    assert_eq!(servers.each_ref().map(EchoServer::calls), [2, 2]);

    let mut streams = StreamEchoClient::with_origin(channel, "http://echo".parse().unwrap());
    let requests = futures_util::stream::iter(["a", "b"].map(|content| EchoRequest { content: content.into() }));
    let answers = streams.chat(requests).await.unwrap().into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap().content).collect().await;
    assert_eq!(answers, ["a", "b"]);

    for server in servers {
        server.kill().await;
    }
    let status = client.echo(EchoRequest { content: "nobody".into() }).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}
