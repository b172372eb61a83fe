//! Floor 4: clusters. Hosts from discovery and health checks, a pick among them, pools of connections to them.
//!
//! An application that calls others takes a `Cluster` (feature `proxy`): one value says where the hosts are, how they
//! are checked, picked and limited, and its service takes the place of a client's channel. Where the connections are
//! the application's own, a tonic `Channel` with TLS for example, it takes a [`Balance`](balance::Balance), which needs
//! no feature. Who wants less takes the parts:
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
//! With the feature `proxy` there are also `pool`, `service`, and the assembly of it all, `Cluster` with its `builder`,
//! which have examples. Here is what stands between the control task and the data paths:
//!
//! ```
//! use std::sync::Arc;
//! use meshlib::cluster::{
//!     circuit_breaker::CircuitBreakers,
//!     config::CircuitBreakersConfig,
//!     host::{HealthFlags, Host},
//!     host_set::{HostSet, HostSetCell},
//! };
//!
//! // What the control task publishes, and the data paths read: one of three hosts fails its health checks.
//! let host = |last, health| Arc::new(Host::new(([10, 0, 0, last], 80).into(), None, 1, health));
//! let failing = HealthFlags::FAILED_ACTIVE_HC;
//! let hosts = [host(1, HealthFlags::HEALTHY), host(2, failing), host(3, HealthFlags::HEALTHY)];
//! let cell = HostSetCell::new(HostSet::new(hosts.to_vec(), 50.0));
//! assert_eq!((cell.load().eligible(), cell.load().is_panic()), (&[0, 2][..], false));
//!
//! // Two more fail: below 50 % health is ignored.
//! cell.publish(HostSet::new(vec![host(1, failing), host(2, failing), host(3, HealthFlags::HEALTHY)], 50.0));
//! assert_eq!((cell.load().eligible(), cell.load().is_panic()), (&[0, 1, 2][..], true));
//! ```

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
