//! One control task for each cluster: discovery and health checks in, one [`HostSet`] out.
//!
//! The task alone decides who is in the set and who is healthy, and publishes a new immutable set when that changed:
//!
//! - A host keeps its identity, and with it its numbers and its health, for as long as its address stays.
//! - With health checks a new host begins as failing, is checked at once, and its first result decides.
//! - A host that says so itself (`x-envoy-immediate-health-check-fail`) is failing at once.
//! - A host that discovery dropped stays while it passes its checks, and goes at the first update after it fails;
//!   without checks, or with `ignore_health_on_host_removal`, it goes at once.
//! - The cluster is *warm* once each name of its discovery was answered or failed, and each host found until then had
//!   its first result. A dead DNS server delays that by the 5 s of one resolution, a dead host by the check's timeout.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::sync::Arc;
//! use meshlib::{
//!     base::{Error, ErrorKind, resources::BoxFuture},
//!     cluster::{
//!         config::{ClusterConfig, DiscoveryConfig, StaticEndpoint},
//!         control::{Control, ControlInputs},
//!         host::Host,
//!     },
//!     http::ArcService,
//! };
//!
//! # let resources = meshlib::testkit::resources();
//! let endpoint = StaticEndpoint::new("127.0.0.1:8081".parse().unwrap());
//! let config = ClusterConfig::new("echo", DiscoveryConfig::Static(vec![endpoint]));
//! // Without health checks nothing is connected to.
//! let connect = |_: &Arc<Host>| -> BoxFuture<Result<ArcService, Error>> {
//!     Box::pin(async { Err(Error::new(ErrorKind::ConnectFailure)) })
//! };
//! let inputs = ControlInputs::new(&config, Arc::new(connect), &resources).unwrap();
//! let control = Control::start(inputs, &resources).unwrap();
//! control.warmed().await;
//! assert_eq!(control.hosts().load().healthy(), 1);
//! # }
//! ```

mod members;
mod probes;
mod stats;
mod task;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use tokio::sync::watch;

use self::{probes::Probes, stats::ControlStats, task::Task};
pub use super::health::{ImmediateFailures, TrafficFlag};
use super::{
    config::{ClusterConfig, DiscoveryConfig, HealthCheckConfig},
    host::Host,
    host_set::{HostSet, HostSetCell},
};
use crate::{
    base::{Error, Resources, resources::BoxFuture, task::AbortOnDropHandle},
    discovery::{Discover, Fixed, StrictDns, UpdateStats},
    http::ArcService,
};

/// Makes the connections of health checks. Closures do.
pub trait ProbeConnect: Send + Sync {
    /// Opens a new connection to `host`, bounded by the check's timeout; it ends with the last clone of the service.
    fn connect(&self, host: &Arc<Host>) -> BoxFuture<Result<ArcService, Error>>;
}

impl<F> ProbeConnect for F
where
    F: Fn(&Arc<Host>) -> BoxFuture<Result<ArcService, Error>> + Send + Sync,
{
    fn connect(&self, host: &Arc<Host>) -> BoxFuture<Result<ArcService, Error>> {
        self(host)
    }
}

/// What a control task works with.
#[non_exhaustive]
pub struct ControlInputs {
    /// The cluster's name: in stats and logs, and the `:authority` of health checks that name none.
    pub name: Arc<str>,
    /// Where endpoints come from.
    pub discover: Box<dyn Discover>,
    /// Below this percentage of healthy hosts, health is ignored.
    pub panic_threshold: f64,
    /// The health checks; a host is healthy if it passes all of them.
    pub health_checks: Vec<HealthCheckConfig>,
    /// Whether a host that discovery dropped goes at once, healthy or not.
    pub ignore_health_on_host_removal: bool,
    /// Whether the cluster ever opened a connection for a request: whoever opens them marks it.
    pub traffic: TrafficFlag,
    /// Hosts that asked to be left: whoever has their responses reports them.
    pub immediate_failures: ImmediateFailures,
    /// How health checks reach a host.
    pub connect: Arc<dyn ProbeConnect>,
}

impl ControlInputs {
    /// What `config` says, its discovery over `resources`, and a traffic flag of its own.
    ///
    /// # Errors
    /// The discovery is one that was used already ([`Configuration`](crate::base::ErrorKind::Configuration)).
    pub fn new(config: &ClusterConfig, connect: Arc<dyn ProbeConnect>, resources: &Resources) -> Result<Self, Error> {
        Ok(Self {
            name: config.name.clone(),
            discover: discover(&config.discovery, &config.name, resources)?,
            panic_threshold: config.panic_threshold,
            health_checks: config.health_checks.clone(),
            ignore_health_on_host_removal: config.ignore_health_on_host_removal,
            traffic: TrafficFlag::new(),
            immediate_failures: ImmediateFailures::new(),
            connect,
        })
    }
}

impl fmt::Debug for ControlInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlInputs").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The discovery that `config` describes, counted as `cluster`'s.
///
/// # Errors
/// Those of [`CustomDiscovery::start`].
///
/// [`CustomDiscovery::start`]: crate::discovery::CustomDiscovery::start
pub fn discover(config: &DiscoveryConfig, cluster: &str, resources: &Resources) -> Result<Box<dyn Discover>, Error> {
    Ok(match config {
        DiscoveryConfig::Static(endpoints) => Box::new(Fixed::from(endpoints.as_slice())),
        DiscoveryConfig::Custom(discovery) => discovery.start(resources)?,
        DiscoveryConfig::StrictDns(config) => {
            let dns = StrictDns::new(config.clone(), resources.resolver().clone(), resources.random().fork());
            Box::new(dns.with_stats(UpdateStats::new(resources.stats(), cluster)))
        }
    })
}

/// Starts control tasks.
#[derive(Clone, Copy, Debug)]
pub struct Control;

impl Control {
    /// Starts a control task, and one task for each health check of each host, on the ambient runtime.
    ///
    /// # Errors
    /// A health check cannot be sent as configured
    /// ([`Configuration`](crate::base::ErrorKind::Configuration)).
    pub fn start(inputs: ControlInputs, resources: &Resources) -> Result<ControlHandle, Error> {
        let hosts = HostSetCell::new(HostSet::new(Vec::new(), inputs.panic_threshold));
        let (warm, warmed) = watch::channel(false);
        let (probes, reports) = Probes::new(&inputs, resources)?;
        let stats = ControlStats::new(resources.stats(), &inputs.name, !inputs.health_checks.is_empty());
        let task = Task::new(inputs, (probes, reports), hosts.clone(), warm, stats);
        Ok(ControlHandle { hosts, warmed, _task: AbortOnDropHandle::spawn(task.run()) })
    }
}

/// A running control task. Dropping it ends the task and all checks; the last published set stays as it is.
#[derive(Debug)]
pub struct ControlHandle {
    hosts: HostSetCell,
    warmed: watch::Receiver<bool>,
    _task: AbortOnDropHandle<()>,
}

impl ControlHandle {
    /// Where the cluster's hosts are published.
    pub fn hosts(&self) -> &HostSetCell {
        &self.hosts
    }

    /// Whether the cluster is warm.
    pub fn is_warm(&self) -> bool {
        *self.warmed.borrow()
    }

    /// Waits until the cluster is warm; at once if the task has ended. The future does not borrow.
    pub fn warmed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut warmed = self.warmed.clone();
        async move {
            // An error says that nobody is left who could warm it: waiting on would be for ever.
            let _ = warmed.wait_for(|warm| *warm).await;
        }
    }
}
