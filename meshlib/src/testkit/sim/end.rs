//! The end, and what is left after it.

use std::fmt;

use tokio::{runtime::Handle, time::sleep};

use super::{Node, Sim, secs};

/// How long what ends may take: the last lines of access logs and the last frames of connections have a second.
const GRACE: std::time::Duration = secs(2);

/// What a mesh left behind, where it should have left nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftovers {
    /// Gauges that are not back at zero: node, name, level.
    pub gauges: Vec<String>,
    /// Connections that an end still holds.
    pub connections: usize,
    /// Tasks on the runtime that were not there before the mesh.
    pub tasks: usize,
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gauges, connections, tasks } = self;
        write!(f, "the mesh left {tasks} tasks, {connections} connections and these gauges: {gauges:?}")
    }
}

impl std::error::Error for Leftovers {}

impl Sim {
    /// Ends everything, loads, proxies and applications, and looks at what is left after two seconds. Connections that
    /// the caller holds are counted too.
    ///
    /// # Errors
    /// Something is left.
    pub async fn stop(&mut self) -> Result<(), Leftovers> {
        self.due.clear();
        self.waiting.clear();
        self.loads.shutdown().await;
        for node in self.nodes.values_mut().chain(&mut self.replaced) {
            node.stop_proxy().await;
        }
        for node in self.nodes.values_mut().chain(&mut self.replaced) {
            node.stop_apps().await;
        }
        sleep(GRACE).await;
        let left = Leftovers {
            gauges: self.nodes.values().chain(&self.replaced).flat_map(Node::raised_gauges).collect(),
            connections: self.kit.network.all_open_connections(),
            tasks: tasks().saturating_sub(self.tasks_before),
        };
        if left == Leftovers::default() { Ok(()) } else { Err(left) }
    }
}

/// How many tasks are alive on the ambient runtime; none without one.
pub(super) fn tasks() -> usize {
    Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks())
}
