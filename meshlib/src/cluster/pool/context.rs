//! What all pools of one data path have in common.

use std::{fmt, sync::Arc, time::Duration};

use super::super::{
    circuit_breaker::CircuitBreakers,
    config::{ClusterConfig, UpstreamProtocol},
    health::TrafficFlag,
    stats::ClusterStats,
};
use crate::base::{Resources, resources::Network};

/// The settings, the network, the limits and the stats of one data path's pools.
pub struct PoolContext {
    pub(super) protocol: UpstreamProtocol,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) network: Arc<dyn Network>,
    pub(super) breakers: CircuitBreakers,
    traffic: TrafficFlag,
    stats: ClusterStats,
}

impl PoolContext {
    /// For the pools of the cluster `config`. `breakers` and `traffic` are the cluster's, shared by its data paths;
    /// the flag is set when the first connection is begun.
    pub fn new(
        config: &ClusterConfig,
        breakers: CircuitBreakers,
        traffic: TrafficFlag,
        resources: &Resources,
    ) -> Arc<Self> {
        Arc::new(Self {
            protocol: config.protocol.clone(),
            connect_timeout: config.connect_timeout,
            idle_timeout: config.idle_timeout,
            network: resources.network().clone(),
            breakers,
            traffic,
            stats: ClusterStats::new(resources.stats(), &config.name),
        })
    }

    /// This data path's stats.
    pub fn stats(&self) -> &ClusterStats {
        &self.stats
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.protocol, UpstreamProtocol::Http2(_))
    }

    /// How many streams a connection is expected to take while its host has not said it.
    pub(super) fn expected_streams(&self) -> usize {
        match &self.protocol {
            UpstreamProtocol::Http2(options) => options.max_concurrent_streams as usize,
            _ => 1,
        }
    }

    pub(super) fn count_connect(&self) {
        self.stats.upstream_cx_total.increment();
        match self.protocol {
            UpstreamProtocol::Http1 => self.stats.upstream_cx_http1_total.increment(),
            UpstreamProtocol::Http2(_) => self.stats.upstream_cx_http2_total.increment(),
        }
        self.traffic.mark();
    }
}

impl fmt::Debug for PoolContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolContext").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}
