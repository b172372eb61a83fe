//! What a downstream codec hands its requests to.
//!
//! The HTTP connection manager is the handler of a proxy. A codec drives a stream so:
//!
//! 1. [`Handler::begin`] when a request's head is complete: the stream's record;
//! 2. [`Handler::call`], or [`Handler::refuse`] for what the codec itself will not let through;
//! 3. counting body bytes into the record as they are taken from and handed to the connection, and
//!    [`RequestInfo::finish`] once the response is complete or either side is gone, in which case the codec adds
//!    [`ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION`](crate::base::ResponseFlags) first.
//!
//! ```
//! use std::sync::Arc;
//! use http::{Request, Response, request};
//! use meshlib::{
//!     base::{ConnectionInfo, Drain, Error, RequestInfo},
//!     http::{Body, handler::Handler, options::ServerOptions, serve::serve_connection},
//! };
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! #[derive(Clone)]
//! struct Hello;
//!
//! impl Handler for Hello {
//!     fn begin(&self, connection: &Arc<ConnectionInfo>) -> RequestInfo {
//!         RequestInfo::detached()
//!     }
//!     async fn call(&self, _: Request<Body>, _: RequestInfo) -> Response<Body> {
//!         Response::new(Body::from("hello"))
//!     }
//!     fn refuse(&self, _: Option<&request::Parts>, error: Error, _: &RequestInfo) -> Response<Body> {
//!         Response::builder().status(error.status()).body(Body::empty()).unwrap_or_default()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (mut client, io) = tokio::io::duplex(1024);
//! let (connection, options) = (Arc::new(ConnectionInfo::new(None, None)), Arc::new(ServerOptions::default()));
//! tokio::spawn(serve_connection(Box::new(io), connection, Hello, options, Drain::new()));
//! client.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await.unwrap();
//! assert!(answer.ends_with("\r\n\r\nhello"));
//! # }
//! ```

use std::sync::Arc;

use http::{Request, Response, request};

use super::body::Body;
use crate::base::{ConnectionInfo, Error, RequestInfo};

/// Answers every request of a connection; its failures have already become responses.
pub trait Handler: Clone + Send + Sync + 'static {
    /// The record of a request that has just arrived.
    fn begin(&self, connection: &Arc<ConnectionInfo>) -> RequestInfo;

    /// Answers a request. Dropping the future cancels it.
    fn call(&self, request: Request<Body>, info: RequestInfo) -> impl Future<Output = Response<Body>> + Send;

    /// The answer to a request that the codec refuses, recorded as such. Without its head, what [`Handler::call`] has
    /// recorded of it decides the form.
    fn refuse(&self, request: Option<&request::Parts>, error: Error, info: &RequestInfo) -> Response<Body>;
}
