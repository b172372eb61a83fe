//! The tasks that probe hosts, and the channel on which they report.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{ControlInputs, ProbeConnect, members::HostId};
use crate::{
    base::{Error, Resources, task::AbortOnDropHandle},
    cluster::{
        health::{Check, HealthCheckStats, HealthState, ProbeResult, Prober, TrafficFlag},
        host::Host,
    },
};

/// Reports that wait to be read; a probe that finds no room waits with its next check.
pub(super) const MAX_REPORTS: usize = 64;

/// The result of one check of one host.
pub(super) struct Report {
    /// Not the address: a report of a host that left must not be taken for its successor's.
    pub(super) host: HostId,
    /// Which of the cluster's checks.
    pub(super) check: usize,
    pub(super) result: ProbeResult,
}

/// Starts the probes of a cluster's hosts.
pub(super) struct Probes {
    checks: Vec<(Check, HealthState)>,
    connect: Arc<dyn ProbeConnect>,
    traffic: TrafficFlag,
    stats: Option<HealthCheckStats>,
    reports: mpsc::Sender<Report>,
}

impl Probes {
    pub(super) fn new(inputs: &ControlInputs, resources: &Resources) -> Result<(Self, mpsc::Receiver<Report>), Error> {
        let check = |config: &_| {
            let crate::cluster::config::HealthCheckConfig { unhealthy_threshold, healthy_threshold, .. } = *config;
            let state = HealthState::new(unhealthy_threshold, healthy_threshold);
            Ok((Check::new(config, &inputs.name)?, state))
        };
        let checks = inputs.health_checks.iter().map(check).collect::<Result<Vec<_>, Error>>()?;
        let stats = (!checks.is_empty()).then(|| HealthCheckStats::new(resources.stats(), &inputs.name));
        let (reports, receiver) = mpsc::channel(MAX_REPORTS);
        let (connect, traffic) = (inputs.connect.clone(), inputs.traffic.clone());
        Ok((Self { checks, connect, traffic, stats, reports }, receiver))
    }

    /// Whether the cluster has health checks.
    pub(super) fn any(&self) -> bool {
        !self.checks.is_empty()
    }

    /// A host failed by what it said with an ordinary response.
    pub(super) fn failed_passively(&self) {
        self.stats.iter().for_each(HealthCheckStats::failed_passively);
    }

    /// The states of a host that was never checked.
    pub(super) fn states(&self) -> Vec<HealthState> {
        self.checks.iter().map(|(_, state)| state.clone()).collect()
    }

    /// Begins to probe a host, at once, until what this gives is dropped.
    pub(super) fn start(&self, id: HostId, host: &Arc<Host>) -> Vec<AbortOnDropHandle<()>> {
        let start = |(index, (check, _)): (usize, &(Check, _))| {
            let (connect, asked) = (self.connect.clone(), host.clone());
            let mut prober = check.prober(host, move || connect.connect(&asked)).with_traffic(self.traffic.clone());
            if let Some(stats) = &self.stats {
                prober = prober.with_stats(stats.clone());
            }
            AbortOnDropHandle::spawn(probe(prober, id, index, self.reports.clone()))
        };
        self.checks.iter().enumerate().map(start).collect()
    }
}

async fn probe(mut prober: Prober, host: HostId, check: usize, reports: mpsc::Sender<Report>) {
    loop {
        let result = prober.next().await;
        if reports.send(Report { host, check, result }).await.is_err() {
            return;
        }
    }
}
