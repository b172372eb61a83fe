//! Floor 4: clusters. Hosts from discovery and health checks, a pick among them, pools of connections to them.

pub mod balance;
pub mod config;
pub mod host;
pub mod host_set;
