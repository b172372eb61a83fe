//! Names the server and the time in every response.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::{HeaderValue, Request, Response};
//! use meshlib::layer::server_header::ServerHeaderLayer;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let service = ServiceBuilder::new()
//!     .layer(ServerHeaderLayer::new(HeaderValue::from_static("envoy")))
//!     .service(service_fn(|_: Request<()>| async { Ok::<_, std::convert::Infallible>(Response::new(())) }));
//! let response = service.oneshot(Request::new(())).await.unwrap();
//! assert_eq!(response.headers()["server"], "envoy");
//! assert!(response.headers().contains_key("date"));
//! # }
//! ```

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, HeaderValue, Request, Response, header::SERVER};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    base::resources::{SystemClock, WallClock},
    http::Date,
};

/// What becomes of `server` (Envoy's `server_header_transformation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerHeaderTransformation {
    /// It is set, whatever was there.
    #[default]
    Overwrite,
    /// It is set where there is none.
    AppendIfAbsent,
    /// It stays as it is.
    PassThrough,
}

/// Makes [`ServerHeader`] services. They share one rendered date, made anew once a second.
#[derive(Clone)]
pub struct ServerHeaderLayer {
    name: HeaderValue,
    transformation: ServerHeaderTransformation,
    date: Arc<Date>,
}

impl ServerHeaderLayer {
    /// Sets `server` to `name`, and `date` from the system's clock.
    pub fn new(name: HeaderValue) -> Self {
        Self { name, transformation: ServerHeaderTransformation::default(), date: Date::new(Arc::new(SystemClock)) }
    }

    /// Takes `date` from this clock.
    #[must_use]
    pub fn wall_clock(mut self, clock: Arc<dyn WallClock>) -> Self {
        self.date = Date::new(clock);
        self
    }

    /// Treats `server` otherwise.
    #[must_use]
    pub fn transformation(mut self, transformation: ServerHeaderTransformation) -> Self {
        self.transformation = transformation;
        self
    }

    /// Sets the headers: what the layer does with each response.
    pub fn apply(&self, headers: &mut HeaderMap) {
        match self.transformation {
            ServerHeaderTransformation::Overwrite => {
                headers.insert(SERVER, self.name.clone());
            }
            ServerHeaderTransformation::AppendIfAbsent => {
                headers.entry(SERVER).or_insert_with(|| self.name.clone());
            }
            ServerHeaderTransformation::PassThrough => {}
        }
        self.date.complete(headers);
    }
}

impl fmt::Debug for ServerHeaderLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHeaderLayer")
            .field("name", &self.name)
            .field("transformation", &self.transformation)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ServerHeaderLayer {
    type Service = ServerHeader<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ServerHeader { inner, layer: self.clone() }
    }
}

/// Sets `server` on responses, and `date` where it is absent.
#[derive(Clone, Debug)]
pub struct ServerHeader<S> {
    inner: S,
    layer: ServerHeaderLayer,
}

impl<S, B, ResBody> Service<Request<B>> for ServerHeader<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture { inner: self.inner.call(request), layer: self.layer.clone() }
    }
}

/// The future of [`ServerHeader`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    inner: F,
    layer: ServerHeaderLayer,
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx));
        if let Ok(response) = &mut response {
            this.layer.apply(response.headers_mut());
        }
        Poll::Ready(response)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::{Duration, SystemTime},
    };

    use super::*;

    struct Set(AtomicU64);

    impl WallClock for Set {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    fn apply(layer: &ServerHeaderLayer, headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let mut headers = pairs.collect();
        layer.apply(&mut headers);
        headers
    }

    #[test]
    fn server_is_treated_as_told() {
        let layer = ServerHeaderLayer::new(HeaderValue::from_static("envoy"));
        assert_eq!(apply(&layer, &[("server", "other")])["server"], "envoy");
        let absent = layer.clone().transformation(ServerHeaderTransformation::AppendIfAbsent);
        assert_eq!(apply(&absent, &[("server", "other")])["server"], "other");
        assert_eq!(apply(&absent, &[])["server"], "envoy");
        let pass = layer.transformation(ServerHeaderTransformation::PassThrough);
        assert!(!apply(&pass, &[]).contains_key("server"));
    }

    #[test]
    fn date_is_the_clocks_and_rendered_once_a_second() {
        let clock = Arc::new(Set(AtomicU64::new(784_111_777_000)));
        let layer = ServerHeaderLayer::new(HeaderValue::from_static("envoy")).wall_clock(clock.clone());
        let first = apply(&layer, &[])["date"].clone();
        assert_eq!(first, "Sun, 06 Nov 1994 08:49:37 GMT");
        clock.0.store(784_111_777_999, Ordering::Relaxed);
        assert_eq!(first.as_bytes().as_ptr(), apply(&layer, &[])["date"].as_bytes().as_ptr(), "not rendered again");
        clock.0.store(784_111_778_000, Ordering::Relaxed);
        assert_eq!(apply(&layer, &[])["date"], "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(apply(&layer, &[("date", "then")])["date"], "then");
    }
}
