//! The route timeout: from the end of the request to the end of the response, as Envoy counts it.
//!
//! A stream whose upload never ends has no timeout; one that is answered at once never touches a timer.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::time::Duration;
//! use http::{Request, Response};
//! use meshlib::{base::{Error, ErrorKind}, http::Body, layer::timeout::{RequestBody, TimeoutLayer}};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let service = ServiceBuilder::new()
//!     .layer(TimeoutLayer::new(Some(Duration::from_secs(15))))
//!     .service(service_fn(|_request: Request<RequestBody<Body>>| std::future::pending::<Result<Response<Body>, Error>>()));
//! let error = service.oneshot(Request::new(Body::empty())).await.unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::RouteTimeout); // 504, or grpc-status 14
//! # }
//! ```

mod body;
mod clock;

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

pub use self::body::{RequestBody, ResponseBody};
use self::clock::{Clock, UploadEnd};
use crate::base::{BoxError, Counter, Error, RequestInfo};

/// Longer timeouts are none: a point in time so far away cannot be told.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Makes [`Timeout`] services.
#[derive(Clone, Debug)]
pub struct TimeoutLayer {
    timeout: Option<Duration>,
    counter: Option<Counter>,
}

impl TimeoutLayer {
    /// Ends requests after `timeout` (a route's `timeout`); never with `None`.
    pub fn new(timeout: Option<Duration>) -> Self {
        Self { timeout: timeout.filter(|timeout| *timeout < LONGEST), counter: None }
    }

    /// Counts each request that is ended (`upstream_rq_timeout`).
    #[must_use]
    pub fn counter(mut self, counter: Counter) -> Self {
        self.counter = Some(counter);
        self
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout { inner, config: self.clone() }
    }
}

/// Fails with [`ErrorKind::RouteTimeout`](crate::base::ErrorKind) when the response has not begun in time. Once it has
/// begun, its body fails so instead. `UT` is noted in the request's [`RequestInfo`], and so is the request's end.
///
/// The timer is looked at when the response is polled: a client that does not read stops it from ending its response,
/// which is what the stream idle timeout of the connection is for.
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    config: TimeoutLayer,
}

impl<S, B, ResBody> Service<Request<B>> for Timeout<S>
where
    B: http_body::Body,
    S: Service<Request<RequestBody<B>>, Response = Response<ResBody>>,
    S::Error: Into<BoxError>,
    ResBody: http_body::Body,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Error::from_boxed)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let info = RequestInfo::of(request.extensions()).cloned();
        let upload = if request.body().is_end_stream() {
            info.iter().for_each(RequestInfo::note_request_end);
            None
        } else {
            let wanted = self.config.timeout.is_some() || info.is_some();
            wanted.then(|| UploadEnd::new(info.as_ref()))
        };
        let timeout = self.config.timeout;
        let clock = timeout.map(|timeout| Clock::new(timeout, upload.clone(), info, self.config.counter.clone()));
        // A body of our own servers tells its end by itself.
        let watched = upload.filter(|upload| !upload.is_noted());
        let request = request.map(|body| RequestBody::new(body, watched));
        ResponseFuture { inner: self.inner.call(request), clock }
    }
}

/// The future of [`Timeout`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    inner: F,
    clock: Option<Clock>,
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    E: Into<BoxError>,
    ResBody: http_body::Body,
{
    type Output = Result<Response<ResponseBody<ResBody>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // The response first: one that comes with the deadline wins, and one that is there needs no timer.
        if let Poll::Ready(result) = this.inner.poll(cx) {
            let clock = this.clock.take();
            return Poll::Ready(match result {
                Ok(response) => Ok(response.map(|body| ResponseBody::new(body, clock))),
                Err(error) => Err(Error::from_boxed(error)),
            });
        }
        match this.clock {
            Some(clock) => clock.poll_expired(cx).map(Err),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests;
