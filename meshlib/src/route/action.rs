//! What a route does to the requests it takes: its timeout, and the headers that tell of it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use http::{Request, Response};
//! use meshlib::{base::{Error, ErrorKind}, http::{ArcService, Body}, route::{ActionLayer, config::RouteAction}};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let cluster = ArcService::new(service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Error>>()));
//! let target = ActionLayer::new(&RouteAction::cluster("echo")).layer(cluster);
//! let error = target.oneshot(Request::new(Body::empty())).await.unwrap_err(); // after 15 s
//! assert_eq!(error.kind(), ErrorKind::RouteTimeout);
//! # }
//! ```

use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::config::RouteAction;
use crate::{
    base::Counter,
    http::Body,
    layer::{
        timeout::{RequestBody, Timeout, TimeoutLayer},
        upstream_headers::{UpstreamHeaders, UpstreamHeadersLayer},
    },
};

/// Wraps a cluster's service into a route's target: [`UpstreamHeaders`] around [`Timeout`].
#[derive(Clone, Debug)]
pub struct ActionLayer {
    headers: UpstreamHeadersLayer,
    timeout: TimeoutLayer,
}

impl ActionLayer {
    /// Does what the action says. A timeout of zero is none, as in Envoy.
    pub fn new(action: &RouteAction) -> Self {
        let timeout = action.timeout.filter(|timeout| !timeout.is_zero());
        Self { headers: UpstreamHeadersLayer::new(timeout), timeout: TimeoutLayer::new(timeout) }
    }

    /// Counts requests that run into the timeout (`cluster.<name>.upstream_rq_timeout`).
    #[must_use]
    pub fn timeout_counter(mut self, counter: Counter) -> Self {
        self.timeout = self.timeout.counter(counter);
        self
    }
}

impl<S> Layer<S> for ActionLayer {
    type Service = UpstreamHeaders<Timeout<EraseBody<S>>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.headers.layer(self.timeout.layer(EraseBody { inner }))
    }
}

/// Hands requests on with a [`Body`]: their own, where the timeout does not watch it.
#[derive(Clone, Debug)]
pub struct EraseBody<S> {
    inner: S,
}

impl<S, B> Service<Request<RequestBody<B>>> for EraseBody<S>
where
    S: Service<Request<Body>>,
    Body: From<RequestBody<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody<B>>) -> Self::Future {
        self.inner.call(request.map(Body::from))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::Response;
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::{
        base::{Error, ErrorKind, RequestInfo, Stats},
        http::ArcService,
    };

    fn sleeping(seconds: u64) -> ArcService {
        ArcService::new(service_fn(move |request: Request<Body>| async move {
            let told = request.headers().get("x-envoy-expected-rq-timeout-ms").cloned();
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let mut response = Response::new(Body::empty());
            response.headers_mut().extend(told.map(|told| (http::header::AGE, told)));
            Ok::<_, Error>(response)
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_is_told_counted_and_kept() {
        let stats = Stats::new();
        let action = RouteAction::cluster("c");
        let layer = ActionLayer::new(&action).timeout_counter(stats.counter("t"));
        let response = layer.layer(sleeping(14)).oneshot(Request::new(Body::from("x"))).await.unwrap();
        assert_eq!((&response.headers()["age"], response.headers().len()), (&"15000".parse().unwrap(), 2));
        assert_eq!(response.headers()["x-envoy-upstream-service-time"], "14000");
        let error = layer.layer(sleeping(16)).oneshot(Request::new(Body::empty())).await.unwrap_err();
        assert_eq!((error.kind(), stats.counter_value("t")), (ErrorKind::RouteTimeout, Some(1)));
    }

    /// As Envoy was seen to do it.
    #[tokio::test(start_paused = true)]
    async fn the_service_time_counts_from_the_end_of_the_request() {
        let slow = |seconds: u64| {
            let frames = futures_util::stream::once(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok::<_, Error>(http_body::Frame::data(Bytes::from_static(b"x")))
            });
            Body::new(http_body_util::StreamBody::new(frames))
        };
        for (upload, timeout, expected) in [(8, Some(1), Some("2000")), (8, None, Some("2000")), (20, None, None)] {
            let timeout: Option<u64> = timeout;
            let cluster = ArcService::new(service_fn(|request: Request<Body>| async {
                let upload = tokio::spawn(http_body_util::BodyExt::collect(request.into_body()));
                tokio::time::sleep(Duration::from_secs(10)).await;
                drop(upload);
                Ok::<_, Error>(Response::new(Body::empty()))
            }));
            let action = RouteAction::cluster("c").timeout(timeout.map(|minutes| Duration::from_secs(60 * minutes)));
            let request = Request::builder().extension(RequestInfo::detached()).body(slow(upload)).unwrap();
            let response = ActionLayer::new(&action).layer(cluster).oneshot(request).await.unwrap();
            let time = response.headers().get("x-envoy-upstream-service-time");
            assert_eq!(time.map(|time| time.to_str().unwrap()), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn zero_disables() {
        let action = RouteAction::cluster("c").timeout(Some(Duration::ZERO));
        let response = ActionLayer::new(&action).layer(sleeping(1000)).oneshot(Request::new(Body::from("x"))).await;
        assert_eq!(response.unwrap().headers().len(), 1, "the service time alone");
    }
}
