//! A listener's chain without its socket.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    base::{BoxError, RequestInfo},
    http::{Body, handler::Handler},
    layer::finish::{self, Finish, RequestBody},
    proxy::connection_manager::HttpConnectionManager,
};

/// What a client of a listener gets, without the socket: filters, routes, header rules, access log and stats of the
/// file. Made by [`Mesh::service`](super::Mesh::service); cloning shares it.
///
/// It never fails: what goes wrong is the response that Envoy would send, in gRPC's form for gRPC. The record of the
/// request is in the extensions of the response, and closes when the response's body has ended or was dropped. A
/// request needs a host: an absolute URI, as clients have it, or a header.
///
/// Costs, besides what the listener costs on a socket: a box for the future, and one for each body.
#[derive(Clone)]
pub struct MeshService {
    chain: Finish<Chain>,
}

impl MeshService {
    pub(super) fn new(manager: HttpConnectionManager) -> Self {
        Self { chain: manager.finish_layer().layer(Chain(manager)) }
    }
}

impl<B> Service<Request<B>> for MeshService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let mut request = request.map(Body::new);
        // As over a socket, this is a request of its own, whatever request it is made for.
        request.extensions_mut().remove::<RequestInfo>();
        // It is always ready, as the chain is.
        ResponseFuture(self.chain.call(request))
    }
}

impl fmt::Debug for MeshService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeshService")
    }
}

/// The future of [`MeshService`].
#[pin_project]
pub struct ResponseFuture(#[pin] finish::ResponseFuture<Answer>);

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().0.poll(cx).map_ok(|response| response.map(Body::new))
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// The connection manager, for requests that have their record already.
#[derive(Clone)]
struct Chain(HttpConnectionManager);

impl Service<Request<RequestBody<Body>>> for Chain {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<Body>>) -> Self::Future {
        let manager = self.0.clone();
        let info = RequestInfo::of(request.extensions()).cloned().unwrap_or_else(RequestInfo::detached);
        Box::pin(async move {
            let mut response = manager.call(request.map(Body::new), info.clone()).await;
            response.extensions_mut().insert(info);
            Ok(response)
        })
    }
}
