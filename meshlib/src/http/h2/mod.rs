//! HTTP/2 both ways (RFC 9113), by a codec of our own.
//!
//! It does what a proxy needs: heads are decoded into what the proxy reads and encoded from what it forwards, and what
//! it has to say is collected and leaves once a turn. On the `h2` crate a call of 11 bytes took twice the instructions.
//!
//! ```text
//! io -> connection -> read -> state <- handle <- stream, send, recv   the tasks of streams, or of callers
//!           |           hpack, head    |
//!           +------- out <-------------+   what streams and the connection have to say, in order
//! ```
//!
//! One task drives the connection: it reads into a buffer that the thread's connections share, and passes on what each
//! frame says. What streams send they encode themselves, under the connection's lock, and wake that task, which writes.
//! What a peer may cause is bounded: windows, the size of blocks, streams at once, bytes that wait to be written, and
//! frames that are no requests (`floods`).
//!
//! [`server::serve`] serves one connection from a client; [`client::handshake`] begins one to a host:
//!
//! ```
//! # use std::sync::Arc;
//! # use http::{Request, Response, request};
//! # use meshlib::base::{ConnectionInfo, Drain, Error, RequestInfo};
//! # use meshlib::http::{Body, handler::Handler, options::ServerOptions};
//! # #[derive(Clone)]
//! # struct Hello;
//! # impl Handler for Hello {
//! #     fn begin(&self, _: &Arc<ConnectionInfo>) -> RequestInfo {
//! #         RequestInfo::detached()
//! #     }
//! #     async fn call(&self, _: Request<Body>, _: RequestInfo) -> Response<Body> {
//! #         Response::new(Body::from("hello"))
//! #     }
//! #     fn refuse(&self, _: Option<&request::Parts>, error: Error, _: &RequestInfo) -> Response<Body> {
//! #         Response::builder().status(error.status()).body(Body::empty()).unwrap_or_default()
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http_body_util::BodyExt;
//! use meshlib::http::{h2, options::Http2Options};
//!
//! let (near, far) = tokio::io::duplex(1024);
//! // The other side: `Hello` as in the example of `http::handler`.
//! # let connection = Arc::new(ConnectionInfo::new(None, None));
//! tokio::spawn(async move { h2::server::serve(far, connection, Hello, &ServerOptions::default(), Drain::new()).await });
//!
//! let (client, connection) = h2::client::handshake(Box::new(near), &Http2Options::upstream());
//! tokio::spawn(connection);
//! let response = client.exchange(Request::get("http://echo/").body(Body::empty()).unwrap()).await.unwrap();
//! assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
//! # }
//! ```

mod bucket;
pub mod client;
mod connection;
mod error;
mod floods;
mod flow;
mod frame;
mod handle;
mod head;
mod hpack;
mod inbox;
mod limits;
mod read;
mod reason;
mod recv;
mod replay;
mod role;
mod send;
pub mod server;
mod settings;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use self::recv::RecvBody;
