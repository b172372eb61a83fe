//! HTTP/1.1: a server on hyper, of which nothing leaks out of this module, and a client of our own.
//!
//! [`server::serve`] serves one connection from a client; [`client::handshake`] begins one to a host.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use http_body_util::BodyExt;
//! use meshlib::http::{Body, h1, server::HttpServer};
//! # use meshlib::testkit;
//!
//! # let resources = testkit::resources();
//! let app = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) });
//! let server = HttpServer::new(&resources).bind("127.0.0.1:0".parse()?, app)?;
//!
//! let io = resources.network().connect(server.local_addr()).await?;
//! let (client, connection) = h1::client::handshake(io);
//! tokio::spawn(connection);
//! let request = Request::get("http://a.example/").body(Body::empty())?;
//! let response = client.exchange(request).await.map_err(|failed| failed.error)?;
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
//! # Ok(())
//! # }
//! ```

pub mod client;
pub mod server;

pub(crate) use self::client::ResponseBody;
