//! How a node starts and ends.

use std::sync::Arc;

use super::{Node, NodeState};
use crate::{
    base::{DrainPhase, DrainTimes},
    proxy::server::Server,
    testkit::sim::{SimError, watch::HostWatch},
};

impl Node {
    pub(in crate::testkit::sim) fn hold_back(&mut self) {
        self.held_back = true;
    }

    pub(in crate::testkit::sim) fn boot(&mut self) {
        self.start_apps();
        if !self.held_back {
            self.start_proxy();
        }
    }

    pub(in crate::testkit::sim) fn start_apps(&mut self) {
        let (trace, network) = (&self.kit.trace, &self.kit.network);
        for (at, app, serving) in self.apps.iter_mut().filter(|(_, _, serving)| serving.is_none()) {
            match app.serve(network, *at) {
                Ok(started) => *serving = Some(started),
                Err(error) => trace.note(|| format!("{}: the application cannot listen at {at}: {error}", app.name())),
            }
        }
    }

    pub(in crate::testkit::sim) async fn stop_apps(&mut self) {
        for (_, _, serving) in &mut self.apps {
            if let Some(serving) = serving.take() {
                serving.end().await;
            }
        }
    }

    /// Starts its proxy, unless it runs.
    pub(in crate::testkit::sim) fn start_proxy(&mut self) {
        if matches!(&*self.proxy.borrow(), NodeState::Starting | NodeState::Up(_)) {
            return;
        }
        self.past.push(self.stats().clone());
        self.kit = self.kit.again();
        self.proxy.send_replace(NodeState::Starting);
        let starting = Server::start(self.config.clone(), self.kit.resources.clone());
        let (name, trace) = (self.name.clone(), self.kit.trace.clone());
        let (proxy, watches) = (self.proxy.clone(), self.watches.clone());
        let clusters: Vec<_> = self.config.clusters.iter().map(|cluster| cluster.name.clone()).collect();
        self.life = Some(tokio::spawn(async move {
            let server = match starting.await {
                Ok(server) => server,
                Err(error) => {
                    trace.note(|| format!("{name} cannot start: {error}"));
                    proxy.send_replace(NodeState::Failed(error.to_string()));
                    return;
                }
            };
            trace.note(|| format!("{name} serves"));
            let started = clusters.iter().filter_map(|cluster| server.cluster(cluster).ok());
            let started: Vec<_> = started.map(|cluster| HostWatch::start(&name, cluster, &trace)).collect();
            watches.send_modify(|watches| watches.extend(started));
            let server = Arc::new(server);
            proxy.send_replace(NodeState::Up(server.clone()));
            server.finished().await;
            trace.note(|| format!("{name} has drained and ends"));
            // What still waits for a phase belongs to a process that is no more.
            server.resources().drain().enter(DrainPhase::Stopped);
            proxy.send_replace(NodeState::Down);
        }));
    }

    /// Ends its proxy, as a process that is killed.
    pub(in crate::testkit::sim) async fn stop_proxy(&mut self) {
        if let Some(life) = self.life.take() {
            life.abort();
            // Its own end of the server is dropped when it is joined.
            let _ = life.await;
        }
        self.kit.resources.drain().enter(DrainPhase::Stopped);
        self.proxy.send_replace(NodeState::Down);
    }

    pub(in crate::testkit::sim) fn drain(&self, times: DrainTimes) {
        if let Some(server) = self.server() {
            server.drain(times);
        }
    }

    /// Waits until its proxy runs no more: drained to its end, killed, or never started.
    pub async fn ended(&self) {
        let mut states = self.proxy.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = states.wait_for(|state| matches!(state, NodeState::Down | NodeState::Failed(_))).await;
    }

    /// Waits until its proxy serves.
    pub(in crate::testkit::sim) async fn started(&self) -> Result<Arc<Server>, SimError> {
        let mut states = self.proxy.subscribe();
        let settled = states.wait_for(|state| matches!(state, NodeState::Up(_) | NodeState::Failed(_))).await;
        match settled.as_deref() {
            Ok(NodeState::Up(server)) => Ok(server.clone()),
            Ok(NodeState::Failed(reason)) => Err(SimError(reason.clone())),
            _ => Err(SimError(format!("{} does not start", self.name))),
        }
    }
}
