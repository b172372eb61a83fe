//! The HTTP connection manager: what every request of a listener goes through before and after its filters.
//!
//! On the way in the head is checked and completed (`host`, hop-by-hop headers, `x-forwarded-*`, `x-request-id`) and
//! noted for the logs; then the configured filters and the router have it. On the way out an error becomes the local
//! reply that Envoy would send, and `server` and `date` are set. A panic in a filter is that request's 500.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use futures_util::FutureExt;
use http::{
    HeaderValue, Request, Response,
    header::{CONNECTION, CONTENT_LENGTH, HOST},
    request,
};
use tokio::time::Instant;

use super::config::HttpConnectionManagerConfig;
use crate::{
    base::{
        ConnectionInfo, Counter, Drain, DrainPhase, Error, ErrorKind, Gauge, RequestInfo, Resources, ResponseFlags,
        Stats,
        info::{FinishObserver, FinishObservers, Record},
        resources::WallClock,
        stats::GaugeGuard,
    },
    http::{body::Body, grpc, handler::Handler, headers::strip_hop_by_hop, local_reply::ReplyTo, service::ArcService},
    layer::{
        finish::FinishLayer, forwarded::ForwardedLayer, request_id::RequestIdLayer, server_header::ServerHeaderLayer,
        stats::HttpStats,
    },
};

/// One worker's stack of one listener. Cloning shares it.
#[derive(Clone)]
pub(crate) struct HttpConnectionManager(Arc<Manager>);

struct Manager {
    service: ArcService,
    forwarded: ForwardedLayer,
    ids: Option<RequestIdLayer>,
    server: ServerHeaderLayer,
    observers: FinishObservers,
    requests: Arc<HttpStats>,
    connections: ConnectionStats,
    wall_clock: Arc<dyn WallClock>,
}

struct ConnectionStats {
    cx_total: Counter,
    cx_active: Gauge,
    cx_ssl_total: Counter,
    cx_ssl_active: Gauge,
}

impl ConnectionStats {
    fn new(stats: &Stats, prefix: &str) -> Self {
        Self {
            cx_total: stats.counter(format!("{prefix}downstream_cx_total")),
            cx_active: stats.gauge(format!("{prefix}downstream_cx_active")),
            cx_ssl_total: stats.counter(format!("{prefix}downstream_cx_ssl_total")),
            cx_ssl_active: stats.gauge(format!("{prefix}downstream_cx_ssl_active")),
        }
    }
}

/// Counts the requests that the end of a drain cut off: `http.<prefix>.downstream_rq_drain_reset`.
struct DrainResets {
    drain: Drain,
    counter: Counter,
}

impl DrainResets {
    fn new(resources: &Resources, prefix: &str) -> Self {
        let counter = resources.stats().counter(format!("{prefix}downstream_rq_drain_reset"));
        Self { drain: resources.drain().clone(), counter }
    }
}

impl FinishObserver for DrainResets {
    fn on_finish(&self, _: &RequestInfo, record: &Record) {
        let broken_off = record.flags.contains(ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION);
        if broken_off && self.drain.phase() == DrainPhase::Stopped {
            self.counter.increment();
        }
    }
}

/// Counts a connection as open, until dropped.
pub(crate) struct OpenConnection {
    _active: GaugeGuard,
    _ssl_active: Option<GaugeGuard>,
}

impl HttpConnectionManager {
    /// A stack that leads to `service`; `access_logs` are this worker's own.
    pub(crate) fn new(
        config: &HttpConnectionManagerConfig,
        service: ArcService,
        access_logs: Vec<Arc<dyn FinishObserver>>,
        resources: &Resources,
    ) -> Result<Self, Error> {
        let prefix = format!("http.{}.", config.stat_prefix);
        let server = HeaderValue::from_str(&config.server_name).map_err(|error| {
            let detail = format!("server_name {:?} cannot be a header", config.server_name);
            Error::new(ErrorKind::Configuration).with_detail(detail).with_source(error)
        })?;
        let requests = Arc::new(HttpStats::new(resources.stats(), &config.stat_prefix));
        let counted: Arc<dyn FinishObserver> = requests.clone();
        let cut = Arc::new(DrainResets::new(resources, &prefix));
        Ok(Self(Arc::new(Manager {
            service,
            forwarded: ForwardedLayer::new()
                .use_remote_address(config.use_remote_address)
                .trusted_hops(config.xff_num_trusted_hops),
            ids: config.generate_request_id.then(|| RequestIdLayer::new(resources.random())),
            server: ServerHeaderLayer::new(server).wall_clock(resources.wall_clock().clone()),
            observers: FinishObservers::new(access_logs.into_iter().chain([counted, cut])),
            requests,
            connections: ConnectionStats::new(resources.stats(), &prefix),
            wall_clock: resources.wall_clock().clone(),
        })))
    }

    /// What makes and closes the records of requests that come without a codec.
    pub(crate) fn finish_layer(&self) -> FinishLayer {
        let requests = self.0.requests.clone();
        let layer = FinishLayer::new(self.0.observers.clone()).wall_clock(self.0.wall_clock.clone());
        layer.on_begin(move || requests.begin())
    }

    /// Counts a connection.
    pub(crate) fn open(&self, connection: &ConnectionInfo) -> OpenConnection {
        let stats = &self.0.connections;
        stats.cx_total.increment();
        let ssl = connection.tls.as_ref().map(|_| stats.cx_ssl_total.increment());
        OpenConnection { _active: stats.cx_active.enter(), _ssl_active: ssl.map(|()| stats.cx_ssl_active.enter()) }
    }

    /// Checks and completes a request's head.
    fn prepare(&self, request: &mut Request<Body>, info: &RequestInfo) -> Result<(), Error> {
        let authority = request.uri().authority().map(|authority| authority.as_str().contains('@'));
        let headers = request.headers_mut();
        one_length(headers)?;
        if let Some(userinfo) = authority {
            if userinfo {
                // No host is told of it, so routes must not see it either (RFC 9113, section 8.3.1).
                return Err(Error::new(ErrorKind::DownstreamProtocol).with_detail("user information in an authority"));
            }
            // What HTTP/1.1 says in both places, or HTTP/2 beside `:authority`, is said once (RFC 9112, section 3.2.2).
            headers.remove(HOST);
        } else {
            one_host(headers)?;
        }
        strip_hop_by_hop(headers);
        let client = self.0.forwarded.apply(headers, info.connection().map(AsRef::as_ref));
        if client.is_some() {
            info.update(|record| record.trusted_client = client);
        }
        if let Some(ids) = &self.0.ids {
            ids.apply(headers);
        }
        Ok(())
    }

    /// Completes a response's head, or replies to what went wrong.
    fn complete(&self, response: Result<Response<Body>, Error>, info: &RequestInfo) -> Response<Body> {
        let gone = response.as_ref().is_err_and(|error| error.kind() == ErrorKind::DownstreamTermination);
        let mut response = match response {
            Ok(mut response) => {
                // What a filter says of this connection stands; what a host says is about another one.
                let is_own = info.read(|record| record.local_reply);
                let own = is_own.then(|| response.headers().get(CONNECTION).cloned()).flatten();
                strip_hop_by_hop(response.headers_mut());
                response.headers_mut().extend(own.map(|own| (CONNECTION, own)));
                response
            }
            Err(error) => {
                info.update(|record| {
                    record.flags |= error.flags();
                    record.local_reply = true;
                });
                if error.kind() == ErrorKind::Internal {
                    tracing::warn!(%error, "a request failed");
                }
                info.read(ReplyTo::recorded).error(&error)
            }
        };
        if gone {
            // Nobody is there to get it, so it is no response.
            return response;
        }
        self.0.server.apply(response.headers_mut());
        info.capture_response(response.status(), response.headers());
        if let Some(code) = grpc::code_in(response.headers()) {
            info.update(|record| record.grpc_status = Some(code.0));
        }
        response
    }
}

/// An HTTP/1.1 request has exactly one host (RFC 9112, section 3.2), and a request without one cannot be routed.
fn one_host(headers: &http::HeaderMap) -> Result<(), Error> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if !host.is_empty() => Ok(()),
        _ => Err(Error::new(ErrorKind::DownstreamProtocol).with_detail("a request needs one host")),
    }
}

/// The codecs take one length that is said twice; what comes after us may not.
fn one_length(headers: &http::HeaderMap) -> Result<(), Error> {
    match headers.get_all(CONTENT_LENGTH).iter().nth(1) {
        None => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::DownstreamProtocol).with_detail("a request has one length")),
    }
}

impl Handler for HttpConnectionManager {
    fn begin(&self, connection: &Arc<ConnectionInfo>) -> RequestInfo {
        self.0.requests.begin();
        let (started, start_time) = (Instant::now(), self.0.wall_clock.now());
        let observers = self.0.observers.clone();
        RequestInfo::served(connection.clone(), started, start_time, observers)
    }

    async fn call(&self, mut request: Request<Body>, info: RequestInfo) -> Response<Body> {
        let prepared = self.prepare(&mut request, &info);
        info.capture_request(&request);
        let response = match prepared {
            Ok(()) => {
                request.extensions_mut().insert(info.clone());
                let panicked = |_| Err(Error::new(ErrorKind::Internal).with_detail("a filter panicked"));
                let called = catch_unwind(AssertUnwindSafe(|| self.0.service.call(request)));
                let response = called.unwrap_or_else(|panic| Box::pin(std::future::ready(panicked(panic))));
                AssertUnwindSafe(response).catch_unwind().await.unwrap_or_else(panicked)
            }
            Err(error) => Err(error),
        };
        self.complete(response, &info)
    }

    fn refuse(&self, request: Option<&request::Parts>, error: Error, info: &RequestInfo) -> Response<Body> {
        if let Some(head) = request {
            info.capture_request(&Request::from_parts(head.clone(), ()));
        }
        self.complete(Err(error), info)
    }
}
