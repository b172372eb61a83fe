//! The whole way of a request through this crate's layers, as a proxy stacks them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use super::*;
use crate::{
    base::{
        ConnectionInfo, Drain, Stats,
        resources::{LogSink, Random},
    },
    http::{ArcService, Body, header_match::HeaderMatch},
    layer::{
        access_log::{AccessLog, AccessLogLayer, Format},
        error_to_response::ErrorToResponseLayer,
        forwarded::ForwardedLayer,
        health_check::HealthCheckLayer,
        request_id::RequestIdLayer,
        server_header::ServerHeaderLayer,
        stats::StatsLayer,
    },
    route::{
        ActionLayer,
        config::{RouteConfig, VirtualHostConfig},
    },
};

const FORMAT: &str = concat!(
    "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ",
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% %REQ(X-FORWARDED-FOR)% %UPSTREAM_CLUSTER% %GRPC_STATUS%\n"
);

const LINES: &str = "\
    POST /api.Echo/Echo 200 - 5 5 1000 1000 192.0.2.9 echo -\n\
    POST /api.Echo/Silent 200 UT 5 0 15000 - 192.0.2.9 echo Unavailable\n\
    POST /api.Echo/Silent 504 UT 5 24 15000 - 192.0.2.9 echo -\n\
    POST /none 200 NR 0 0 0 - 192.0.2.9 - Unimplemented\n\
    POST /none 404 NR 0 0 0 - 192.0.2.9 - -\n\
    POST /healthz 200 - 5 0 0 - 192.0.2.9 - -\n";

#[derive(Default)]
struct Lines(Mutex<Vec<u8>>);

impl LogSink for Lines {
    fn write(&self, lines: Bytes) -> bool {
        self.0.lock().unwrap().extend_from_slice(&lines);
        true
    }
}

/// Echoes after a second; `/api.Echo/Silent` answers too late for a route's timeout.
fn cluster() -> ArcService {
    ArcService::new(service_fn(|request: Request<Body>| async move {
        assert!(request.headers().contains_key("x-request-id"));
        let silent = request.uri().path().ends_with("/Silent");
        let body = request.into_body().collect().await?.to_bytes();
        tokio::time::sleep(Duration::from_secs(if silent { 60 } else { 1 })).await;
        Ok::<_, Error>(Response::new(Body::from(body)))
    }))
}

fn router() -> Router<ArcService> {
    let route = RouteConfig::new(RouteMatch::prefix("/api.Echo/"), RouteAction::cluster("echo"));
    let host = VirtualHostConfig::new("all", vec!["*".to_owned()], vec![route]);
    let config = RouteTableConfig::new("t", vec![host]);
    Router::new(&config, |action| ArcService::new(ActionLayer::new(action).layer(cluster()))).unwrap()
}

fn stack(
    lines: &Arc<Lines>,
    stats: &Stats,
) -> impl Service<Request<Body>, Response = Response<impl http_body::Body<Error = Error>>, Error = Infallible> + Clone {
    let log = AccessLog::new(Format::parse(FORMAT).unwrap(), lines.clone(), stats);
    let probe = [HeaderMatch::exact(":path".parse().unwrap(), "/healthz")];
    ServiceBuilder::new()
        .layer(ForwardedLayer::new().use_remote_address(true))
        .layer(RequestIdLayer::new(&Random::seeded(1)))
        .layer(AccessLogLayer::new(log))
        .layer(StatsLayer::new(stats, "ingress"))
        .layer(ServerHeaderLayer::new(HeaderValue::from_static("envoy")))
        .layer(ErrorToResponseLayer::new())
        .map_request(|request: Request<_>| request.map(Body::new))
        .layer(HealthCheckLayer::matching(&probe).unwrap().failing_with(Drain::new()))
        .service(router())
}

#[tokio::test(start_paused = true)]
async fn a_stack_of_all_layers_logs_like_envoy() {
    let (lines, stats) = (Arc::new(Lines::default()), Stats::new());
    let service = stack(&lines, &stats);
    let peer: SocketAddr = "192.0.2.9:1".parse().unwrap();
    let connection = Arc::new(ConnectionInfo::new(Some(peer), None));
    for (path, content_type) in [
        ("/api.Echo/Echo", "application/grpc"),
        ("/api.Echo/Silent", "application/grpc"),
        ("/api.Echo/Silent", "text/plain"),
        ("/none", "application/grpc"),
        ("/none", "text/plain"),
        ("/healthz", "text/plain"),
    ] {
        let request = Request::post(path).header("content-type", content_type).extension(connection.clone());
        let response = service.clone().oneshot(request.body(Body::from("hello")).unwrap()).await.unwrap();
        assert_eq!(response.headers()["server"], "envoy");
        response.into_body().collect().await.map(drop).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(String::from_utf8(lines.0.lock().unwrap().clone()).unwrap(), LINES);
    assert_eq!(stats.counter_value("http.ingress.downstream_rq_total"), Some(6));
    assert_eq!(stats.gauge_value("http.ingress.downstream_rq_active"), Some(0));
}
