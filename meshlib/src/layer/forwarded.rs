//! Tells the upstream where a request came from: `x-forwarded-proto`, `x-forwarded-for`.
//!
//! The rules are Envoy's. With `use_remote_address` off, the default, the peer is another proxy of the mesh: its
//! `x-forwarded-for` and `x-forwarded-proto` are kept, and the latter is added where it is missing. With it on, the
//! peer is the client: its address is appended to `x-forwarded-for`, the scheme is what the connection really used
//! (unless trusted proxies stand in front), and `x-envoy-*` headers that only the mesh itself may set are removed.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::{Request, Response};
//! use meshlib::layer::forwarded::ForwardedLayer;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! let service = ServiceBuilder::new().layer(ForwardedLayer::default()).service_fn(|request: Request<()>| async move {
//!     Ok::<_, std::convert::Infallible>(Response::new(request.headers()["x-forwarded-proto"].clone()))
//! });
//! assert_eq!(service.oneshot(Request::new(())).await.unwrap().into_body(), "http");
//! # }
//! ```

use std::{
    net::IpAddr,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    base::{ConnectionInfo, RequestInfo},
    http::headers::{X_ENVOY_EXTERNAL_ADDRESS, X_FORWARDED_FOR, X_FORWARDED_PROTO},
};

/// What only the mesh itself may say; an outside client's word is removed.
const INTERNAL: [HeaderName; 15] = [
    HeaderName::from_static("x-envoy-internal"),
    HeaderName::from_static("x-envoy-decorator-operation"),
    HeaderName::from_static("x-envoy-expected-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-force-trace"),
    HeaderName::from_static("x-envoy-hedge-on-per-try-timeout"),
    HeaderName::from_static("x-envoy-ip-tags"),
    HeaderName::from_static("x-envoy-max-retries"),
    HeaderName::from_static("x-envoy-original-url"),
    HeaderName::from_static("x-envoy-retriable-header-names"),
    HeaderName::from_static("x-envoy-retriable-status-codes"),
    HeaderName::from_static("x-envoy-retry-grpc-on"),
    HeaderName::from_static("x-envoy-retry-on"),
    HeaderName::from_static("x-envoy-upstream-alt-stat-name"),
    HeaderName::from_static("x-envoy-upstream-rq-per-try-timeout-ms"),
    HeaderName::from_static("x-envoy-upstream-rq-timeout-ms"),
];

/// The rules of one listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForwardedRules {
    /// Whether the peer is the client. Default false.
    pub use_remote_address: bool,
    /// How many trusted proxies stand before this one. Default 0.
    pub xff_num_trusted_hops: u32,
}

impl ForwardedRules {
    /// Applies them to a request that came on `connection`.
    pub fn apply(&self, connection: Option<&ConnectionInfo>, headers: &mut HeaderMap) {
        let tls = connection.is_some_and(|connection| connection.tls.is_some());
        let scheme = HeaderValue::from_static(if tls { "https" } else { "http" });
        if self.use_remote_address && self.xff_num_trusted_hops == 0 {
            headers.insert(X_FORWARDED_PROTO, scheme);
        } else if !headers.contains_key(X_FORWARDED_PROTO) {
            headers.insert(X_FORWARDED_PROTO, scheme);
        }
        if let (true, Some(peer)) = (self.use_remote_address, connection.and_then(|connection| connection.peer)) {
            self.from_outside(peer.ip(), headers);
        }
    }

    fn from_outside(&self, peer: IpAddr, headers: &mut HeaderMap) {
        for name in &INTERNAL {
            headers.remove(name);
        }
        let earlier: Vec<&HeaderValue> = headers.get_all(X_FORWARDED_FOR).iter().collect();
        let mut text = Vec::new();
        for value in earlier {
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b", ");
        }
        let client = self.client_of(&text, peer);
        text.extend_from_slice(peer.to_string().as_bytes());
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(X_FORWARDED_FOR, value);
        }
        if let Ok(client) = HeaderValue::try_from(client) {
            headers.insert(X_ENVOY_EXTERNAL_ADDRESS, client);
        }
    }

    /// The address that counts as the client's: the peer's, or with trusted proxies the one that the outermost of
    /// them saw.
    fn client_of(&self, earlier: &[u8], peer: IpAddr) -> String {
        let trusted = self.xff_num_trusted_hops as usize;
        let earlier = std::str::from_utf8(earlier).unwrap_or_default();
        let addresses: Vec<&str> = earlier.split(',').map(str::trim).filter(|address| !address.is_empty()).collect();
        let seen = trusted.checked_sub(1).and_then(|back| addresses.iter().rev().nth(back));
        seen.and_then(|address| address.parse::<IpAddr>().ok()).unwrap_or(peer).to_string()
    }
}

/// Makes [`Forwarded`] services.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForwardedLayer(ForwardedRules);

impl ForwardedLayer {
    /// A layer with these rules.
    pub fn new(rules: ForwardedRules) -> Self {
        Self(rules)
    }
}

impl<S> Layer<S> for ForwardedLayer {
    type Service = Forwarded<S>;

    fn layer(&self, inner: S) -> Forwarded<S> {
        Forwarded { rules: self.0, inner }
    }
}

/// Tells where a request came from, as its [`RequestInfo`] knows the connection.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<S> {
    rules: ForwardedRules,
    inner: S,
}

impl<S, B> Service<Request<B>> for Forwarded<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let info = RequestInfo::of(request.extensions()).cloned();
        let connection = info.as_ref().and_then(RequestInfo::connection);
        self.rules.apply(connection.map(AsRef::as_ref), request.headers_mut());
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::info::TlsInfo;

    fn apply(rules: ForwardedRules, tls: bool, before: &[(&'static str, &str)]) -> HeaderMap {
        let connection = ConnectionInfo::new(Some("192.0.2.9:4711".parse().unwrap()), None);
        let connection = if tls { connection.with_tls(TlsInfo::default()) } else { connection };
        let mut headers = HeaderMap::new();
        for (name, value) in before {
            headers.append(*name, value.parse().unwrap());
        }
        rules.apply(Some(&connection), &mut headers);
        headers
    }

    #[test]
    fn inside_the_mesh_what_the_peer_says_is_kept() {
        let before = [("x-forwarded-proto", "https"), ("x-forwarded-for", "198.51.100.1"), ("x-envoy-retry-on", "5xx")];
        let headers = apply(ForwardedRules::default(), false, &before);
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-for"], "198.51.100.1");
        assert_eq!(headers["x-envoy-retry-on"], "5xx");
        assert_eq!(apply(ForwardedRules::default(), true, &[])["x-forwarded-proto"], "https");
        assert!(!apply(ForwardedRules::default(), true, &[]).contains_key("x-forwarded-for"));
    }

    #[test]
    fn a_client_is_not_believed() {
        let rules = ForwardedRules { use_remote_address: true, xff_num_trusted_hops: 0 };
        let before = [("x-forwarded-proto", "https"), ("x-forwarded-for", "198.51.100.1"), ("x-envoy-retry-on", "5xx")];
        let headers = apply(rules, false, &before);
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-for"], "198.51.100.1, 192.0.2.9");
        assert_eq!(headers["x-envoy-external-address"], "192.0.2.9");
        assert!(!headers.contains_key("x-envoy-retry-on"));
    }

    #[test]
    fn trusted_hops_are_counted_from_the_right() {
        let rules = ForwardedRules { use_remote_address: true, xff_num_trusted_hops: 1 };
        let before = [("x-forwarded-proto", "https"), ("x-forwarded-for", "203.0.113.7, 198.51.100.1")];
        let headers = apply(rules, false, &before);
        assert_eq!(headers["x-forwarded-proto"], "https", "the trusted proxy knows");
        assert_eq!(headers["x-envoy-external-address"], "198.51.100.1");
    }
}
