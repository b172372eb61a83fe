//! The application: gRPC echo and gRPC health, served by the library's own codec over the memory network.

use std::{
    future::poll_fn,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, header, request};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use meshlib::{
    base::{
        ConnectionInfo, Drain, Error, RequestInfo,
        resources::{Acceptor, Network},
    },
    http::{Body, handler::Handler, options::ServerOptions, serve::serve_connection},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// What it says when asked for its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Serving,
    NotServing,
    /// Nothing at all.
    Silent,
}

/// A running application. Dropped, it ends with its connections, as a process that is killed.
pub(crate) struct App {
    handler: EchoHandler,
    _accepting: JoinSet<()>,
}

/// Cloning shares the state.
#[derive(Clone)]
struct EchoHandler(Arc<Shared>);

struct Shared {
    name: String,
    begin: Instant,
    state: Mutex<State>,
}

struct State {
    health: Health,
    delay: Duration,
    calls: usize,
    checks: Vec<(Duration, bool)>,
}

impl App {
    /// Listens at `address`; times count from `begin`.
    pub(crate) fn start(name: &str, network: &dyn Network, address: SocketAddr, begin: Instant) -> Self {
        let state = State { health: Health::Serving, delay: Duration::ZERO, calls: 0, checks: Vec::new() };
        let handler = EchoHandler(Arc::new(Shared { name: name.to_owned(), begin, state: Mutex::new(state) }));
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(network.bind(address).expect("a free port"), handler.clone()));
        Self { handler, _accepting: accepting }
    }

    pub(crate) fn set_health(&self, health: Health) {
        self.handler.state().health = health;
    }

    /// How long an echo takes from now on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.handler.state().delay = delay;
    }

    /// How many calls, health checks aside, came.
    pub(crate) fn calls(&self) -> usize {
        self.handler.state().calls
    }

    /// When health checks came by way of the sidecar, to the millisecond.
    pub(crate) fn edge_checks(&self) -> Vec<Duration> {
        self.checks(true)
    }

    /// When the sidecar's own health checks came, to the millisecond.
    pub(crate) fn sidecar_checks(&self) -> Vec<Duration> {
        self.checks(false)
    }

    fn checks(&self, routed: bool) -> Vec<Duration> {
        self.handler.state().checks.iter().filter(|check| check.1 == routed).map(|check| check.0).collect()
    }
}

async fn accept(mut acceptor: Box<dyn Acceptor>, handler: EchoHandler) {
    let mut options = ServerOptions::default();
    // The proxies' times are what is measured here.
    options.idle_timeout = Duration::ZERO;
    options.stream_idle_timeout = Duration::ZERO;
    let options = Arc::new(options);
    let mut connections = JoinSet::new();
    while let Ok(accepted) = poll_fn(|cx| acceptor.poll_accept(cx)).await {
        let info = Arc::new(ConnectionInfo::new(Some(accepted.peer), Some(accepted.local)));
        let io = accepted.socket.adopt().expect("a pipe");
        connections.spawn(serve_connection(io, info, handler.clone(), options.clone(), Drain::new()));
        while connections.try_join_next().is_some() {}
    }
}

impl EchoHandler {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    async fn check(&self, request: Request<Body>) -> Response<Body> {
        let routed = request.headers().contains_key("x-envoy-expected-rq-timeout-ms");
        let at = Duration::from_millis(self.0.begin.elapsed().as_millis() as u64);
        self.state().checks.push((at, routed));
        let health = self.state().health;
        // HealthCheckResponse.status: SERVING is 1, NOT_SERVING 2.
        let message: &[u8] = match health {
            Health::Serving => b"\0\0\0\0\x02\x08\x01",
            Health::NotServing => b"\0\0\0\0\x02\x08\x02",
            Health::Silent => return std::future::pending().await,
        };
        self.reply(stream::iter([Frame::data(Bytes::from_static(message))]))
    }

    /// The request's body, once all of it is there.
    async fn echo(&self, request: Request<Body>) -> Response<Body> {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let delay = self.state().delay;
        sleep(delay).await;
        self.reply(stream::iter([Frame::data(body)]))
    }

    /// A byte at once and one each second.
    fn drip(&self) -> Response<Body> {
        self.reply(stream::unfold(false, |later| async move {
            if later {
                sleep(Duration::from_secs(1)).await;
            }
            Some((Frame::data(Bytes::from_static(b".")), true))
        }))
    }

    /// The request's body as it comes.
    fn chat(&self, request: Request<Body>) -> Response<Body> {
        self.reply(stream::unfold(request.into_body(), |mut body| async move {
            let frame = body.frame().await?.ok()?;
            frame.is_data().then_some((frame, body))
        }))
    }

    /// These frames, then the trailers of a success.
    fn reply(&self, frames: impl stream::Stream<Item = Frame<Bytes>> + Send + 'static) -> Response<Body> {
        use stream::StreamExt;
        let trailers = HeaderMap::from_iter([(header::HeaderName::from_static("grpc-status"), HeaderValue::from(0))]);
        let frames = frames.chain(stream::iter([Frame::trailers(trailers)])).map(Ok::<_, Error>);
        let mut response = Response::new(Body::new(StreamBody::new(Box::pin(frames))));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("hostname", HeaderValue::from_str(&self.0.name).expect("a header"));
        response
    }
}

impl Handler for EchoHandler {
    fn begin(&self, _: &Arc<ConnectionInfo>, _: bool) -> RequestInfo {
        RequestInfo::detached()
    }

    async fn call(&self, request: Request<Body>, _: RequestInfo) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if path == "/grpc.health.v1.Health/Check" {
            return self.check(request).await;
        }
        self.state().calls += 1;
        match path.as_str() {
            "/api.Echo/Echo" => self.echo(request).await,
            "/api.Echo/Drip" => self.drip(),
            "/api.Echo/Chat" => self.chat(request),
            _ => Response::builder().status(404).body(Body::empty()).expect("a response"),
        }
    }

    fn refuse(&self, _: Option<&request::Parts>, error: Error, _: &RequestInfo) -> Response<Body> {
        Response::builder().status(error.status()).body(Body::empty()).expect("a response")
    }
}
