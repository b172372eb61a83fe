//! What is known of a request.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use tokio::time::Instant;

use crate::base::{error::ErrorKind, flags::ResponseFlags};

/// One try to have a request answered by a host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The host's address.
    pub host: SocketAddr,
    /// When the host was picked.
    pub started: Instant,
    /// From the pick to the response's headers or the failure; absent while under way.
    pub duration: Option<Duration>,
    /// The response's status; absent without one.
    pub status: Option<StatusCode>,
    /// Why it failed; absent while under way and on success.
    pub error: Option<ErrorKind>,
}

impl Attempt {
    /// An attempt that begins now.
    pub fn new(host: SocketAddr, started: Instant) -> Self {
        Self { host, started, duration: None, status: None, error: None }
    }
}

/// Everything that is known of a request, as far as it got.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Record {
    /// The request's method.
    pub method: Method,
    /// The request's target: path and query, and the authority of an HTTP/2 request.
    pub uri: Uri,
    /// `:authority`, or `host`.
    pub authority: Option<HeaderValue>,
    /// The downstream protocol.
    pub version: Version,
    /// Whether the request speaks gRPC, by its content type.
    pub grpc: bool,
    /// The request headers that somebody asked for; see [`FinishObserver::request_headers`](super::FinishObserver::request_headers).
    pub request_headers: Vec<(HeaderName, HeaderValue)>,
    /// The response headers that somebody asked for; see [`FinishObserver::response_headers`](super::FinishObserver::response_headers).
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
    /// The name of the virtual host that matched.
    pub virtual_host: Option<Arc<str>>,
    /// The name of the route that matched, where it has one.
    pub route: Option<Arc<str>>,
    /// The name of the cluster the route chose.
    pub cluster: Option<Arc<str>>,
    /// Each attempt, in order.
    pub attempts: Vec<Attempt>,
    /// Why the request ended as it did.
    pub flags: ResponseFlags,
    /// The status sent to the client; absent when none was.
    pub status: Option<StatusCode>,
    /// The status of a gRPC response, from its headers or trailers.
    pub grpc_status: Option<u32>,
    /// Whether the host was picked in panic mode.
    pub panic: bool,
    /// Whether the health-check filter answered.
    pub health_check: bool,
    /// Whether this side made the response.
    pub local_reply: bool,
    /// Whether the request's head was captured; without it, method and target above are not the request's.
    pub captured: bool,
    /// The client's address as far as it can be trusted, where it is not the connection's peer: from `x-forwarded-for`
    /// behind trusted proxies.
    pub trusted_client: Option<IpAddr>,
}

impl Record {
    /// A request header that was captured.
    pub fn request_header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        find(&self.request_headers, name)
    }

    /// A response header that was captured.
    pub fn response_header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        find(&self.response_headers, name)
    }

    /// The host of the last attempt: the one that answered, or the one that failed.
    pub fn upstream_host(&self) -> Option<SocketAddr> {
        self.attempts.last().map(|attempt| attempt.host)
    }
}

fn find<'a>(headers: &'a [(HeaderName, HeaderValue)], name: &HeaderName) -> Option<&'a HeaderValue> {
    headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value)
}
