//! Applications of tonic and of axum behind an `HttpServer`, without a proxy.

use axum::{Router, routing::get};
use http::{Request, StatusCode};
use meshlib::{
    base::{Drain, DrainTimes},
    cluster::Cluster,
    http::{
        Body, h1,
        header_match::HeaderMatch,
        server::{HttpServer, Serving},
    },
    layer::health_check::HealthCheckLayer,
    testkit::Testkit,
};
use meshlib_examples::proto::{
    EchoRequest, EchoResponse,
    echo_client::EchoClient,
    echo_server::{Echo, EchoServer},
};
use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Response, Status, service::Routes};

use crate::world::{SERVICE, address, secs};

const PORT: u16 = 8081;

struct Pod;

#[tonic::async_trait]
impl Echo for Pod {
    async fn echo(&self, request: tonic::Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        // Long enough for an age to end within a call.
        sleep(secs(1) / 20).await;
        Ok(Response::new(EchoResponse { content: request.into_inner().content }))
    }
}

/// A pod whose connections are used for 20 s.
fn start(kit: &Testkit, pod: u8) -> Serving {
    let at = kit.at(address(pod));
    HttpServer::new(&at.resources)
        .max_connection_age(secs(20))
        .max_connection_age_grace(secs(5))
        .bind((address(pod), PORT).into(), Routes::new(EchoServer::new(Pod)))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn connections_age_and_no_call_fails() {
    let kit = Testkit::seeded(1);
    let pods = [1, 2, 3];
    let _serving = pods.map(|pod| start(&kit, pod));
    kit.dns.set(SERVICE, pods.map(address));
    let cluster = Cluster::builder("echo-grpc").strict_dns(SERVICE, PORT).http2().build(&kit.resources).unwrap();
    let begin = Instant::now();
    let client = EchoClient::new(cluster.service());
    let mut running = tokio::task::JoinSet::new();
    for call in 0..1500_u32 {
        let mut client = client.clone();
        running.spawn(async move {
            sleep_until(begin + secs(1) / 5 * call).await;
            let content = call.to_string();
            assert_eq!(
                client.echo(EchoRequest { content: content.clone() }).await.unwrap().into_inner().content,
                content
            );
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    for pod in pods {
        let connects = kit.network.connects((address(pod), PORT).into());
        assert!((13..=17).contains(&connects), "300 s at 18 to 22 s for each connection: {connects}");
    }
}

/// The status of one GET, on a connection of its own.
async fn ask(kit: &Testkit, serving: &Serving, path: &str) -> Option<StatusCode> {
    let io = kit.resources.network().connect(serving.local_addr()).await.ok()?;
    let (client, connection) = h1::client::handshake(io);
    tokio::spawn(connection);
    let request = Request::get(format!("http://app{path}")).body(Body::empty()).unwrap();
    Some(client.exchange(request).await.unwrap().status())
}

#[tokio::test(start_paused = true)]
async fn an_axum_router_fails_its_health_then_closes_the_port() {
    let (kit, drain) = (Testkit::seeded(1), Drain::new());
    let health = HealthCheckLayer::matching(&[HeaderMatch::exact(":path".parse().unwrap(), "/healthz")]).unwrap();
    let router = Router::new()
        .route("/hello", get(async || "hello"))
        .route("/slow", get(async || sleep(secs(10)).await))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(health.failing_with(drain.clone()));
    let serving = HttpServer::new(&kit.resources).drain(drain).bind("10.0.0.1:80".parse().unwrap(), router).unwrap();
    assert_eq!(ask(&kit, &serving, "/healthz").await, Some(StatusCode::OK));
    assert_eq!(ask(&kit, &serving, "/nothing").await, Some(StatusCode::NOT_FOUND));

    let begin = Instant::now();
    serving.drain(DrainTimes::default());
    assert_eq!(ask(&kit, &serving, "/healthz").await, Some(StatusCode::SERVICE_UNAVAILABLE));
    sleep_until(begin + secs(4)).await;
    let slow = async {
        let status = ask(&kit, &serving, "/slow").await;
        assert_eq!((status, begin.elapsed()), (Some(StatusCode::OK), secs(14)));
    };
    let after = async {
        sleep_until(begin + secs(6)).await;
        assert_eq!(ask(&kit, &serving, "/hello").await, None, "the port is closed");
    };
    tokio::join!(slow, after, serving.finished());
    assert_eq!(begin.elapsed(), secs(14));
}
