//! Floor 4: clusters. Hosts from discovery and health checks, a pick among them, pools of connections to them.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | what a cluster is told |
//! | [`host`], [`host_set`] | an endpoint with its live state; an immutable picture of all |
//! | [`control`], [`warm_up`] | the task that decides who is in the set; the wait for its first one |
//! | [`balance`] | load balancers, and [`Balance`](balance::Balance) over connections of your own |
//! | [`health`] | [`Prober`](health::Prober), and what its results mean |
//! | [`circuit_breaker`] | limits that all workers share |
//!
//! With the feature `proxy` there are also pools, the service over them, and the assembly of it all, `Cluster` with its
//! builder, which have examples.

#[cfg(feature = "proxy")]
mod assembly;
pub mod balance;
#[cfg(feature = "proxy")]
pub mod builder;
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
pub use self::{assembly::Cluster, builder::ClusterBuilder, service::ClusterService, shared::ClusterShared};
