//! What a health check is told.

use std::time::Duration;

use crate::cluster::health::CustomCheck;

/// One active health check (`health_checks`).
///
/// ```
/// use std::time::Duration;
/// use meshlib::cluster::config::{HealthCheckConfig, HealthCheckKind};
///
/// // Each host every ten seconds, for a second at most; two failures in a row take it out.
/// let second = Duration::from_secs(1);
/// let check = HealthCheckConfig::grpc(second, 10 * second, 2, 2);
/// assert_eq!(check.no_traffic_interval, check.interval);
///
/// // Not the whole server, but one service of it:
/// let check = check.check(HealthCheckKind::grpc("api.Echo"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthCheckConfig {
    /// How long one check may take, connecting included (`timeout`).
    pub timeout: Duration,
    /// From the end of one check to the start of the next (`interval`).
    pub interval: Duration,
    /// The interval while no connection was ever made to the cluster. Default [`interval`](Self::interval), and 60 s in
    /// Envoy files: there a host that was not up for its first check gets nothing for a minute
    /// (`no_traffic_interval`).
    pub no_traffic_interval: Duration,
    /// Consecutive failures without a whole answer in time that make a host unhealthy; an answer that is no success
    /// does so at once (`unhealthy_threshold`).
    pub unhealthy_threshold: u32,
    /// Consecutive successes that make an unhealthy host healthy; if its very first check is one, that suffices
    /// (`healthy_threshold`).
    pub healthy_threshold: u32,
    /// Whether one connection serves many checks. Default true (`reuse_connection`).
    pub reuse_connection: bool,
    /// What is asked.
    pub check: HealthCheckKind,
}

impl HealthCheckConfig {
    /// A gRPC check of the whole server: `grpc.health.v1.Health/Check`, over HTTP/2. Envoy has no defaults for the four
    /// values either.
    pub fn grpc(timeout: Duration, interval: Duration, unhealthy_threshold: u32, healthy_threshold: u32) -> Self {
        let check = HealthCheckKind::grpc("");
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

    /// Whether one connection serves many checks.
    #[must_use]
    pub fn reuse_connection(mut self, reuse: bool) -> Self {
        self.reuse_connection = reuse;
        self
    }

    /// Asking something else, on the same schedule.
    #[must_use]
    pub fn check(mut self, check: HealthCheckKind) -> Self {
        self.check = check;
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

impl HealthCheckKind {
    /// A gRPC check of this service, or of the whole server if it is empty. Its `:authority` is the cluster's name.
    pub fn grpc(service_name: impl Into<String>) -> Self {
        Self::Grpc { service_name: service_name.into(), authority: None }
    }
}
