//! Turns errors into the responses that Envoy would send; nothing fails above this layer.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::{Request, Response};
//! use meshlib::{base::{Error, ErrorKind}, http::Body, layer::error_to_response::ErrorToResponseLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let service = ServiceBuilder::new().layer(ErrorToResponseLayer::new()).service(service_fn(
//!     |_request: Request<()>| async { Err::<Response<Body>, _>(Error::new(ErrorKind::NoHealthyUpstream)) },
//! ));
//! let request = Request::post("/a.B/C").header("content-type", "application/grpc").body(()).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.headers()["grpc-status"], "14");
//! # }
//! ```

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    base::{BoxError, Error, ErrorKind, RequestInfo},
    http::{Body, local_reply::ReplyTo},
};

/// Makes [`ErrorToResponse`] services.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrorToResponseLayer(());

impl ErrorToResponseLayer {
    /// The layer. It has no settings: an [`Error`] knows its response.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for ErrorToResponseLayer {
    type Service = ErrorToResponse<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ErrorToResponse { inner }
    }
}

/// Answers with a local reply where the inner service fails, by [`Error::status`] and [`Error::reply_text`]; an error
/// of another type becomes [`ErrorKind::Internal`]. The error's flags are added to the request's [`RequestInfo`].
#[derive(Clone, Debug)]
pub struct ErrorToResponse<S> {
    inner: S,
}

impl<S, B, ResBody> Service<Request<B>> for ErrorToResponse<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    S::Error: Into<BoxError>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    // A service that fails to become ready says so through the response of each request.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (reply, info) = (ReplyTo::of(&request), RequestInfo::of(request.extensions()).cloned());
        ResponseFuture { inner: self.inner.call(request), reply, info }
    }
}

/// The future of [`ErrorToResponse`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    inner: F,
    reply: ReplyTo,
    info: Option<RequestInfo>,
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    E: Into<BoxError>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(Ok(match ready!(this.inner.poll(cx)) {
            Ok(response) => response.map(Body::new),
            Err(error) => respond(&Error::from_boxed(error), *this.reply, this.info.as_ref()),
        }))
    }
}

/// The local reply to an error, noted in the request's record: the one that is given, or the error's own.
pub fn respond(error: &Error, reply: ReplyTo, info: Option<&RequestInfo>) -> Response<Body> {
    if error.kind() == ErrorKind::Internal {
        // The client learns nothing of it, so the operator has to.
        tracing::warn!(%error, "request failed");
    }
    if let Some(info) = info.or(error.info()) {
        info.update(|record| {
            record.flags |= error.flags();
            record.local_reply = true;
            record.grpc_status = reply.grpc_code(error.status()).map(|code| code.0);
        });
    }
    reply.error(error)
}

#[cfg(test)]
mod tests {
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;

    async fn answer(error: impl Into<BoxError>, info: &RequestInfo) -> Response<Body> {
        let error = std::sync::Mutex::new(Some(error.into()));
        let service = ServiceBuilder::new().layer(ErrorToResponseLayer::new()).service(service_fn(|_: Request<()>| {
            let error = error.lock().unwrap().take().unwrap();
            async move { Err::<Response<Body>, _>(error) }
        }));
        let request = Request::get("/").extension(info.clone()).body(()).unwrap();
        service.oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn notes_flags_and_that_it_answered() {
        let info = RequestInfo::detached();
        let response = answer(Error::new(ErrorKind::ConnectFailure), &info).await;
        assert_eq!(response.status(), 503);
        info.read(|record| {
            assert_eq!(record.flags.to_string(), "UF");
            assert!(record.local_reply);
            assert_eq!(record.grpc_status, None);
        });
    }

    #[tokio::test]
    async fn foreign_errors_are_internal_and_not_shown() {
        let info = RequestInfo::detached();
        let response = answer("secret", &info).await;
        assert_eq!(response.status(), 500);
        assert!(http_body::Body::is_end_stream(response.body()));
        assert_eq!(info.read(|record| record.flags.to_string()), "-");
    }
}
