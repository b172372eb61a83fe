//! Hosts that come, go, and change their health.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    cluster::{
        Cluster,
        host::HealthFlags,
        host_set::{HostSet, HostSetObserver},
    },
    testkit::Trace,
};

/// Tells the trace what changes in a cluster, and remembers who was in it.
pub(super) struct HostWatch {
    node: Arc<str>,
    cluster: String,
    trace: Trace,
    begin: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: BTreeMap<SocketAddr, HealthFlags>,
    panic: bool,
    history: Vec<(Instant, Vec<SocketAddr>)>,
}

impl HostWatch {
    pub(super) fn start(node: &Arc<str>, cluster: &Cluster, trace: &Trace) -> Arc<Self> {
        let begin = trace.begin().unwrap_or_else(Instant::now);
        let (node, name) = (node.clone(), cluster.name().to_owned());
        let watch = Self { node, cluster: name, trace: trace.clone(), begin, state: Mutex::default() };
        let watch = Arc::new(watch);
        let observer: Weak<Self> = Arc::downgrade(&watch);
        cluster.hosts().observe(observer);
        watch
    }

    pub(super) fn cluster(&self) -> &str {
        &self.cluster
    }

    pub(super) fn history(&self) -> Vec<(Duration, Vec<SocketAddr>)> {
        let state = self.state();
        state.history.iter().map(|(at, hosts)| (at.saturating_duration_since(self.begin), hosts.clone())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: impl fmt::Display) {
        self.trace.note(|| format!("{}: {} {what}", self.node, self.cluster));
    }
}

impl HostSetObserver for HostWatch {
    fn on_publish(&self, hosts: &Arc<HostSet>) {
        let now: BTreeMap<_, _> = hosts.hosts().iter().map(|host| (host.address(), host.health())).collect();
        let mut state = self.state();
        for (address, health) in &now {
            match state.known.get(address) {
                None => self.tell(format_args!("has a new host {address}: {health}")),
                Some(before) if before != health => self.tell(format_args!("{address} is now {health}")),
                Some(_) => {}
            }
        }
        for gone in state.known.keys().filter(|address| !now.contains_key(address)) {
            self.tell(format_args!("{gone} is gone"));
        }
        if state.panic != hosts.is_panic() {
            self.tell(if hosts.is_panic() { "panics: too few hosts are healthy" } else { "panics no more" });
            state.panic = hosts.is_panic();
        }
        if state.history.is_empty() || !now.keys().eq(state.known.keys()) {
            state.history.push((Instant::now(), now.keys().copied().collect()));
        }
        state.known = now;
    }
}
