//! Floor 4: clusters. Hosts from discovery and health checks, a pick among them, pools of connections to them.

pub mod balance;
pub mod config;
pub mod control;
pub mod health;
pub mod host;
pub mod host_set;
