//! What happens when.

use std::time::Duration;

use super::{Event, Sim};
use crate::{
    base::DrainTimes,
    testkit::{Answer, Health},
};

/// Schedules events of a [`Sim`]: each method adds one for this time, in the order of the calls.
#[derive(Debug)]
pub struct At<'a> {
    sim: &'a mut Sim,
    at: Duration,
}

impl<'a> At<'a> {
    pub(super) fn new(sim: &'a mut Sim, at: Duration) -> Self {
        Self { sim, at }
    }

    /// Any event.
    pub fn event(self, event: Event) -> Self {
        self.sim.due.insert((self.at, self.sim.scheduled), event);
        self.sim.scheduled += 1;
        self
    }

    /// [`Event::Start`].
    pub fn start(self, node: &str) -> Self {
        self.event(Event::Start(node.to_owned()))
    }

    /// [`Event::Kill`].
    pub fn kill(self, node: &str) -> Self {
        self.event(Event::Kill(node.to_owned()))
    }

    /// [`Event::Vanish`].
    pub fn vanish(self, node: &str) -> Self {
        self.event(Event::Vanish(node.to_owned()))
    }

    /// [`Event::Drain`].
    pub fn drain(self, node: &str, times: DrainTimes) -> Self {
        self.event(Event::Drain(node.to_owned(), times))
    }

    /// [`Event::SwapCertificate`].
    pub fn swap_certificate(self, node: &str) -> Self {
        self.event(Event::SwapCertificate(node.to_owned()))
    }

    /// The node's applications are healthy.
    pub fn serving(self, node: &str) -> Self {
        self.event(Event::Health(node.to_owned(), Health::Serving))
    }

    /// The node's applications say NOT_SERVING.
    pub fn not_serving(self, node: &str) -> Self {
        self.event(Event::Health(node.to_owned(), Health::NotServing))
    }

    /// [`Event::Delay`].
    pub fn delay(self, node: &str, delay: Duration) -> Self {
        self.event(Event::Delay(node.to_owned(), delay))
    }

    /// [`Event::Answer`].
    pub fn answer(self, node: &str, answer: Answer) -> Self {
        self.event(Event::Answer(node.to_owned(), answer))
    }

    /// A name has these addresses, each written as one or by the name of a node.
    ///
    /// # Panics
    /// There is no such node.
    pub fn set_dns<'n>(self, name: &str, nodes: impl IntoIterator<Item = &'n str>) -> Self {
        let addresses = nodes.into_iter().map(|node| self.sim.address_of(node)).collect();
        self.event(Event::Dns(name.to_owned(), addresses))
    }

    /// [`Event::DnsFails`].
    pub fn fail_dns(self, name: &str) -> Self {
        self.event(Event::DnsFails(name.to_owned()))
    }

    /// [`Event::Refuse`].
    pub fn refuse(self, node: &str) -> Self {
        self.event(Event::Refuse(node.to_owned()))
    }

    /// [`Event::BlackHole`].
    pub fn black_hole(self, node: &str) -> Self {
        self.event(Event::BlackHole(node.to_owned()))
    }

    /// [`Event::Restore`].
    pub fn restore(self, node: &str) -> Self {
        self.event(Event::Restore(node.to_owned()))
    }

    /// [`Event::Cut`].
    pub fn cut(self, node: &str) -> Self {
        self.event(Event::Cut(node.to_owned()))
    }

    /// [`Event::HalfOpen`].
    pub fn half_open(self, node: &str) -> Self {
        self.event(Event::HalfOpen(node.to_owned()))
    }

    /// [`Event::Partition`].
    pub fn partition(self, one: &str, other: &str) -> Self {
        self.event(Event::Partition(one.to_owned(), other.to_owned()))
    }

    /// [`Event::Heal`].
    pub fn heal(self, one: &str, other: &str) -> Self {
        self.event(Event::Heal(one.to_owned(), other.to_owned()))
    }
}
