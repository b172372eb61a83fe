//! Who is in a cluster: identity, health and departure of hosts.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::probes::{Probes, Report};
use crate::{
    base::task::AbortOnDropHandle,
    cluster::{
        health::HealthState,
        host::{HealthFlags, Host},
    },
    discovery::Endpoint,
};

/// A host's identity, never used twice; in the order in which hosts came.
pub(super) type HostId = u64;

/// The hosts of a cluster.
pub(super) struct Members {
    members: BTreeMap<HostId, Member>,
    next: HostId,
    ignore_health_on_removal: bool,
    cluster: Arc<str>,
}

struct Member {
    host: Arc<Host>,
    states: Vec<HealthState>,
    _probes: Vec<AbortOnDropHandle<()>>,
}

/// What an update changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Hosts came or went.
    pub(super) membership: bool,
    /// Weights are others.
    pub(super) weights: bool,
}

impl Change {
    pub(super) fn any(self) -> bool {
        self.membership || self.weights
    }
}

impl Members {
    pub(super) fn new(cluster: Arc<str>, ignore_health_on_removal: bool) -> Self {
        Self { members: BTreeMap::new(), next: 0, ignore_health_on_removal, cluster }
    }

    /// Takes a full set of endpoints: the first of each address counts.
    pub(super) fn update(&mut self, endpoints: &[Endpoint], probes: &Probes) -> Change {
        let mut wanted = Wanted::new(endpoints);
        let mut change = Change::default();
        self.members.retain(|_, member| {
            if let Some(endpoint) = wanted.take(member.host.address()) {
                change.weights |= member.found_again(endpoint);
                return true;
            }
            // Without checks no host is failing one.
            let stays = probes.any() && !self.ignore_health_on_removal && member.passes();
            member.host.set_health(HealthFlags::PENDING_DYNAMIC_REMOVAL, stays);
            change.membership |= !stays;
            stays
        });
        for endpoint in wanted.rest() {
            self.add(endpoint, probes);
            change.membership = true;
        }
        change
    }

    fn add(&mut self, endpoint: &Endpoint, probes: &Probes) {
        let health = if probes.any() { HealthFlags::FAILED_ACTIVE_HC } else { HealthFlags::HEALTHY };
        let host = Arc::new(Host::new(endpoint.address, endpoint.hostname.clone(), endpoint.weight, health));
        let id = self.next;
        self.next += 1;
        let member = Member { states: probes.states(), _probes: probes.start(id, &host), host };
        self.members.insert(id, member);
    }

    /// Takes a result; answers whether the host's health is another now.
    pub(super) fn observe(&mut self, report: &Report) -> bool {
        let Some(member) = self.members.get_mut(&report.host) else { return false };
        let Some(state) = member.states.get_mut(report.check) else { return false };
        let first = !state.is_known();
        state.observe(&report.result);
        let healthy = member.states.iter().all(HealthState::is_healthy);
        let changed = member.host.set_health(HealthFlags::FAILED_ACTIVE_HC, !healthy);
        let host = member.host.address();
        match &report.result {
            Ok(()) if changed => tracing::info!(cluster = %self.cluster, %host, "host is healthy"),
            Ok(()) => {}
            Err(reason) if changed || first => {
                tracing::info!(cluster = %self.cluster, %host, %reason, "host is unhealthy");
            }
            Err(reason) => tracing::debug!(cluster = %self.cluster, %host, %reason, "health check failed"),
        }
        changed
    }

    /// A host asked to be left; answers whether its health is another now. Without checks it could not come back.
    pub(super) fn fail(&mut self, host: &Arc<Host>) -> bool {
        let member = self.members.values_mut().find(|member| Arc::ptr_eq(&member.host, host));
        let Some(member) = member.filter(|member| !member.states.is_empty()) else { return false };
        member.states.iter_mut().for_each(|state| _ = state.fail());
        let changed = host.set_health(HealthFlags::FAILED_ACTIVE_HC, true);
        if changed {
            tracing::info!(cluster = %self.cluster, host = %host.address(), "host asked to be left");
        }
        changed
    }

    /// Whether each check of a host had a result, or the host is gone.
    pub(super) fn is_checked(&self, id: HostId) -> bool {
        self.members.get(&id).is_none_or(|member| member.states.iter().all(HealthState::is_known))
    }

    /// The hosts' identities.
    pub(super) fn ids(&self) -> impl Iterator<Item = HostId> {
        self.members.keys().copied()
    }

    /// The hosts, in the order in which they came.
    pub(super) fn hosts(&self) -> Vec<Arc<Host>> {
        self.members.values().map(|member| member.host.clone()).collect()
    }

    /// How many hosts pass their checks.
    pub(super) fn passing(&self) -> usize {
        self.members.values().filter(|member| member.passes()).count()
    }
}

/// A set of endpoints to be found by address. Sorted, not hashed: to hash an address takes longer than to search for it
/// among 10,000.
struct Wanted<'a> {
    /// By address; the number is the place among all endpoints.
    endpoints: Vec<(usize, &'a Endpoint)>,
    taken: Vec<bool>,
    /// Behind the one that was found last: most sets come in the order of their addresses.
    next: usize,
}

impl<'a> Wanted<'a> {
    fn new(endpoints: &'a [Endpoint]) -> Self {
        let mut endpoints: Vec<_> = endpoints.iter().enumerate().collect();
        // Equal addresses keep their order, so that the first of them stays.
        endpoints.sort_by_key(|(_, endpoint)| endpoint.address);
        endpoints.dedup_by_key(|(_, endpoint)| endpoint.address);
        let taken = vec![false; endpoints.len()];
        Self { endpoints, taken, next: 0 }
    }

    /// The endpoint of this address, if there is one that was not taken before.
    fn take(&mut self, address: SocketAddr) -> Option<&'a Endpoint> {
        let is_next = self.endpoints.get(self.next).is_some_and(|(_, endpoint)| endpoint.address == address);
        let search = || self.endpoints.binary_search_by_key(&address, |(_, endpoint)| endpoint.address).ok();
        let at = if is_next { self.next } else { search()? };
        self.next = at + 1;
        let taken = self.taken.get_mut(at)?;
        if std::mem::replace(taken, true) {
            return None;
        }
        self.endpoints.get(at).map(|(_, endpoint)| *endpoint)
    }

    /// The endpoints that nobody took, in their own order.
    fn rest(self) -> impl Iterator<Item = &'a Endpoint> {
        let free = self.endpoints.into_iter().zip(self.taken).filter(|(_, taken)| !taken);
        let mut rest: Vec<_> = free.map(|(endpoint, _)| endpoint).collect();
        rest.sort_unstable_by_key(|(place, _)| *place);
        rest.into_iter().map(|(_, endpoint)| endpoint)
    }
}

impl Member {
    fn passes(&self) -> bool {
        !self.host.health().contains(HealthFlags::FAILED_ACTIVE_HC)
    }

    /// Answers whether its weight changed.
    fn found_again(&self, endpoint: &Endpoint) -> bool {
        self.host.set_health(HealthFlags::PENDING_DYNAMIC_REMOVAL, false);
        let before = self.host.weight();
        self.host.set_weight(endpoint.weight);
        before != self.host.weight()
    }
}
