//! Keeps the record of a request and closes it: what an access log or a counter needs where no connection manager
//! stands in front.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use std::sync::{Arc, Mutex};
//! use http::{Request, Response};
//! use http_body_util::BodyExt;
//! use meshlib::{
//!     base::{FinishObserver, RequestInfo, info::{FinishObservers, Record}},
//!     http::Body,
//!     layer::finish::{FinishLayer, RequestBody},
//! };
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! #[derive(Default)]
//! struct Statuses(Mutex<Vec<u16>>);
//! impl FinishObserver for Statuses {
//!     fn on_finish(&self, _: &RequestInfo, record: &Record) {
//!         self.0.lock().unwrap().extend(record.status.map(|status| status.as_u16()));
//!     }
//! }
//!
//! let statuses = Arc::new(Statuses::default());
//! let service = ServiceBuilder::new()
//!     .layer(FinishLayer::new(FinishObservers::new([statuses.clone() as _])))
//!     .service(service_fn(|_: Request<RequestBody<Body>>| async { Ok::<_, std::io::Error>(Response::new(Body::from("x"))) }));
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert!(statuses.0.lock().unwrap().is_empty(), "the response has not ended");
//! response.into_body().collect().await.unwrap();
//! assert_eq!(*statuses.0.lock().unwrap(), [200]);
//! # }
//! ```

mod body;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response};
use http_body::Body;
use pin_project::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

pub use self::body::{RequestBody, ResponseBody};
use crate::{
    base::{
        ConnectionInfo, RequestInfo, ResponseFlags,
        info::FinishObservers,
        resources::{SystemClock, WallClock},
    },
    http::grpc,
};

/// Makes [`Finish`] services.
#[derive(Clone)]
pub struct FinishLayer {
    observers: FinishObservers,
    clock: Arc<dyn WallClock>,
    on_begin: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl FinishLayer {
    /// Shows each closed record to these observers.
    pub fn new(observers: FinishObservers) -> Self {
        Self { observers, clock: Arc::new(SystemClock), on_begin: None }
    }

    /// Takes the requests' start times from this clock.
    #[must_use]
    pub fn wall_clock(mut self, clock: Arc<dyn WallClock>) -> Self {
        self.clock = clock;
        self
    }

    /// Calls this as each request begins; the observers are told of its end in any case.
    #[must_use]
    pub fn on_begin(mut self, begin: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_begin = Some(Arc::new(begin));
        self
    }

    /// Makes the request's record, or joins the one it has; gives what is to close it if it is ours.
    fn begin<B>(&self, request: &mut Request<B>) -> Option<RequestInfo> {
        if let Some(begin) = &self.on_begin {
            begin();
        }
        if let Some(info) = RequestInfo::of(request.extensions()) {
            info.observe(&self.observers);
            info.capture_request(request);
            return None;
        }
        let connection = request.extensions().get::<Arc<ConnectionInfo>>().cloned();
        let info = RequestInfo::new(connection, Instant::now(), self.clock.now(), self.observers.clone());
        info.capture_request(request);
        request.extensions_mut().insert(info.clone());
        Some(info)
    }
}

impl fmt::Debug for FinishLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishLayer").field("observers", &self.observers).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for FinishLayer {
    type Service = Finish<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Finish { inner, layer: self.clone() }
    }
}

/// Gives requests a [`RequestInfo`], counts the bytes of both bodies into it, and closes it when both have ended. A
/// response that is dropped before its end, or before it began, closes it at once, flagged `DC`.
///
/// A request that has a record already keeps it: its maker closes it, and these observers see it then as well.
#[derive(Clone, Debug)]
pub struct Finish<S> {
    inner: S,
    layer: FinishLayer,
}

impl<S, B, ResBody> Service<Request<B>> for Finish<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<ResBody>>,
    B: Body,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let record = self.layer.begin(&mut request).map(|info| Arc::new(Closing(info)));
        if let (Some(closing), true) = (&record, request.body().is_end_stream()) {
            closing.0.note_request_end();
        }
        let guard = ResponseGuard(record.clone());
        let request = request.map(|body| RequestBody::new(body, record));
        ResponseFuture { inner: self.inner.call(request), guard: Some(guard) }
    }
}

/// Closes the record when the last of both bodies lets go of it.
#[derive(Debug)]
struct Closing(RequestInfo);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// The response's share of the record: dropped before it was told of the end, it means that the client is gone.
#[derive(Debug)]
struct ResponseGuard(Option<Arc<Closing>>);

impl ResponseGuard {
    fn info(&self) -> Option<&RequestInfo> {
        self.0.as_ref().map(|closing| &closing.0)
    }

    fn end(&mut self) {
        self.0 = None;
    }
}

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        if let Some(info) = self.info() {
            info.update(|record| record.flags |= ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION);
            info.finish();
        }
    }
}

/// The future of [`Finish`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    inner: F,
    guard: Option<ResponseGuard>,
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: Body,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        let mut guard = this.guard.take().unwrap_or(ResponseGuard(None));
        match result {
            Ok(response) => {
                if let Some(info) = guard.info() {
                    info.capture_response(response.status(), response.headers());
                    note_grpc_status(info, response.headers());
                }
                if response.body().is_end_stream() {
                    guard.end();
                }
                Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, guard))))
            }
            Err(error) => {
                guard.end();
                Poll::Ready(Err(error))
            }
        }
    }
}

fn note_grpc_status(info: &RequestInfo, headers: &HeaderMap) {
    if let Some(code) = grpc::code_in(headers) {
        info.update(|record| record.grpc_status = Some(code.0));
    }
}

#[cfg(test)]
mod tests;
