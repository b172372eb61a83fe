//! What happens to a mesh.

use std::{net::IpAddr, time::Duration};

use super::{Sim, SimError};
use crate::{
    base::DrainTimes,
    testkit::{Answer, Health, Link},
};

/// Something that happens to a simulated mesh, at once by [`Sim::apply`] or at a time by [`Sim::at`]. Nodes go by their
/// names.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The node's applications and its proxy start, if they do not run; a node that [vanished](Self::Vanish) is back.
    Start(String),
    /// The node's proxy starts.
    StartProxy(String),
    /// The node's applications start.
    StartApps(String),
    /// Applications and proxy end at once, as processes that are killed: the kernel closes their connections.
    Kill(String),
    /// The node's proxy ends at once.
    KillProxy(String),
    /// The node's applications end at once.
    KillApps(String),
    /// The node is gone without a word, as a machine without power: peers hear nothing, connects hang.
    Vanish(String),
    /// The proxy begins to drain, as on SIGTERM.
    Drain(String, DrainTimes),
    /// A new certificate is written over the one of the node.
    SwapCertificate(String),
    /// What the node's applications say of their health.
    Health(String, Health),
    /// How long an echo of the node's applications takes.
    Delay(String, Duration),
    /// What the node's applications do with calls.
    Answer(String, Answer),
    /// A name has these addresses.
    Dns(String, Vec<IpAddr>),
    /// A name does not exist.
    DnsNx(String),
    /// Questions for a name fail.
    DnsFails(String),
    /// Questions for a name are not answered.
    DnsHangs(String),
    /// Connections to the node's first listener are refused.
    Refuse(String),
    /// Connections to the node's first listener hang for ever.
    BlackHole(String),
    /// Connections to the node's first listener are made again.
    Restore(String),
    /// Open connections from and to the node are reset.
    Cut(String),
    /// Open connections to the node's first listener carry nothing more, and nobody is told.
    HalfOpen(String),
    /// Nothing gets from one node to the other.
    Partition(String, String),
    /// Ends a partition.
    Heal(String, String),
    /// Nothing gets from or to the node.
    Isolate(String),
    /// Ends that.
    Rejoin(String),
    /// How fast bytes go between two nodes.
    Link(String, String, Link),
}

impl Sim {
    /// Lets something happen now.
    ///
    /// # Panics
    /// There is no node of that name.
    pub async fn apply(&mut self, event: Event) {
        self.boot().await;
        self.kit.trace.note(|| format!("-- {event:?}"));
        match event {
            Event::Start(_)
            | Event::StartProxy(_)
            | Event::StartApps(_)
            | Event::Kill(_)
            | Event::KillProxy(_)
            | Event::KillApps(_)
            | Event::Vanish(_) => self.begin_or_end(event).await,
            Event::Dns(name, addresses) => self.kit.dns.set(&name, addresses),
            Event::DnsNx(name) => self.kit.dns.nx(&name),
            Event::DnsFails(name) => self.kit.dns.fail(&name),
            Event::DnsHangs(name) => self.kit.dns.hang(&name),
            Event::Drain(..) | Event::SwapCertificate(_) | Event::Health(..) | Event::Delay(..) | Event::Answer(..) => {
                self.tell_node(event);
            }
            _ => self.change_network(event),
        }
    }

    async fn begin_or_end(&mut self, event: Event) {
        match event {
            Event::Start(name) => {
                self.kit.network.rejoin(self.address_of(&name));
                self.node_mut(&name).start_apps();
                self.node_mut(&name).start_proxy();
            }
            Event::StartProxy(name) => self.node_mut(&name).start_proxy(),
            Event::StartApps(name) => self.node_mut(&name).start_apps(),
            Event::Vanish(name) => {
                self.kit.network.isolate(self.address_of(&name));
                self.end(&name).await;
            }
            Event::Kill(name) => self.end(&name).await,
            Event::KillProxy(name) => self.node_mut(&name).stop_proxy().await,
            Event::KillApps(name) => self.node_mut(&name).stop_apps().await,
            _ => {}
        }
    }

    async fn end(&mut self, name: &str) {
        // The proxy first: it must not answer for an application that is gone already.
        self.node_mut(name).stop_proxy().await;
        self.node_mut(name).stop_apps().await;
    }

    fn tell_node(&mut self, event: Event) {
        match event {
            Event::Drain(name, times) => self.node(&name).drain(times),
            Event::SwapCertificate(name) => {
                if let Err(error) = self.node(&name).swap_certificates(&self.trusted) {
                    self.kit.trace.note(|| format!("{name}: no new certificate: {error}"));
                }
            }
            Event::Health(name, health) => self.node(&name).apps().for_each(|(_, app)| app.set_health(health)),
            Event::Delay(name, delay) => self.node(&name).apps().for_each(|(_, app)| app.set_delay(delay)),
            Event::Answer(name, answer) => self.node(&name).apps().for_each(|(_, app)| app.otherwise(answer)),
            _ => {}
        }
    }

    fn change_network(&self, event: Event) {
        let network = &self.kit.network;
        match event {
            Event::Refuse(name) => network.refuse(self.front_of(&name)),
            Event::BlackHole(name) => network.black_hole(self.front_of(&name)),
            Event::Restore(name) => network.restore(self.front_of(&name)),
            Event::Cut(name) => drop(network.cut_node(self.address_of(&name))),
            Event::HalfOpen(name) => drop(network.half_open(self.front_of(&name))),
            Event::Partition(one, other) => network.partition(self.address_of(&one), self.address_of(&other)),
            Event::Heal(one, other) => network.heal(self.address_of(&one), self.address_of(&other)),
            Event::Isolate(name) => network.isolate(self.address_of(&name)),
            Event::Rejoin(name) => network.rejoin(self.address_of(&name)),
            Event::Link(one, other, link) => network.set_link(self.address_of(&one), self.address_of(&other), link),
            _ => {}
        }
    }

    /// Starts a node now, and waits until its proxy serves.
    ///
    /// # Errors
    /// It cannot start.
    ///
    /// # Panics
    /// There is no such node.
    pub async fn start(&mut self, name: &str) -> Result<(), SimError> {
        self.apply(Event::Start(name.to_owned())).await;
        self.node(name).started().await.map(drop)
    }

    /// Starts the nodes that were added, and waits until the proxy of each, unless it is
    /// [held back](Self::hold_back), serves.
    ///
    /// # Errors
    /// One cannot start.
    pub async fn started(&mut self) -> Result<(), SimError> {
        self.boot().await;
        for node in self.nodes.values().filter(|node| !matches!(node.state(), super::NodeState::Down)) {
            node.started().await?;
        }
        Ok(())
    }
}
