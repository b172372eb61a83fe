//! The resources of a process that does nothing special: the real network, the system's name servers and log files.

use std::sync::Arc;

use crate::{
    base::{Resources, Stats},
    discovery::resolver::SystemResolver,
    net::{TcpNetwork, log_sink::SystemLogSinks},
};

impl Default for Resources {
    fn default() -> Self {
        let stats = Stats::new();
        let sinks = Arc::new(SystemLogSinks::new(&stats));
        Self::new(Arc::new(TcpNetwork::new()), Arc::new(SystemResolver::new()), sinks).with_stats(stats)
    }
}
