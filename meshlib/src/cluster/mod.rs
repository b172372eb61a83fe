//! Floor 4: clusters. Hosts from discovery and health checks, a pick among them, pools of connections to them.

#[cfg(feature = "proxy")]
mod assembly;
pub mod balance;
pub mod circuit_breaker;
pub mod config;
pub mod control;
pub mod health;
pub mod host;
pub mod host_set;
#[cfg(feature = "proxy")]
pub mod pool;
#[cfg(feature = "proxy")]
pub mod service;
#[cfg(feature = "proxy")]
pub mod shared;
#[cfg(feature = "proxy")]
pub mod stats;
#[cfg(test)]
#[cfg(feature = "proxy")]
mod test_world;
pub mod warm_up;

#[cfg(feature = "proxy")]
pub use self::{assembly::Cluster, service::ClusterService, shared::ClusterShared};
