//! An application's service as a codec's handler.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, Version, request};
use tokio::time::Instant;
use tower::util::ServiceExt;
use tower_service::Service;

use crate::{
    base::{BoxError, ConnectionInfo, Error, ErrorKind, RequestInfo, info::FinishObservers, resources::WallClock},
    http::{Date, body::Body, grpc, handler::Handler, headers::strip_hop_by_hop, local_reply::ReplyTo},
};

/// Calls the service, and completes what an origin server owes its clients: the record, `date`, an answer to everything.
#[derive(Clone)]
pub(super) struct App<S> {
    service: S,
    shared: Arc<Shared>,
}

struct Shared {
    observers: FinishObservers,
    wall_clock: Arc<dyn WallClock>,
    date: Arc<Date>,
}

impl<S> App<S> {
    pub(super) fn new(service: S, observers: FinishObservers, wall_clock: Arc<dyn WallClock>) -> Self {
        let date = Date::new(wall_clock.clone());
        Self { service, shared: Arc::new(Shared { observers, wall_clock, date }) }
    }

    fn complete(&self, response: Result<Response<Body>, Error>, info: &RequestInfo) -> Response<Body> {
        let mut response = response.unwrap_or_else(|error| {
            info.update(|record| {
                record.flags |= error.flags();
                record.local_reply = true;
            });
            if error.kind() == ErrorKind::Internal {
                tracing::warn!(%error, "a request failed");
            }
            info.read(ReplyTo::recorded).error(&error)
        });
        self.shared.date.complete(response.headers_mut());
        info.capture_response(response.status(), response.headers());
        if let Some(code) = grpc::code_in(response.headers()) {
            info.update(|record| record.grpc_status = Some(code.0));
        }
        response
    }
}

impl<S, B> Handler for App<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn begin(&self, connection: &Arc<ConnectionInfo>) -> RequestInfo {
        let (started, start_time) = (Instant::now(), self.shared.wall_clock.now());
        let observers = self.shared.observers.clone();
        RequestInfo::served(connection.clone(), started, start_time, observers)
    }

    async fn call(&self, mut request: Request<Body>, info: RequestInfo) -> Response<Body> {
        let version = request.version();
        info.capture_request(&request);
        request.extensions_mut().insert(info.clone());
        let called = AssertUnwindSafe(self.service.clone().oneshot(request)).catch_unwind().await;
        let response = match called {
            Ok(Ok(response)) => Ok(response.map(Body::new)),
            Ok(Err(error)) => Err(Error::from_boxed(error.into())),
            Err(_) => Err(Error::new(ErrorKind::Internal).with_detail("the application panicked")),
        };
        let mut response = self.complete(response, &info);
        if version >= Version::HTTP_2 {
            // They mean nothing there (RFC 9113, section 8.2.2), and an application need not know its version.
            strip_hop_by_hop(response.headers_mut());
        }
        response
    }

    fn refuse(&self, request: Option<&request::Parts>, error: Error, info: &RequestInfo) -> Response<Body> {
        if let Some(head) = request {
            info.capture_request(&Request::from_parts(head.clone(), ()));
        }
        self.complete(Err(error), info)
    }
}
