//! Round robin: strict rotation from a random start; by weight where weights differ (Envoy's `ROUND_ROBIN`).
//!
//! Hosts of equal weight take turns, one addition a pick. Otherwise each host is due again `1 / weight` after its last
//! turn and the earliest is picked: O(log n), in place. Neither allocates. Each picker starts at random, so that many
//! workers do not begin with the same host.
//!
//! ```
//! use std::sync::Arc;
//! use meshlib::base::resources::Rng;
//! use meshlib::cluster::{
//!     balance::{LbPolicy, PickContext},
//!     host::{HealthFlags, Host},
//!     host_set::HostSet,
//! };
//!
//! let host = |port: u16, weight| {
//!     Arc::new(Host::new(([127, 0, 0, 1], port).into(), None, weight, HealthFlags::HEALTHY))
//! };
//! let hosts = HostSet::new(vec![host(1, 3), host(2, 1)], 50.0);
//! let mut picker = LbPolicy::default().picker(Rng::new());
//! picker.update(&hosts);
//! let mut picks: Vec<_> = (0..4).filter_map(|_| picker.pick(&hosts, &PickContext::default())).collect();
//! picks.sort();
//! assert_eq!(picks, [0, 0, 0, 1]);
//! ```

mod edf;
#[cfg(test)]
mod tests;

use self::edf::Schedule;
use super::{HostSet, LoadBalancer, PickContext, Picker};
use crate::{base::resources::Rng, cluster::host::Host};

/// Round robin, by weight where weights differ (`ROUND_ROBIN`).
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl LoadBalancer for RoundRobin {
    fn name(&self) -> &str {
        "ROUND_ROBIN"
    }

    fn picker(&self, mut rng: Rng) -> Box<dyn Picker> {
        let rotation = Rotation { next: rng.usize(..), last: None };
        Box::new(RoundRobinPicker { rng, turns: Turns::Rotation(rotation) })
    }
}

#[derive(Debug)]
struct RoundRobinPicker {
    rng: Rng,
    turns: Turns,
}

#[derive(Clone, Debug)]
enum Turns {
    Rotation(Rotation),
    Schedule(Schedule),
}

impl Picker for RoundRobinPicker {
    fn update(&mut self, hosts: &HostSet) {
        let mut weights = eligible(hosts).map(Host::weight);
        let first = weights.next();
        let equal = weights.all(|weight| Some(weight) == first);
        match &mut self.turns {
            Turns::Rotation(rotation) if equal => rotation.update(hosts),
            Turns::Schedule(schedule) if !equal => schedule.update(hosts, &mut self.rng),
            Turns::Rotation(_) => {
                let mut schedule = Schedule::default();
                schedule.update(hosts, &mut self.rng);
                self.turns = Turns::Schedule(schedule);
            }
            Turns::Schedule(_) => self.turns = Turns::Rotation(Rotation { next: self.rng.usize(..), last: None }),
        }
    }

    fn fork(&mut self) -> Option<Box<dyn Picker>> {
        Some(Box::new(Self { rng: Rng::seeded(self.rng.u64(..)), turns: self.turns.clone() }))
    }

    fn pick(&mut self, hosts: &HostSet, request: &PickContext<'_>) -> Option<usize> {
        match &mut self.turns {
            Turns::Rotation(rotation) => rotation.pick(hosts, request.tried),
            Turns::Schedule(schedule) => schedule.pick(request.tried),
        }
    }
}

fn eligible(hosts: &HostSet) -> impl Iterator<Item = &Host> {
    hosts.eligible().iter().filter_map(|index| hosts.hosts().get(*index)).map(AsRef::as_ref)
}

/// Turns in the order of the hosts.
#[derive(Clone, Debug)]
struct Rotation {
    /// The position among the eligible hosts, modulo their number.
    next: usize,
    /// Who had the last turn, so that an update goes on behind it. An address: a picker keeps no host alive.
    last: Option<std::net::SocketAddr>,
}

impl Rotation {
    fn update(&mut self, hosts: &HostSet) {
        let Some(last) = self.last else { return };
        if let Some(position) = eligible(hosts).position(|host| host.address() == last) {
            self.next = position + 1;
        } else {
            // It left; who stood behind it has moved up into its place.
            self.next = self.next.wrapping_sub(1);
            self.last = None;
        }
    }

    /// One turn; hosts in `tried` are passed over unless there is no other.
    fn pick(&mut self, hosts: &HostSet, tried: &[usize]) -> Option<usize> {
        let eligible = hosts.eligible();
        let start = self.next.checked_rem(eligible.len())?;
        let turn = |offset: usize| {
            let position = (start + offset) % eligible.len();
            eligible.get(position).map(|index| (position, *index))
        };
        let untried = (0..eligible.len()).filter_map(turn).find(|(_, index)| !tried.contains(index));
        let (position, index) = untried.or_else(|| turn(0))?;
        self.next = position + 1;
        self.last = hosts.hosts().get(index).map(|host| host.address());
        Some(index)
    }
}
