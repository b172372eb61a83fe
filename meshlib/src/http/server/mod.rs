//! A server for an application's own service: an axum `Router`, tonic `Routes`, any tower service of requests.
//!
//! It does for them what a sidecar would: HTTP/1.1 and HTTP/2 on one port, TLS whose certificates follow their files,
//! limits on everything that a client controls, connections that end when they are old, unused or no longer wanted.
//! No proxy is involved: the service is called, and nothing stands between.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{convert::Infallible, time::Duration};
//! use http::{Request, Response};
//! use meshlib::{base::{DrainTimes, Resources}, http::{Body, server::HttpServer}};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tower::service_fn;
//!
//! let app = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) });
//! # let default = Resources::default;
//! let resources = Resources::default();
//! # let resources = meshlib::testkit::resources();
//! let server = HttpServer::new(&resources)
//!     .max_connection_age(Duration::from_secs(1800)) // so that clients spread over new pods
//!     .max_connection_age_grace(Duration::from_secs(60))
//!     .idle_timeout(Duration::from_secs(300))
//!     .bind("127.0.0.1:0".parse()?, app)?;
//!
//! # let mut client = resources.network().connect(server.local_addr()).await?;
//! # client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
//! # while client.read_u8().await? != b'o' {}
//! // On SIGTERM: health checks fail, 5 s later the port closes and clients are told to go.
//! server.drain(DrainTimes::default());
//! server.finished().await; // nothing is left, or 25 s have passed
//! # Ok(())
//! # }
//! ```
//!
//! The health check that fails during a drain is [`HealthCheckLayer::failing_with`](crate::layer::health_check) in the
//! application's stack for HTTP; a gRPC one follows [`Drain::reached`](crate::base::Drain::reached). Other layers of
//! [`layer`](crate::layer) go there as well: each request carries its [`RequestInfo`](crate::base::RequestInfo) in its
//! extensions, with the [`ConnectionInfo`](crate::base::ConnectionInfo) of client and TLS.
//!
//! A call may take as long as it wants while something moves on it. tonic's own transport ends one at its
//! `grpc-timeout`; here that is for a layer of the application, such as [`TimeoutLayer`](crate::layer::timeout).

mod app;
mod serving;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use tokio::runtime::Handle;
use tower_service::Service;

pub use self::serving::Serving;
use self::{app::App, serving::Stack};
use super::{body::Body, options::ServerOptions};
#[cfg(feature = "tls")]
use crate::net::tls::TlsAcceptor;
use crate::{
    base::{BoxError, Drain, Resources, info::FinishObservers, resources::Acceptor},
    net::listen::{ConnectionLimit, Listener},
};

/// gRPC's jitter of a connection's longest life: 10 % less, or more.
const AGE_JITTER: f64 = 0.1;

/// Serves an application's service on one address, or on several: it is cloned for each.
///
/// Everything reaches the world outside by [`Resources`]; connections are served on the tokio runtime that
/// [`bind`](Self::bind) was called on.
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpServer {
    resources: Resources,
    options: ServerOptions,
    drain: Drain,
    limit: Option<ConnectionLimit>,
    observers: FinishObservers,
    #[cfg(feature = "tls")]
    tls: Option<TlsAcceptor>,
}

impl HttpServer {
    /// A server without TLS, with the limits of [`ServerOptions`], which follows the drain of `resources`.
    pub fn new(resources: &Resources) -> Self {
        Self {
            resources: resources.clone(),
            options: ServerOptions::default(),
            drain: resources.drain().clone(),
            limit: None,
            observers: FinishObservers::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Takes TLS off every connection. Certificates in files are swapped while it serves.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, acceptor: TlsAcceptor) -> Self {
        self.tls = Some(acceptor);
        self
    }

    /// Tells each connection to go when it has been used for so long, 10 % less or more by chance: HTTP/2 by GOAWAY,
    /// twice, HTTP/1.1 by `connection: close`. Requests under way are finished. Default zero: never.
    ///
    /// gRPC's `MAX_CONNECTION_AGE`; in [`ServerOptions`], as in Envoy, the jitter is only added.
    pub fn max_connection_age(mut self, age: Duration) -> Self {
        let least = Duration::try_from_secs_f64(age.as_secs_f64() * (1.0 - AGE_JITTER));
        self.options.max_connection_duration = least.unwrap_or(age);
        self.options.max_connection_duration_jitter = 100.0 * 2.0 * AGE_JITTER / (1.0 - AGE_JITTER);
        self
    }

    /// Resets what is still under way so long after a connection was told to go for its age (gRPC's
    /// `MAX_CONNECTION_AGE_GRACE`). Default zero: never.
    pub fn max_connection_age_grace(mut self, grace: Duration) -> Self {
        self.options.max_connection_duration_grace = grace;
        self
    }

    /// Closes connections that have been without a request for so long (Envoy's `idle_timeout`). Default 1 h; zero
    /// disables.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.options.idle_timeout = timeout;
        self
    }

    /// Sets all limits and times of connections anew, those of the methods above included.
    pub fn options(mut self, options: ServerOptions) -> Self {
        self.options = options;
        self
    }

    /// Follows this drain instead of that of the resources.
    pub fn drain(mut self, drain: Drain) -> Self {
        self.drain = drain;
        self
    }

    /// How many connections may be open at once; a limit may be shared by several servers. Default
    /// [`ConnectionLimit::of_system`].
    pub fn connection_limit(mut self, limit: ConnectionLimit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Shows every closed record to these observers, an access log for example: those of requests too that never
    /// reach the application, because the codec refuses them.
    pub fn observers(mut self, observers: FinishObservers) -> Self {
        self.observers = observers;
        self
    }

    /// Listens on `at`, and serves. Port 0 picks a free one. To be called on a tokio runtime.
    ///
    /// The service is cloned for each request and driven through `oneshot`. An error of it becomes the response that
    /// [`ReplyTo::error`](super::local_reply::ReplyTo::error) makes, a panic a 500, both in gRPC's form for gRPC.
    ///
    /// # Errors
    /// What the network answers: the address is in use, not of this host, not allowed. There is no tokio runtime here.
    pub fn bind<S, B>(self, at: SocketAddr, service: S) -> io::Result<Serving>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        on_a_runtime()?;
        let acceptor = self.resources.network().bind(at)?;
        self.serve(acceptor, service)
    }

    /// Serves the connections of an acceptor of the application's own; else as [`bind`](Self::bind).
    ///
    /// # Errors
    /// The acceptor does not know its address, or there is no tokio runtime here.
    pub fn serve<S, B>(self, acceptor: Box<dyn Acceptor>, service: S) -> io::Result<Serving>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        on_a_runtime()?;
        let limit = self.limit.unwrap_or_else(|| ConnectionLimit::of_system(self.resources.files().as_ref()));
        let listener = Listener::new(acceptor, limit);
        let stack = Stack {
            app: App::new(service, self.observers, self.resources.wall_clock().clone()),
            options: Arc::new(self.options),
            random: self.resources.random().clone(),
            drain: self.drain,
            #[cfg(feature = "tls")]
            tls: self.tls,
        };
        Serving::start(listener, stack)
    }
}

fn on_a_runtime() -> io::Result<()> {
    Handle::try_current().map(drop).map_err(|_| io::Error::other("a server must be started on a tokio runtime"))
}

#[cfg(test)]
mod tests;
