//! The echo application: what a pod of the reference deployment runs, in-process.
//!
//! [`EchoServer`] serves `api.Echo` (the reference's own service), `api.StreamEcho` (the streaming kinds of call),
//! `grpc.health.v1.Health` and server reflection (v1 and v1alpha), over HTTP/2 without TLS. Every answer carries
//! the name of the host in its initial metadata, so that a caller sees which pod answered.
//!
//! ```
//! use meshlib_examples::echo::EchoServer;
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = EchoServer::start("127.0.0.1:0".parse()?, "pod-1").await?;
//! println!("listening on {}", server.address());
//! server.set_serving(false).await; // health checks fail from here on; calls are still answered
//! server.stop(Duration::from_secs(5)).await; // finishes the calls in flight
//! # Ok(())
//! # }
//! ```

mod connection;
mod server;
mod service;

pub use self::server::EchoServer;
