//! What happens to heads on their way: checks and headers of requests, replies of our own.

use std::{net::SocketAddr, sync::Arc};

use http::{HeaderMap, HeaderValue, Request, Response};
use meshlib::{
    base::{ConnectionInfo, Error, ErrorKind, resources::Random},
    http::{Body, headers::strip_hop_by_hop, local_reply::ReplyTo},
    layer::{forwarded::ForwardedLayer, request_id::RequestIdLayer, server_header::ServerHeaderLayer},
};

/// The passes over a head that the connection manager makes, each by the part that makes it.
pub struct Heads {
    forwarded: ForwardedLayer,
    ids: RequestIdLayer,
    server: ServerHeaderLayer,
    connection: Arc<ConnectionInfo>,
}

impl Heads {
    /// As an edge has them.
    pub fn new() -> Self {
        let peer: SocketAddr = "192.0.2.9:1".parse().expect("an address");
        Self {
            forwarded: ForwardedLayer::new().use_remote_address(true),
            ids: RequestIdLayer::new(&Random::seeded(1)),
            server: ServerHeaderLayer::new(HeaderValue::from_static("envoy")),
            connection: Arc::new(ConnectionInfo::new(Some(peer), None)),
        }
    }

    /// A gRPC request's headers on their way in.
    pub fn request(&self, headers: &mut HeaderMap) {
        strip_hop_by_hop(headers);
        self.forwarded.apply(headers, Some(&self.connection));
        self.ids.apply(headers);
    }

    /// Its response's headers on their way out.
    pub fn response(&self, headers: &mut HeaderMap) {
        strip_hop_by_hop(headers);
        self.server.apply(headers);
    }
}

impl Default for Heads {
    fn default() -> Self {
        Self::new()
    }
}

/// The headers of a gRPC request, as a client sends them.
pub fn request_headers() -> HeaderMap {
    let request = Request::post("/")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "grpc-go/1.60.0")
        .header("grpc-accept-encoding", "gzip")
        .body(());
    request.expect("a request").into_parts().0.headers
}

/// The headers of its response, as a host sends them.
pub fn response_headers() -> HeaderMap {
    let response = Response::builder().header("content-type", "application/grpc").body(());
    response.expect("a response").into_parts().0.headers
}

/// The reply to a request whose cluster has no healthy host.
pub fn local_reply(headers: &HeaderMap) -> Response<Body> {
    ReplyTo::head_of(&http::Method::POST, headers).error(&Error::new(ErrorKind::NoHealthyUpstream))
}
