//! Floor 6: the assembly. [`Server`](server::Server) runs everything a configuration names: listeners, clusters, the
//! admin interface. [`Mesh`](mesh::Mesh) gives its parts to an application one by one.
//!
//! The way of a connection: [`server`] binds it a listener, the listener hands it to the least loaded worker, the
//! worker's stack takes TLS off it, a codec reads its requests, and the connection manager has each of them answered
//! through the configured filters and the router.

pub mod admin;
mod bind_error;
mod blueprint;
mod clusters;
pub mod config;
mod connection_manager;
#[cfg(feature = "dns")]
mod defaults;
mod filter;
mod listener;
pub mod mesh;
mod port;
pub mod server;
mod worker;
