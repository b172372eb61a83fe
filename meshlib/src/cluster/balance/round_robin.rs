//! Round robin: strict rotation from a random start.

use super::{HostSet, LoadBalancer, PickContext, Picker};

/// Round robin, by weight where weights differ (`ROUND_ROBIN`).
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl LoadBalancer for RoundRobin {
    fn name(&self) -> &str {
        "ROUND_ROBIN"
    }

    fn picker(&self, mut rng: fastrand::Rng) -> Box<dyn Picker> {
        Box::new(Rotation { next: rng.usize(..) })
    }
}

#[derive(Debug)]
struct Rotation {
    next: usize,
}

impl Picker for Rotation {
    fn update(&mut self, _: &HostSet) {}

    fn pick(&mut self, hosts: &HostSet, _: &PickContext<'_>) -> Option<usize> {
        let eligible = hosts.eligible();
        self.next = self.next.wrapping_add(1);
        eligible.get(self.next.checked_rem(eligible.len())?).copied()
    }
}
