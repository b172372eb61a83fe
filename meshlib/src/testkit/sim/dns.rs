//! A name.

use std::time::Duration;

use super::Sim;

/// A name of the scripted DNS of a [`Sim`]. What is set here holds at once; [`Sim::at`] has it at a time.
#[derive(Debug)]
pub struct DnsName<'a> {
    sim: &'a Sim,
    name: &'a str,
}

impl<'a> DnsName<'a> {
    pub(super) fn new(sim: &'a Sim, name: &'a str) -> Self {
        Self { sim, name }
    }

    /// It has these addresses, each written as one or by the name of a node. None is an answer too.
    ///
    /// # Panics
    /// There is no such node.
    pub fn set<'n>(self, nodes: impl IntoIterator<Item = &'n str>) {
        self.set_with_ttl(nodes, Duration::from_secs(60));
    }

    /// The same, valid for so long.
    ///
    /// # Panics
    /// There is no such node.
    pub fn set_with_ttl<'n>(self, nodes: impl IntoIterator<Item = &'n str>, ttl: Duration) {
        let addresses = nodes.into_iter().map(|node| self.sim.address_of(node));
        self.sim.kit.dns.set_with_ttl(self.name, addresses, ttl);
    }

    /// It does not exist (NXDOMAIN).
    pub fn nx(self) {
        self.sim.kit.dns.nx(self.name);
    }

    /// Questions for it fail (SERVFAIL).
    pub fn fail(self) {
        self.sim.kit.dns.fail(self.name);
    }

    /// Questions for it are not answered.
    pub fn hang(self) {
        self.sim.kit.dns.hang(self.name);
    }
}
