//! Who the client is, and what it may say: `x-forwarded-*` and the `x-envoy-*` headers of requests.
//!
//! The rules are those of Envoy 1.40's HTTP connection manager, where no address counts as internal.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use std::sync::Arc;
//! use http::{Request, Response};
//! use meshlib::{base::ConnectionInfo, layer::forwarded::ForwardedLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let service = ServiceBuilder::new().layer(ForwardedLayer::new().use_remote_address(true)).service(service_fn(
//!     |request: Request<()>| async move { Ok::<_, std::convert::Infallible>(Response::new(request.headers().clone())) },
//! ));
//! let connection = ConnectionInfo::new(Some("192.0.2.1:5000".parse().unwrap()), None);
//! let request = Request::get("/").header("x-forwarded-for", "8.8.8.8").extension(Arc::new(connection)).body(()).unwrap();
//! let upstream = service.oneshot(request).await.unwrap().into_body();
//! assert_eq!(upstream["x-forwarded-for"], "8.8.8.8,192.0.2.1");
//! assert_eq!(upstream["x-forwarded-proto"], "http");
//! # }
//! ```

use std::{
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    base::{ConnectionInfo, RequestInfo},
    http::headers::{
        X_ENVOY_EXTERNAL_ADDRESS, X_ENVOY_INTERNAL, X_ENVOY_ORIGINAL_PATH, X_FORWARDED_FOR, X_FORWARDED_PROTO,
        X_REQUEST_ID,
    },
    layer::digits,
};

/// Room for most addresses as text.
const ADDRESS: usize = 32;

/// What only a trusted proxy may say: taken from every request.
const STRIPPED: [HeaderName; 15] = [
    X_ENVOY_INTERNAL,
    HeaderName::from_static("x-envoy-retriable-status-codes"),
    HeaderName::from_static("x-envoy-retriable-header-names"),
    HeaderName::from_static("x-envoy-retry-on"),
    HeaderName::from_static("x-envoy-retry-grpc-on"),
    HeaderName::from_static("x-envoy-max-retries"),
    HeaderName::from_static("x-envoy-upstream-alt-stat-name"),
    HeaderName::from_static("x-envoy-upstream-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-upstream-rq-per-try-timeout-ms"),
    HeaderName::from_static("x-envoy-upstream-rq-timeout-alt-response"),
    HeaderName::from_static("x-envoy-expected-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-force-trace"),
    HeaderName::from_static("x-envoy-ip-tags"),
    HeaderName::from_static("x-envoy-original-url"),
    HeaderName::from_static("x-envoy-hedge-on-per-try-timeout"),
];

/// What the next proxy says to us, but no client: taken from requests at the edge.
const STRIPPED_AT_THE_EDGE: [HeaderName; 4] = [
    HeaderName::from_static("x-envoy-decorator-operation"),
    HeaderName::from_static("x-envoy-downstream-service-cluster"),
    HeaderName::from_static("x-envoy-downstream-service-node"),
    X_ENVOY_ORIGINAL_PATH,
];

/// Makes [`Forwarded`] services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForwardedLayer {
    use_remote_address: bool,
    trusted_hops: usize,
    preserve_external_request_id: bool,
}

impl ForwardedLayer {
    /// Behind another proxy that has set `x-forwarded-for`: Envoy's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether this is the edge, where the connection's peer is the client (`use_remote_address`). Default false.
    #[must_use]
    pub fn use_remote_address(mut self, edge: bool) -> Self {
        self.use_remote_address = edge;
        self
    }

    /// How many proxies before this one are trusted (`xff_num_trusted_hops`). Default 0.
    #[must_use]
    pub fn trusted_hops(mut self, hops: u32) -> Self {
        self.trusted_hops = hops as usize;
        self
    }

    /// Whether a client's `x-request-id` is kept at the edge (`preserve_external_request_id`). Default false: a layer
    /// further in makes a new one.
    #[must_use]
    pub fn preserve_external_request_id(mut self, keep: bool) -> Self {
        self.preserve_external_request_id = keep;
        self
    }

    /// Changes a request's headers; gives the client's address where `x-forwarded-for` tells it.
    pub fn apply(&self, headers: &mut HeaderMap, connection: Option<&ConnectionInfo>) -> Option<IpAddr> {
        self.strip(headers);
        let tls = connection.is_some_and(|connection| connection.tls.is_some());
        let proto = HeaderValue::from_static(if tls { "https" } else { "http" });
        let trusted = if self.use_remote_address {
            self.apply_at_the_edge(headers, connection.and_then(|connection| connection.peer).map(|peer| peer.ip()))
        } else {
            forwarded_for(headers, self.trusted_hops)
        };
        if self.use_remote_address && self.trusted_hops == 0 {
            headers.insert(X_FORWARDED_PROTO, proto);
        } else {
            headers.entry(X_FORWARDED_PROTO).or_insert(proto);
        }
        trusted
    }

    fn strip(&self, headers: &mut HeaderMap) {
        // Most requests have none, and a walk over their names is cheaper than twenty look-ups.
        if !headers.keys().any(|name| name.as_str().starts_with("x-envoy-")) {
            return;
        }
        let at_the_edge = if self.use_remote_address { &STRIPPED_AT_THE_EDGE[..] } else { &[] };
        for name in STRIPPED.iter().chain(at_the_edge) {
            headers.remove(name);
        }
    }

    fn apply_at_the_edge(&self, headers: &mut HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        if !self.preserve_external_request_id {
            headers.remove(X_REQUEST_ID);
        }
        let peer = peer.map(|peer| peer.to_canonical());
        let trusted = self.trusted_hops.checked_sub(1).and_then(|hops| forwarded_for(headers, hops));
        match trusted.or(peer) {
            Some(client) => headers.insert(X_ENVOY_EXTERNAL_ADDRESS, address(client)),
            None => headers.remove(X_ENVOY_EXTERNAL_ADDRESS),
        };
        if let Some(peer) = peer {
            append(headers, peer);
        }
        trusted
    }
}

/// The address that stands `skip` places before the last in `x-forwarded-for`.
fn forwarded_for(headers: &HeaderMap, skip: usize) -> Option<IpAddr> {
    let values = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let text = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')).nth(skip)?;
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

fn address(address: IpAddr) -> HeaderValue {
    let mut text = BytesMut::with_capacity(ADDRESS);
    digits::push_ip(&mut text, address);
    HeaderValue::from_maybe_shared(text.freeze()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Joins what is there into one line, with the peer at its end.
fn append(headers: &mut HeaderMap, peer: IpAddr) {
    let mut line = BytesMut::with_capacity(2 * ADDRESS);
    for value in headers.get_all(X_FORWARDED_FOR) {
        line.extend_from_slice(value.as_bytes());
        line.extend_from_slice(b",");
    }
    digits::push_ip(&mut line, peer);
    if let Ok(value) = HeaderValue::from_maybe_shared(line.freeze()) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

impl<S> Layer<S> for ForwardedLayer {
    type Service = Forwarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Forwarded { inner, layer: *self }
    }
}

/// Takes from requests what clients may not say, and tells the upstream who they are.
///
/// The connection is that of the request's [`RequestInfo`], or an `Arc<ConnectionInfo>` among its extensions; without
/// either the request came in plain text from nobody. An address learnt from `x-forwarded-for` is noted in the record.
#[derive(Clone, Debug)]
pub struct Forwarded<S> {
    inner: S,
    layer: ForwardedLayer,
}

impl<S, B> Service<Request<B>> for Forwarded<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    // The response passes untouched.
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The headers are taken out for a moment, since the connection is borrowed from the extensions beside them.
        let mut headers = std::mem::take(request.headers_mut());
        let info = RequestInfo::of(request.extensions());
        let connection = match info {
            Some(info) => info.connection(),
            None => request.extensions().get::<Arc<ConnectionInfo>>(),
        };
        let trusted = self.layer.apply(&mut headers, connection.map(|connection| &**connection));
        if let (Some(info), Some(client)) = (info, trusted) {
            info.update(|record| record.trusted_client = Some(client));
        }
        *request.headers_mut() = headers;
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests;
