//! The loop of a control task.

use std::{
    collections::HashSet,
    future::{pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
};

use tokio::sync::{mpsc, watch};

use super::{
    ControlInputs,
    members::{HostId, Members},
    probes::{MAX_REPORTS, Probes, Report},
    stats::ControlStats,
};
use crate::{
    cluster::{
        health::ImmediateFailures,
        host::Host,
        host_set::{HostSet, HostSetCell},
    },
    discovery::{Discover, Update},
};

pub(super) struct Task {
    name: Arc<str>,
    panic_threshold: f64,
    /// None once the discovery has ended.
    discover: Option<Box<dyn Discover>>,
    probes: Probes,
    reports: mpsc::Receiver<Report>,
    immediate_failures: ImmediateFailures,
    members: Members,
    hosts: HostSetCell,
    warm_up: WarmUp,
    panicking: bool,
    stats: ControlStats,
}

impl Task {
    pub(super) fn new(
        inputs: ControlInputs,
        (probes, reports): (Probes, mpsc::Receiver<Report>),
        hosts: HostSetCell,
        warm: watch::Sender<bool>,
        stats: ControlStats,
    ) -> Self {
        Self {
            members: Members::new(inputs.name.clone(), inputs.ignore_health_on_host_removal),
            name: inputs.name,
            panic_threshold: inputs.panic_threshold,
            discover: Some(inputs.discover),
            immediate_failures: inputs.immediate_failures,
            probes,
            reports,
            hosts,
            warm_up: WarmUp { warm, waiting: None },
            panicking: false,
            stats,
        }
    }

    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(MAX_REPORTS);
        loop {
            // In this order, not at random: a run under a paused clock repeats itself.
            tokio::select! {
                biased;
                // `probes` holds a sender: the channel is never closed.
                _ = self.reports.recv_many(&mut batch, MAX_REPORTS) => {
                    let mut changed = false;
                    for report in batch.drain(..) {
                        changed |= self.members.observe(&report);
                    }
                    if changed {
                        self.publish();
                    }
                }
                failed = self.immediate_failures.next() => {
                    self.fail(&failed);
                }
                update = next(&mut self.discover, &self.name) => {
                    self.take(update);
                    // A discovery that always has one more report must not keep the worker to itself.
                    tokio::task::yield_now().await;
                }
            }
            self.warm_up.advance(&self.members);
            self.log_panic();
        }
    }

    fn take(&mut self, update: Option<Update>) {
        match update {
            Some(Update::Endpoints(endpoints)) => {
                let change = self.members.update(&endpoints, &self.probes);
                if change.membership {
                    self.stats.membership_changed();
                }
                if change.any() {
                    self.publish();
                } else {
                    self.stats.nothing_changed();
                }
            }
            Some(Update::Failed(reason)) => tracing::debug!(cluster = %self.name, %reason, "discovery failed"),
            None => self.discover = None,
        }
        self.warm_up.discovered(self.discover.as_deref(), &self.members);
    }

    fn fail(&mut self, hosts: &[Arc<Host>]) {
        let mut changed = false;
        for host in hosts {
            if self.members.fail(host) {
                self.probes.failed_passively();
                changed = true;
            }
        }
        if changed {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let set = HostSet::new(self.members.hosts(), self.panic_threshold);
        self.stats.set(set.hosts().len(), set.healthy(), self.members.passing());
        self.hosts.publish(set);
    }

    /// One line when panic begins and one when it ends. A cluster that warms up is not in panic: it knows nothing yet.
    fn log_panic(&mut self) {
        let set = self.hosts.load();
        if !self.warm_up.is_done() || set.is_panic() == self.panicking {
            return;
        }
        self.panicking = set.is_panic();
        let (cluster, healthy, total) = (&self.name, set.healthy(), set.hosts().len());
        if self.panicking {
            tracing::warn!(%cluster, healthy, total, "too few healthy hosts: requests go to all hosts (panic)");
        } else {
            tracing::info!(%cluster, healthy, total, "enough healthy hosts again: panic is over");
        }
    }
}

/// The next report. A discovery that panics has ended: it must not take the health checks with it.
async fn next(discover: &mut Option<Box<dyn Discover>>, cluster: &str) -> Option<Update> {
    let Some(discover) = discover else { return pending().await };
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| discover.poll_update(cx))).unwrap_or_else(|_| {
            tracing::error!(%cluster, "the discovery panicked; the hosts stay as they are");
            Poll::Ready(None)
        })
    })
    .await
}

/// Watches for the end of the first round of discovery and checks.
struct WarmUp {
    warm: watch::Sender<bool>,
    /// The hosts whose first results are awaited; None until discovery has settled. Hosts that come later do not
    /// count, so that a set in motion cannot put the end off for ever.
    waiting: Option<HashSet<HostId>>,
}

impl WarmUp {
    fn is_done(&self) -> bool {
        *self.warm.borrow()
    }

    /// A report of discovery was taken.
    fn discovered(&mut self, discover: Option<&dyn Discover>, members: &Members) {
        if self.waiting.is_none() && discover.is_none_or(|discover| discover.is_settled()) {
            self.waiting = Some(members.ids().collect());
        }
    }

    fn advance(&mut self, members: &Members) {
        if self.is_done() {
            return;
        }
        if let Some(waiting) = &mut self.waiting {
            waiting.retain(|id| !members.is_checked(*id));
            if waiting.is_empty() {
                self.warm.send_replace(true);
            }
        }
    }
}
