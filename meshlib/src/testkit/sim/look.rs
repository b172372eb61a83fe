//! What can be seen of a simulated mesh.

use std::{collections::BTreeMap, time::Duration};

use super::{CLIENT, Call, Dialler, Node, Outcome, Sim, unknown};
use crate::testkit::{App, Happened, Testkit};

impl Sim {
    /// The time since the beginning.
    pub fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// The node of this name.
    ///
    /// # Panics
    /// There is none.
    pub fn node(&self, name: &str) -> &Node {
        self.nodes.get(name).unwrap_or_else(|| unknown(name))
    }

    /// The nodes, in the order of their names.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The first application of the node of this name.
    ///
    /// # Panics
    /// There is no such node, or it has no application.
    pub fn app(&self, name: &str) -> &App {
        self.node(name).app().unwrap_or_else(|| unknown(name))
    }

    /// The world around the nodes: network, names.
    pub fn kit(&self) -> &Testkit {
        &self.kit
    }

    /// What clients reach a node with: its first listener, with TLS if it has that.
    ///
    /// # Panics
    /// There is no such node, or it has no listener.
    pub fn dialler(&self, name: &str) -> Dialler {
        let listener = self.node(name).config().listeners.first().unwrap_or_else(|| unknown(name));
        Dialler::new(self.node(name), listener, &self.kit.network.at(CLIENT), &self.trusted)
    }

    /// Every call of every load so far, in the order in which they began.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.all()
    }

    /// How many of the calls that began at `from` or later, and before `until`, did not succeed.
    pub fn errors_between(&self, from: Duration, until: Duration) -> usize {
        let within = |call: &&Call| (from..until).contains(&call.begin);
        self.calls().iter().filter(within).filter(|call| !call.outcome.is_success()).count()
    }

    /// Who answered how many of the calls that began at `from` or later, and before `until`.
    pub fn answered_between(&self, from: Duration, until: Duration) -> BTreeMap<String, usize> {
        let mut answered = BTreeMap::new();
        for call in self.calls().into_iter().filter(|call| (from..until).contains(&call.begin)) {
            if let Outcome::Answered { by: Some(by), .. } = call.outcome {
                *answered.entry(by).or_default() += 1;
            }
        }
        answered
    }

    /// What happened so far: connections, names, events, hosts that came, went or changed their health, calls.
    pub fn trace(&self) -> Vec<Happened> {
        self.kit.trace.events()
    }
}
