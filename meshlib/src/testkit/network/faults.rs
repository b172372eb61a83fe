//! What goes wrong in a network.

use std::net::{IpAddr, SocketAddr};

use super::{
    MemoryNetwork,
    state::{Fault, pair},
};
use crate::testkit::{link::Link, pipe::Scissors};

impl MemoryNetwork {
    /// Connections to `address` are refused, though somebody may listen there.
    pub fn refuse(&self, address: SocketAddr) {
        self.state().set_fault(self.place(address), Some(Fault::Refuses));
    }

    /// Connections to `address` are neither accepted nor refused, ever.
    pub fn black_hole(&self, address: SocketAddr) {
        self.state().set_fault(self.place(address), Some(Fault::BlackHole));
    }

    /// Connections to `address` are made again.
    pub fn restore(&self, address: SocketAddr) {
        self.state().set_fault(self.place(address), None);
    }

    /// Resets every open connection that was made to `address`; says how many there were.
    pub fn cut(&self, address: SocketAddr) -> usize {
        let place = self.place(address);
        self.each_open(|to, _| *to == place, Scissors::cut)
    }

    /// Resets every open connection from or to a node, its own loopback aside; says how many there were.
    pub fn cut_node(&self, node: IpAddr) -> usize {
        self.each_open(|(to, _), from| (*to == node) != (from == node), Scissors::cut)
    }

    /// Every open connection that was made to `address` carries nothing more, and neither end hears of it: what a
    /// firewall that forgets does. Says how many there were.
    pub fn half_open(&self, address: SocketAddr) -> usize {
        let place = self.place(address);
        self.each_open(|to, _| *to == place, Scissors::lose)
    }

    /// Connections between two nodes go over this link from now on, those that are open too.
    pub fn set_link(&self, one: IpAddr, other: IpAddr, link: Link) {
        self.state().set_link(one, other, link);
        self.each_open(|(to, _), from| pair(*to, from) == pair(one, other), |open| open.set_link(link));
    }

    /// Connections between different nodes that have no link of their own go over this one. Call it first: those that
    /// are open stay as they are.
    pub fn set_default_link(&self, link: Link) {
        self.state().set_default_link(link);
    }

    /// Nothing gets from one of these nodes to the other until [`heal`](Self::heal): connects hang, and what is sent
    /// arrives afterwards.
    pub fn partition(&self, one: IpAddr, other: IpAddr) {
        self.state().set_partition(one, other, true);
        self.hold();
    }

    /// Ends a [`partition`](Self::partition).
    pub fn heal(&self, one: IpAddr, other: IpAddr) {
        self.state().set_partition(one, other, false);
        self.hold();
    }

    /// Parts a node from all others, until [`rejoin`](Self::rejoin).
    pub fn isolate(&self, node: IpAddr) {
        self.state().set_isolated(node, true);
        self.hold();
    }

    /// Ends what [`isolate`](Self::isolate) began. Partitions between two nodes stay.
    pub fn rejoin(&self, node: IpAddr) {
        self.state().set_isolated(node, false);
        self.hold();
    }

    /// Holds back, or lets go, what is open between nodes that are parted now, or no more.
    fn hold(&self) {
        let all: Vec<_> = {
            let state = self.state();
            state.all_open().map(|(to, open)| (open.scissors.clone(), state.is_parted(to.0, open.from))).collect()
        };
        all.iter().for_each(|(open, held)| open.hold(*held));
        self.shared.healed.notify_waiters();
    }

    fn each_open(&self, which: impl Fn(&(IpAddr, SocketAddr), IpAddr) -> bool, what: impl Fn(&Scissors)) -> usize {
        // Wakes tasks: not under the lock.
        let open: Vec<_> = self.state().open(which).cloned().collect();
        open.iter().for_each(what);
        open.len()
    }
}
