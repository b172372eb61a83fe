//! Floor 6: the assembly. [`Server`](server::Server) runs everything a configuration names: listeners, clusters, the
//! admin interface. [`Mesh`](mesh::Mesh) gives its parts to an application one by one.
//!
//! The way of a connection: [`server`] binds it a listener, the listener hands it to the least loaded worker, the
//! worker's stack takes TLS off it, a codec reads its requests, and the connection manager has each of them answered
//! through the configured filters and the router.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use meshlib::{base::DrainTimes, proxy::{config::*, server::Server}, route::config::RouteTableConfig};
//!
//! // One listener, which knows no route yet.
//! let http = HttpConnectionManagerConfig::new("ingress", RouteTableConfig::default());
//! let listener = ListenerConfig::new("127.0.0.1:0".parse()?, FilterChainConfig::plain(http));
//! let config = MeshConfig::default().listener(listener);
//!
//! # let resources = meshlib::testkit::resources();
//! let server = Server::start(config, resources).await?;
//! assert_eq!(server.local_addrs().count(), 1);
//! server.drain(DrainTimes::default());
//! # server.stop();
//! server.finished().await;
//! # Ok(())
//! # }
//! ```

pub mod admin;
mod bind_error;
mod blueprint;
mod clusters;
pub mod config;
mod connection_manager;
#[cfg(feature = "dns")]
mod defaults;
mod filter;
#[cfg(test)]
mod future_sizes;
mod listener;
pub mod mesh;
mod port;
pub mod server;
mod worker;
