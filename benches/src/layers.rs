//! The layers of a proxy around a service that answers in memory: no codec, no connection.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use meshlib::{
    base::{ConnectionInfo, Drain, Error, ErrorKind, Stats, resources::Random},
    cluster::balance::PickContext,
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
        ActionLayer, Router,
        config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig, VirtualHostConfig},
    },
};
use tower::{Layer, ServiceBuilder};

use crate::{echo, hosts, sink::Discard};

/// A unary gRPC answer in memory: one message, then trailers.
struct Reply {
    message: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let message = self.message.take().map(Frame::data);
        let frame = message.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }
}

/// The reference chain: `x-forwarded-*`, request id, access log, stats, `server`, local replies, the health-check
/// filter, the router, a route's timeout, and a pick of three hosts.
pub struct Layers {
    service: ArcService,
    connection: Arc<ConnectionInfo>,
}

impl Layers {
    /// Compiles the chain.
    pub fn new() -> Self {
        let stats = Stats::new();
        let log = AccessLog::new(Format::default(), Arc::new(Discard), &stats);
        let probe = [HeaderMatch::exact(":path".parse().expect("a name"), "/healthz")];
        let health = HealthCheckLayer::matching(&probe).expect("conditions").failing_with(Drain::new());
        let service = ServiceBuilder::new()
            .layer(ForwardedLayer::new().use_remote_address(true))
            .layer(RequestIdLayer::new(&Random::seeded(1)))
            .layer(AccessLogLayer::new(log))
            .layer(StatsLayer::new(&stats, "ingress"))
            .layer(ServerHeaderLayer::new(HeaderValue::from_static("envoy")))
            .layer(ErrorToResponseLayer::new())
            .map_request(|request: Request<_>| request.map(Body::new))
            .layer(health)
            .service(router());
        let peer: SocketAddr = "192.0.2.9:1".parse().expect("an address");
        Self { service: ArcService::new(service), connection: Arc::new(ConnectionInfo::new(Some(peer), None)) }
    }

    /// One unary call.
    pub async fn call(&self, message: Bytes) {
        let request = Request::post("http://echo.example/api.Echo/Echo")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .extension(self.connection.clone())
            .body(Body::from(message));
        let response = self.service.call(request.expect("a request")).await.expect("a response");
        let body = response.into_body().collect().await.expect("a body");
        assert!(body.trailers().is_some());
    }
}

impl Default for Layers {
    fn default() -> Self {
        Self::new()
    }
}

fn router() -> Router<ArcService> {
    let route = RouteConfig::new(RouteMatch::prefix("/api.Echo/"), RouteAction::cluster("echo"));
    let host = VirtualHostConfig::new("all", vec!["*".to_owned()], vec![route]);
    let config = RouteTableConfig::new("local", vec![host]);
    let picks = hosts::picks(3, false);
    let cluster = ArcService::new(tower::service_fn(move |request: Request<Body>| {
        let picked = picks.pick(&PickContext::default());
        async move {
            picked.ok_or_else(|| Error::new(ErrorKind::NoHealthyUpstream))?;
            let message = request.into_body().collect().await?.to_bytes();
            Ok::<_, Error>(Response::new(Reply { message: Some(message), trailers: Some(echo::trailers()) }))
        }
    }));
    Router::new(&config, |action| ArcService::new(ActionLayer::new(action).layer(cluster.clone()))).expect("a table")
}
