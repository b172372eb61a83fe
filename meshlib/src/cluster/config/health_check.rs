//! What a health check is told.

use std::time::Duration;

use crate::cluster::health::CustomCheck;

/// One active health check (`health_checks`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthCheckConfig {
    /// How long one check may take.
    pub timeout: Duration,
    /// From the end of one check to the start of the next.
    pub interval: Duration,
    /// The interval while no connection was ever made to the cluster. Default [`interval`](Self::interval), and 60 s in
    /// Envoy files: there a host that was not up for its first check gets nothing for a minute
    /// (`no_traffic_interval`).
    pub no_traffic_interval: Duration,
    /// Consecutive network failures that make a host unhealthy.
    pub unhealthy_threshold: u32,
    /// Consecutive successes that make an unhealthy host healthy; its very first success suffices.
    pub healthy_threshold: u32,
    /// Whether one connection serves many checks. Default true.
    pub reuse_connection: bool,
    /// What is asked.
    pub check: HealthCheckKind,
}

impl HealthCheckConfig {
    /// A gRPC check of the whole server.
    pub fn grpc(timeout: Duration, interval: Duration, unhealthy_threshold: u32, healthy_threshold: u32) -> Self {
        let check = HealthCheckKind::Grpc { service_name: String::new(), authority: None };
        Self {
            timeout,
            interval,
            no_traffic_interval: interval,
            unhealthy_threshold,
            healthy_threshold,
            reuse_connection: true,
            check,
        }
    }

    /// A check of the application's own, on the same schedule and with the same thresholds.
    pub fn custom(
        timeout: Duration,
        interval: Duration,
        unhealthy_threshold: u32,
        healthy_threshold: u32,
        check: CustomCheck,
    ) -> Self {
        let config = Self::grpc(timeout, interval, unhealthy_threshold, healthy_threshold);
        Self { check: HealthCheckKind::Custom(check), ..config }
    }

    /// With another interval while no connection was ever made to the cluster.
    #[must_use]
    pub fn no_traffic_interval(mut self, interval: Duration) -> Self {
        self.no_traffic_interval = interval;
        self
    }
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HealthCheckKind {
    /// `grpc.health.v1.Health/Check` (`grpc_health_check`).
    Grpc {
        /// The service; empty for the whole server.
        service_name: String,
        /// The `:authority`; the cluster's name when absent.
        authority: Option<String>,
    },
    /// A function of the application's (`custom_health_check`).
    Custom(CustomCheck),
}
