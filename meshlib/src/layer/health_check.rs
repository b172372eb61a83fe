//! Answers health checks of this process, and tells callers when it is about to go.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::{Request, Response};
//! use meshlib::{base::Drain, http::{Body, header_match::HeaderMatch}, layer::health_check::HealthCheckLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let drain = Drain::new();
//! let health = HealthCheckLayer::matching(&[HeaderMatch::exact(":path".parse().unwrap(), "/healthz")]).unwrap();
//! let service = ServiceBuilder::new()
//!     .layer(health.cluster("edge").failing_with(drain.clone()))
//!     .service(service_fn(|_: Request<Body>| async { Ok::<_, std::convert::Infallible>(Response::new(Body::empty())) }));
//!
//! let probe = || Request::get("/healthz").body(Body::empty()).unwrap();
//! let healthy = service.clone().oneshot(probe()).await.unwrap();
//! assert_eq!(healthy.headers()["x-envoy-upstream-healthchecked-cluster"], "edge");
//!
//! drain.fail_health(true);
//! assert_eq!(service.oneshot(probe()).await.unwrap().status(), 503);
//! # }
//! ```

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{
    HeaderValue, Request, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH},
};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    base::{Drain, RequestInfo, ResponseFlags},
    http::{
        header_match::{HeaderMatch, HeaderMatchError, HeaderMatcher},
        headers::{X_ENVOY_IMMEDIATE_HEALTH_CHECK_FAIL, X_ENVOY_UPSTREAM_HEALTHCHECKED_CLUSTER},
    },
};

/// Frames of a probe's body that are dropped in one go, before others have their turn.
const FRAMES_PER_POLL: u32 = 32;

/// Makes [`HealthCheck`] services: Envoy's `envoy.filters.http.health_check`, not in pass-through mode.
#[derive(Clone)]
pub struct HealthCheckLayer(Arc<Config>);

#[derive(Clone)]
struct Config {
    conditions: Vec<HeaderMatcher>,
    cluster: HeaderValue,
    failing: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl HealthCheckLayer {
    /// Takes requests for which all conditions hold for health checks (`headers`); without conditions, every request.
    pub fn new(conditions: Vec<HeaderMatcher>) -> Self {
        Self(Arc::new(Config { conditions, cluster: HeaderValue::from_static(""), failing: Arc::new(|| false) }))
    }

    /// The same, compiling the conditions.
    ///
    /// # Errors
    /// A regular expression that is none.
    pub fn matching(conditions: &[HeaderMatch]) -> Result<Self, HeaderMatchError> {
        HeaderMatcher::all(conditions).map(Self::new)
    }

    /// The name in `x-envoy-upstream-healthchecked-cluster` (Envoy's `node.cluster`). Empty unless set, and where the
    /// name cannot stand in a header.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        let name = HeaderValue::from_str(name).unwrap_or_else(|_| HeaderValue::from_static(""));
        Arc::make_mut(&mut self.0).cluster = name;
        self
    }

    /// Fails while `failing` says so. It is asked for each response, and must not wait.
    #[must_use]
    pub fn failing(mut self, failing: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).failing = Arc::new(failing);
        self
    }

    /// Fails while this drain says so.
    #[must_use]
    pub fn failing_with(self, drain: Drain) -> Self {
        self.failing(move || drain.health_failing())
    }
}

impl fmt::Debug for HealthCheckLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { conditions, cluster, .. } = &*self.0;
        f.debug_struct("HealthCheckLayer")
            .field("conditions", conditions)
            .field("cluster", cluster)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for HealthCheckLayer {
    type Service = HealthCheck<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HealthCheck { inner, layer: self.clone() }
    }
}

/// Answers health checks itself, of any method, once their body has ended: 200, or 503 while failing. While failing,
/// every other response carries `x-envoy-immediate-health-check-fail: true`, for which a caller takes this host out
/// at once.
#[derive(Clone, Debug)]
pub struct HealthCheck<S> {
    inner: S,
    layer: HealthCheckLayer,
}

impl<S, B, ResBody> Service<Request<B>> for HealthCheck<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    B: http_body::Body,
    ResBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_check = self.layer.0.conditions.iter().all(|condition| condition.matches(&request));
        let state = if is_check {
            let http1 = request.version() < Version::HTTP_2;
            let (mut parts, body) = request.into_parts();
            State::Check { body, http1, info: parts.extensions.remove() }
        } else {
            State::Other(self.inner.call(request))
        };
        ResponseFuture { layer: self.layer.clone(), state }
    }
}

/// The future of [`HealthCheck`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F, B> {
    layer: HealthCheckLayer,
    #[pin]
    state: State<F, B>,
}

#[pin_project(project = StateProjection)]
#[derive(Debug)]
enum State<F, B> {
    Check {
        #[pin]
        body: B,
        http1: bool,
        info: Option<RequestInfo>,
    },
    Other(#[pin] F),
}

impl<F, B, ResBody, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    B: http_body::Body,
    ResBody: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let config = &*this.layer.0;
        match this.state.project() {
            StateProjection::Check { body, http1, info } => {
                ready!(poll_end(body, cx));
                Poll::Ready(Ok(config.answer(*http1, info.as_ref())))
            }
            StateProjection::Other(inner) => {
                let mut response = ready!(inner.poll(cx));
                if let Ok(response) = &mut response
                    && (config.failing)()
                {
                    insert_true(response);
                }
                Poll::Ready(response)
            }
        }
    }
}

impl Config {
    fn answer<ResBody: Default>(&self, http1: bool, info: Option<&RequestInfo>) -> Response<ResBody> {
        let failing = (self.failing)();
        if let Some(info) = info {
            info.update(|record| {
                record.health_check = true;
                record.local_reply = true;
                if failing {
                    record.flags |= ResponseFlags::FAILED_LOCAL_HEALTH_CHECK;
                }
            });
        }
        let mut response = Response::new(ResBody::default());
        response.headers_mut().insert(X_ENVOY_UPSTREAM_HEALTHCHECKED_CLUSTER, self.cluster.clone());
        if failing {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            insert_true(&mut response);
        }
        // HTTP/2 tells both otherwise, and Envoy sends neither there.
        if http1 {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            if failing {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        response
    }
}

fn insert_true<B>(response: &mut Response<B>) {
    response.headers_mut().insert(X_ENVOY_IMMEDIATE_HEALTH_CHECK_FAIL, HeaderValue::from_static("true"));
}

/// Drops what comes until the body ends or fails.
fn poll_end<B: http_body::Body>(mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<()> {
    for _ in 0..FRAMES_PER_POLL {
        if body.is_end_stream() || !matches!(ready!(body.as_mut().poll_frame(cx)), Some(Ok(_))) {
            return Poll::Ready(());
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

#[cfg(test)]
mod tests;
