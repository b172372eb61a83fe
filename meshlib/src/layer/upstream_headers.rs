//! What a router tells the upstream of the time it has, and the client of the time it took.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::time::Duration;
//! use http::{Request, Response};
//! use meshlib::{http::Body, layer::upstream_headers::UpstreamHeadersLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let service = ServiceBuilder::new().layer(UpstreamHeadersLayer::new(Some(Duration::from_secs(15)))).service(
//!     service_fn(|request: Request<Body>| async move {
//!         assert_eq!(request.headers()["x-envoy-expected-rq-timeout-ms"], "15000");
//!         tokio::time::sleep(Duration::from_millis(7)).await;
//!         Ok::<_, std::convert::Infallible>(Response::new(()))
//!     }),
//! );
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.headers()["x-envoy-upstream-service-time"], "7");
//! # }
//! ```

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderValue, Request, Response};
use pin_project::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    base::RequestInfo,
    http::headers::{X_ENVOY_EXPECTED_RQ_TIMEOUT_MS, X_ENVOY_UPSTREAM_SERVICE_TIME},
};

/// Makes [`UpstreamHeaders`] services.
#[derive(Clone, Debug)]
pub struct UpstreamHeadersLayer {
    timeout: Option<HeaderValue>,
}

impl UpstreamHeadersLayer {
    /// Tells the upstream of this timeout, the route's; of none with `None`.
    pub fn new(timeout: Option<Duration>) -> Self {
        let millis = |timeout: Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Self { timeout: timeout.map(|timeout| HeaderValue::from(millis(timeout))) }
    }
}

impl<S> Layer<S> for UpstreamHeadersLayer {
    type Service = UpstreamHeaders<S>;

    fn layer(&self, inner: S) -> Self::Service {
        UpstreamHeaders { inner, layer: self.clone() }
    }
}

/// Sets `x-envoy-expected-rq-timeout-ms` on requests, or takes it away where there is no timeout; sets
/// `x-envoy-upstream-service-time`, the milliseconds from the end of the request to the response's headers, on
/// responses. An error becomes a local reply further out, and has none.
///
/// The end of an upload is taken from the request's [`RequestInfo`], where [`Timeout`](super::timeout::Timeout) or
/// [`Finish`](super::finish::Finish) notes it. As in Envoy, a response that begins before it is not timed. Without a
/// record the time counts from here.
#[derive(Clone, Debug)]
pub struct UpstreamHeaders<S> {
    inner: S,
    layer: UpstreamHeadersLayer,
}

impl<S, B, ResBody> Service<Request<B>> for UpstreamHeaders<S>
where
    B: http_body::Body,
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let info = RequestInfo::of(request.extensions()).filter(|_| !request.body().is_end_stream()).cloned();
        match &self.layer.timeout {
            Some(timeout) => request.headers_mut().insert(X_ENVOY_EXPECTED_RQ_TIMEOUT_MS, timeout.clone()),
            None => request.headers_mut().remove(X_ENVOY_EXPECTED_RQ_TIMEOUT_MS),
        };
        let from = info.map_or_else(|| From::Here(Instant::now()), From::RequestEnd);
        ResponseFuture { from, inner: self.inner.call(request) }
    }
}

/// The future of [`UpstreamHeaders`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    inner: F,
    from: From,
}

/// Where the time begins.
#[derive(Debug)]
enum From {
    /// Here: the request had ended when it came, or nobody notes its end.
    Here(Instant),
    /// With the end of the upload.
    RequestEnd(RequestInfo),
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx));
        let from = match this.from {
            From::Here(at) => Some(*at),
            From::RequestEnd(info) => info.request_end(),
        };
        if let (Ok(response), Some(from)) = (&mut response, from) {
            let millis = u64::try_from(from.elapsed().as_millis()).unwrap_or(u64::MAX);
            response.headers_mut().insert(X_ENVOY_UPSTREAM_SERVICE_TIME, number(millis));
        }
        Poll::Ready(response)
    }
}

/// A number as a header's value. Most hosts answer within a few milliseconds: those need no allocation.
fn number(number: u64) -> HeaderValue {
    const FEW: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let few = usize::try_from(number).ok().and_then(|number| FEW.get(number));
    few.map_or_else(|| HeaderValue::from(number), |few| HeaderValue::from_static(few))
}

#[cfg(test)]
mod tests {
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;
    use crate::http::Body;

    #[tokio::test(start_paused = true)]
    async fn what_came_from_outside_is_replaced_or_removed() {
        for (timeout, expected) in [(None, None), (Some(Duration::from_millis(1500)), Some("1500"))] {
            let service = ServiceBuilder::new().layer(UpstreamHeadersLayer::new(timeout)).service(service_fn(
                |request: Request<Body>| async move {
                    let told = request.headers().get("x-envoy-expected-rq-timeout-ms").cloned();
                    let response = Response::builder().header("x-envoy-upstream-service-time", "99").body(told);
                    Ok::<_, std::convert::Infallible>(response.unwrap())
                },
            ));
            let request = Request::builder().header("x-envoy-expected-rq-timeout-ms", "1").body(Body::empty()).unwrap();
            let response = service.oneshot(request).await.unwrap();
            assert_eq!(response.headers()["x-envoy-upstream-service-time"], "0");
            assert_eq!(response.headers().len(), 1);
            assert_eq!(response.body().as_ref().map(|told| told.to_str().unwrap()), expected);
        }
    }
}
