//! Names the server and the time in every response.
//!
//! `server` is overwritten, as Envoy's default `server_header_transformation` does; `date` is added where it is
//! missing. The text of the date is made once a second.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use std::sync::Arc;
//! use http::{HeaderValue, Request, Response};
//! use meshlib::{base::resources::SystemClock, layer::server_header::ServerHeaderLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! let layer = ServerHeaderLayer::new(HeaderValue::from_static("envoy"), Arc::new(SystemClock));
//! let service = ServiceBuilder::new().layer(layer).service_fn(|_: Request<()>| async {
//!     Ok::<_, std::convert::Infallible>(Response::new(()))
//! });
//! let response = service.oneshot(Request::new(())).await.unwrap();
//! assert_eq!(response.headers()["server"], "envoy");
//! assert!(response.headers().contains_key("date"));
//! # }
//! ```

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{DATE, SERVER},
};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::base::resources::WallClock;

/// The two headers.
#[derive(Clone)]
pub struct ServerHeaders(Arc<Shared>);

struct Shared {
    server: HeaderValue,
    wall_clock: Arc<dyn WallClock>,
    date: Mutex<(Duration, HeaderValue)>,
}

impl ServerHeaders {
    /// `server` as its value says, `date` by this clock.
    pub fn new(server: HeaderValue, wall_clock: Arc<dyn WallClock>) -> Self {
        let date = Mutex::new((Duration::MAX, HeaderValue::from_static("")));
        Self(Arc::new(Shared { server, wall_clock, date }))
    }

    /// Sets them.
    pub fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(SERVER, self.0.server.clone());
        if !headers.contains_key(DATE) {
            headers.insert(DATE, self.date());
        }
    }

    fn date(&self) -> HeaderValue {
        let now = self.0.wall_clock.now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let second = Duration::from_secs(second);
        let mut date = self.0.date.lock().unwrap_or_else(PoisonError::into_inner);
        if date.0 != second {
            let text = httpdate::fmt_http_date(now);
            *date = (second, HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("")));
        }
        date.1.clone()
    }
}

impl fmt::Debug for ServerHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHeaders").field("server", &self.0.server).finish_non_exhaustive()
    }
}

/// Makes [`ServerHeader`]s.
#[derive(Clone, Debug)]
pub struct ServerHeaderLayer(ServerHeaders);

impl ServerHeaderLayer {
    /// `server` as its value says, `date` by this clock.
    pub fn new(server: HeaderValue, wall_clock: Arc<dyn WallClock>) -> Self {
        Self(ServerHeaders::new(server, wall_clock))
    }
}

impl<S> Layer<S> for ServerHeaderLayer {
    type Service = ServerHeader<S>;

    fn layer(&self, inner: S) -> ServerHeader<S> {
        ServerHeader { headers: self.0.clone(), inner }
    }
}

/// Sets `server` and `date` on every response.
#[derive(Clone, Debug)]
pub struct ServerHeader<S> {
    headers: ServerHeaders,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for ServerHeader<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture { inner: self.inner.call(request), headers: self.headers.clone() }
    }
}

/// The future of [`ServerHeader`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    inner: F,
    headers: ServerHeaders,
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        this.headers.apply(response.headers_mut());
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(SystemTime);

    impl WallClock for Fixed {
        fn now(&self) -> SystemTime {
            self.0
        }
    }

    #[test]
    fn server_is_overwritten_and_date_only_added() {
        let clock = Fixed(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
        let headers = ServerHeaders::new(HeaderValue::from_static("envoy"), Arc::new(clock));
        let mut of_upstream = HeaderMap::new();
        of_upstream.insert(SERVER, HeaderValue::from_static("nginx"));
        of_upstream.insert(DATE, HeaderValue::from_static("then"));
        headers.apply(&mut of_upstream);
        assert_eq!((&of_upstream[SERVER], &of_upstream[DATE]), (&"envoy".parse().unwrap(), &"then".parse().unwrap()));
        let mut without = HeaderMap::new();
        headers.apply(&mut without);
        assert_eq!(without[DATE], "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
