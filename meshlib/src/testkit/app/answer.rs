//! How an application answers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::sleep;

use super::{Answer, App, Check, Health};
use crate::{
    base::{ConnectionInfo, Error, ErrorKind, RequestInfo},
    http::{Body, grpc::Code, handler::Handler, headers::GRPC_STATUS},
};

const HEALTH: &str = "/grpc.health.v1.Health/Check";

impl App {
    async fn check(&self, request: Request<Body>) -> Response<Body> {
        let routed = request.headers().contains_key("x-envoy-expected-rq-timeout-ms");
        let at = Duration::from_millis(u64::try_from(self.0.begin.elapsed().as_millis()).unwrap_or(u64::MAX));
        let health = {
            let mut state = self.state();
            state.checks.push(Check { at, routed });
            state.health
        };
        // HealthCheckResponse.status: SERVING is 1, NOT_SERVING 2.
        let message: &[u8] = match health {
            Health::Serving => b"\0\0\0\0\x02\x08\x01",
            Health::NotServing => b"\0\0\0\0\x02\x08\x02",
            Health::Silent => return std::future::pending().await,
        };
        self.success(stream::iter([Ok(Frame::data(Bytes::from_static(message)))]))
    }

    async fn echo(&self, request: Request<Body>) -> Response<Body> {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let delay = self.state().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        self.success(stream::iter([Ok(Frame::data(body))]))
    }

    fn drip(&self, interval: Duration) -> Response<Body> {
        self.success(stream::unfold(false, move |later| async move {
            if later {
                sleep(interval).await;
            }
            Some((Ok(Frame::data(Bytes::from_static(b"."))), true))
        }))
    }

    fn mirror(&self, request: Request<Body>) -> Response<Body> {
        self.success(stream::unfold(request.into_body(), |mut body| async move {
            let frame = body.frame().await?.ok()?;
            frame.is_data().then_some((Ok(frame), body))
        }))
    }

    /// These frames, then the trailers of a success.
    fn success(&self, frames: impl Stream<Item = Result<Frame<Bytes>, Error>> + Send + 'static) -> Response<Body> {
        let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(0))]);
        let frames = frames.chain(stream::iter([Ok(Frame::trailers(trailers))]));
        self.named(Body::new(StreamBody::new(Box::pin(frames))))
    }

    fn named(&self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if let Ok(name) = HeaderValue::from_str(&self.0.name) {
            headers.insert("hostname", name);
        }
        response
    }

    fn grpc(&self, code: Code) -> Response<Body> {
        let mut response = self.named(Body::empty());
        response.headers_mut().insert(GRPC_STATUS, HeaderValue::from(code.0));
        response
    }

    fn broken(&self) -> Response<Body> {
        let error = || Error::new(ErrorKind::Internal).with_detail("the application breaks its response off");
        let frames = stream::iter([Ok(Frame::data(Bytes::from_static(b"."))), Err(error())]);
        self.named(Body::new(StreamBody::new(frames)))
    }
}

impl Handler for App {
    fn begin(&self, _: &Arc<ConnectionInfo>) -> RequestInfo {
        RequestInfo::detached()
    }

    async fn call(&self, request: Request<Body>, _: RequestInfo) -> Response<Body> {
        let path = request.uri().path();
        if path == HEALTH {
            return self.check(request).await;
        }
        let answer = {
            let mut state = self.state();
            state.calls += 1;
            state.answers.get(path).copied().unwrap_or(state.otherwise)
        };
        match answer {
            Answer::Echo => self.echo(request).await,
            Answer::Mirror => self.mirror(request),
            Answer::Drip(interval) => self.drip(interval),
            Answer::Http(status) => status_only(status),
            Answer::Grpc(code) => self.grpc(code),
            Answer::Silent => std::future::pending().await,
            Answer::Break => self.broken(),
        }
    }

    fn refuse(&self, _: Option<&request::Parts>, error: Error, _: &RequestInfo) -> Response<Body> {
        status_only(error.status())
    }
}

fn status_only(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
