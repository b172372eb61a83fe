//! Load balancers: which host takes a request.
//!
//! [`RoundRobin`] is here; one of your own is a policy and its picker:
//!
//! ```
//! use meshlib::base::resources::Rng;
//! use meshlib::cluster::{
//!     balance::{LbPolicy, LoadBalancer, PickContext, Picker},
//!     config::{ClusterConfig, DiscoveryConfig},
//!     host_set::HostSet,
//! };
//!
//! /// Always the first host that may be picked: the others only stand by.
//! #[derive(Debug)]
//! struct First;
//!
//! impl LoadBalancer for First {
//!     fn name(&self) -> &str {
//!         "FIRST"
//!     }
//!
//!     fn picker(&self, _: Rng) -> Box<dyn Picker> {
//!         Box::new(First)
//!     }
//! }
//!
//! impl Picker for First {
//!     fn update(&mut self, _: &HostSet) {}
//!
//!     fn pick(&mut self, hosts: &HostSet, request: &PickContext<'_>) -> Option<usize> {
//!         hosts.eligible().iter().copied().find(|host| !request.tried.contains(host))
//!     }
//! }
//!
//! let config = ClusterConfig::new("echo", DiscoveryConfig::fixed([])).lb_policy(LbPolicy::new(First));
//! assert_eq!(config.lb_policy.name(), "FIRST");
//! ```

mod picks;
mod round_robin;
mod service;

use std::{fmt, sync::Arc};

pub use self::{
    picks::{Picked, Picks},
    round_robin::RoundRobin,
    service::{Balance, ResponseFuture},
};

use super::host_set::HostSet;
use crate::base::{Identity, resources::Rng};

/// A policy: makes one [`Picker`] for each data path, so that picking needs no lock shared by workers.
pub trait LoadBalancer: Send + Sync + fmt::Debug {
    /// Envoy's name of the policy, `ROUND_ROBIN` for example; two policies of one name are the same configuration.
    fn name(&self) -> &str;

    /// A picker that draws from `rng`.
    fn picker(&self, rng: Rng) -> Box<dyn Picker>;
}

/// A load balancing policy as a configuration value: round robin by default.
#[derive(Clone, Debug)]
pub struct LbPolicy {
    load_balancer: Arc<dyn LoadBalancer>,
    identity: Identity,
}

impl LbPolicy {
    /// Any policy, an application's own included.
    pub fn new(load_balancer: impl LoadBalancer + 'static) -> Self {
        let identity = Identity::configured(load_balancer.name(), ());
        Self { load_balancer: Arc::new(load_balancer), identity }
    }

    /// Says what the policy was made of: two policies of one name are the same configuration if these values are equal.
    #[must_use]
    pub fn configured_by<C>(mut self, config: C) -> Self
    where
        C: PartialEq + fmt::Debug + Send + Sync + 'static,
    {
        self.identity = Identity::configured(self.identity.name().clone(), config);
        self
    }

    /// A picker of this policy that draws from `rng`.
    pub fn picker(&self, rng: Rng) -> Box<dyn Picker> {
        self.load_balancer.picker(rng)
    }

    /// The policy's name.
    pub fn name(&self) -> &str {
        self.load_balancer.name()
    }
}

impl Default for LbPolicy {
    fn default() -> Self {
        Self::new(RoundRobin)
    }
}

impl PartialEq for LbPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

/// Picks hosts for one data path.
pub trait Picker: Send + fmt::Debug {
    /// A new host set was published; called before the first pick from it.
    fn update(&mut self, hosts: &HostSet);

    /// A copy, which is told of a new host set while this one goes on picking from the old set, and then takes its
    /// place; it does not know of the picks between. `None`, the default: this one is told, and picks wait meanwhile.
    /// For pickers whose [`update`](Self::update) looks at every host.
    fn fork(&mut self) -> Option<Box<dyn Picker>> {
        None
    }

    /// The index, in [`HostSet::hosts`], of the host that takes this request; `None` when none may.
    fn pick(&mut self, hosts: &HostSet, request: &PickContext<'_>) -> Option<usize>;
}

/// What a picker may look at.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct PickContext<'a> {
    /// Hosts that could not be connected to for this request, by index in [`HostSet::hosts`]; to be avoided while
    /// others are eligible, and passed over if a picker answers one all the same.
    pub tried: &'a [usize],
    /// The request's headers.
    pub headers: Option<&'a http::HeaderMap>,
}
