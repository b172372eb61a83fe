//! HTTP/2 both ways, on the `h2` crate.
//!
//! Under every connection lies one IO adapter (`io`): it meters the frames that the peer sends, hides empty DATA
//! frames (`h2` allows 100 of them in a connection's life, and mesh connections live for months), and collects writes
//! so that everything written in one turn leaves in one syscall. `h2` on its own flushes after each DATA frame of
//! 256 bytes or more; collecting took 1 KiB calls from 35 to 25 µs of CPU.
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
//! #     fn begin(&self, _: &Arc<ConnectionInfo>, _: bool) -> RequestInfo {
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
//! let (client, connection) = h2::client::handshake(Box::new(near), &Http2Options::upstream()).await.unwrap();
//! tokio::spawn(connection);
//! let response = client.exchange(Request::get("http://echo/").body(Body::empty()).unwrap()).await.unwrap();
//! assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
//! # }
//! ```

mod bucket;
pub mod client;
mod error;
mod frames;
mod hpack;
mod inbox;
mod io;
mod limits;
mod meter;
mod recv;
mod replay;
mod seen;
mod send;
pub mod server;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use self::recv::RecvBody;
