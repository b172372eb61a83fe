//! Active health checks: a [`Prober`] asks a service again and again, a [`HealthState`] decides what the answers mean.
//!
//! Both work alone. The prober asks any `tower::Service<Request<Body>>`; its results may drive a balancer, or only be
//! reported:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::time::Duration;
//! use http::{Request, Response};
//! use meshlib::{
//!     cluster::{config::HealthCheckConfig, health::{HealthState, Prober}},
//!     http::Body,
//! };
//! use tower::service_fn;
//!
//! let second = Duration::from_secs(1);
//! let config = HealthCheckConfig::grpc(second, 10 * second, 2, 2);
//! let service = service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>(std::io::Error::other("refused")) });
//! let mut prober = Prober::new(service, &config, "echo").unwrap();
//! let mut state = HealthState::new(config.unhealthy_threshold, config.healthy_threshold);
//!
//! let result = prober.next().await;
//! state.observe(&result);
//! assert!(result.is_err());
//! assert!(!state.is_healthy());
//! # }
//! ```

mod connection;
mod custom;
mod grpc;
mod immediate;
mod prober;
mod result;
mod state;
mod stats;
mod wire;

pub(in crate::cluster) use self::prober::Check;
pub use self::{
    custom::CustomCheck,
    immediate::ImmediateFailures,
    prober::{Prober, TrafficFlag},
    result::{FailureKind, ProbeFailure, ProbeResult},
    state::HealthState,
    stats::HealthCheckStats,
};

#[cfg(test)]
mod tests;
