//! A service erased once, behind an `Arc`, where heterogeneity begins: the configured filter chain, a route's target.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::{Request, Response};
//! use meshlib::http::{ArcService, Body};
//! use tower::{ServiceExt, service_fn};
//!
//! let hello = ArcService::new(service_fn(|_request: Request<Body>| async {
//!     Ok::<_, std::io::Error>(Response::new(Body::from("hello")))
//! }));
//! let response = hello.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(response.status(), 200);
//! # }
//! ```

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project::pin_project;
use tower_service::Service;

use super::{body::Body, called::Called};
use crate::base::{BoxError, Error};

/// The boxed future of an erased service.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

/// A service called by reference: always ready, refusing by an error instead of waiting.
pub trait HttpService: Send + Sync {
    /// Answers one request.
    fn call(&self, request: Request<Body>) -> ResponseFuture;
}

/// A request that was not answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed {
    /// Why.
    pub error: Error,
    /// The request as it was, where it can be sent again: nothing of it was processed, and all of it is still there.
    pub request: Option<Request<Body>>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, request: None }
    }
}

/// An [`HttpService`] that is shared, not cloned.
#[derive(Clone)]
pub struct ArcService(Arc<dyn HttpService>);

impl ArcService {
    /// Erases a tower service. Each call clones it, and calls the clone: at once where that is ready.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Arc::new(Erased(service)))
    }

    /// Erases a service that is already called by reference.
    pub fn from_http_service(service: impl HttpService + 'static) -> Self {
        Self(Arc::new(service))
    }

    /// Whether both are clones of one.
    #[cfg(feature = "proxy")]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Answers one request.
    pub fn call(&self, request: Request<Body>) -> ResponseFuture {
        self.0.call(request)
    }
}

/// Requests may have any body, for a layer around this service may change it.
impl<B> Service<Request<B>> for ArcService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.0.call(request.map(Body::new))
    }
}

impl fmt::Debug for ArcService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArcService")
    }
}

struct Erased<S>(S);

impl<S, B> HttpService for Erased<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn call(&self, request: Request<Body>) -> ResponseFuture {
        Box::pin(EraseResponse(Called::new(self.0.clone(), request)))
    }
}

/// Boxes the response's body, unless it is one of ours.
#[pin_project]
struct EraseResponse<F>(#[pin] F);

impl<F, B> Future for EraseResponse<F>
where
    F: Future<Output = Result<Response<B>, Error>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().0.poll(cx));
        Poll::Ready(response.map(|response| response.map(Body::new)))
    }
}
