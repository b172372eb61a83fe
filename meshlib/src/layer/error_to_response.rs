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
        ErrorToResponse { inner, broken: None }
    }
}

/// Answers with a local reply where the inner service fails, by [`Error::status`] and [`Error::reply_text`]; an error
/// of another type becomes [`ErrorKind::Internal`]. The error's flags are added to the request's [`RequestInfo`].
#[derive(Debug)]
pub struct ErrorToResponse<S> {
    inner: S,
    /// Why the inner service is not ready: the response to the next request.
    broken: Option<Error>,
}

impl<S: Clone> Clone for ErrorToResponse<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), broken: None }
    }
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

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A service that failed here must not be called.
        self.broken = ready!(self.inner.poll_ready(cx)).err().map(Error::from_boxed);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (reply, info) = (ReplyTo::of(&request), RequestInfo::of(request.extensions()).cloned());
        let state = match self.broken.take() {
            Some(error) => State::Broken(Some(error)),
            None => State::Called(self.inner.call(request)),
        };
        ResponseFuture { state, reply, info }
    }
}

/// The future of [`ErrorToResponse`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    state: State<F>,
    reply: ReplyTo,
    info: Option<RequestInfo>,
}

#[pin_project(project = StateProjection)]
#[derive(Debug)]
enum State<F> {
    Called(#[pin] F),
    Broken(Option<Error>),
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
        let error = match this.state.project() {
            StateProjection::Called(inner) => match ready!(inner.poll(cx)) {
                Ok(response) => return Poll::Ready(Ok(response.map(Body::new))),
                Err(error) => Error::from_boxed(error),
            },
            StateProjection::Broken(error) => error.take().unwrap_or_else(|| Error::new(ErrorKind::Internal)),
        };
        Poll::Ready(Ok(respond(&error, *this.reply, this.info.as_ref())))
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

    /// Fails to become ready, and must not be called then.
    #[derive(Clone)]
    struct Broken;

    impl Service<Request<()>> for Broken {
        type Response = Response<Body>;
        type Error = Error;
        type Future = std::future::Ready<Result<Response<Body>, Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Err(Error::new(ErrorKind::NoHealthyUpstream)))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            panic!("called though it was not ready")
        }
    }

    #[tokio::test]
    async fn a_service_that_does_not_become_ready_is_not_called() {
        let service = ServiceBuilder::new().layer(ErrorToResponseLayer::new()).service(Broken);
        assert_eq!(service.oneshot(Request::new(())).await.unwrap().status(), 503);
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
