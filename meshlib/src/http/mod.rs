//! Floor 2: HTTP, both ways.
//!
//! | module | what |
//! |---|---|
//! | `server` | `HttpServer`: an axum, tonic or tower application behind TLS, limits, connection ages and a drain |
//! | [`body`], [`service`] | one [`Body`] for everything that passes through, one way to erase a service ([`ArcService`]) |
//! | `serve`, `handler`, `h1`, `h2` | the codecs behind their seams, for servers and clients of your own |
//! | [`options`] | the limits and times of connections |
//! | [`header_match`], [`headers`], [`grpc`] | the rules of headers and of gRPC that a proxy keeps |
//! | [`local_reply`] | the responses that this side makes itself |
//! | [`body_guard`] | being told of a body's end |
//!
//! Those without a link need the feature `proxy`.
//!
//! ```
//! use http::{HeaderMap, HeaderValue, Request, header};
//! use meshlib::{base::{Error, ErrorKind}, http::{headers::strip_hop_by_hop, local_reply::ReplyTo}};
//!
//! // What belongs to one connection does not cross a proxy.
//! let mut headers = HeaderMap::new();
//! headers.insert(header::CONNECTION, HeaderValue::from_static("x-secret"));
//! headers.insert("x-secret", HeaderValue::from_static("1"));
//! headers.insert(header::ACCEPT, HeaderValue::from_static("text/plain"));
//! strip_hop_by_hop(&mut headers);
//! assert_eq!(headers.len(), 1);
//!
//! // A gRPC client learns of a failure in its own terms.
//! let call = Request::post("/api.Echo/Echo").header(header::CONTENT_TYPE, "application/grpc").body(()).unwrap();
//! let reply = ReplyTo::of(&call).error(&Error::new(ErrorKind::NoHealthyUpstream));
//! assert_eq!((reply.status().as_u16(), &reply.headers()["grpc-status"]), (200, &HeaderValue::from(14)));
//! ```

#[cfg(feature = "proxy")]
mod block;
pub mod body;
pub mod body_guard;
mod called;
mod date;
pub mod grpc;
#[cfg(feature = "proxy")]
pub mod h1;
#[cfg(feature = "proxy")]
pub mod h2;
#[cfg(feature = "proxy")]
pub mod handler;
pub mod header_match;
pub mod headers;
#[cfg(feature = "proxy")]
mod leave;
pub mod local_reply;
pub mod options;
#[cfg(feature = "proxy")]
mod out;
#[cfg(feature = "proxy")]
pub mod serve;
#[cfg(feature = "proxy")]
pub mod server;
pub mod service;

#[cfg(feature = "proxy")]
pub(crate) use self::leave::cut;
#[cfg(feature = "tls")]
pub(crate) use self::leave::too_late;
pub use self::{
    body::Body,
    service::{ArcService, Failed, HttpService, ResponseFuture},
};
pub(crate) use self::{called::Called, date::Date};
