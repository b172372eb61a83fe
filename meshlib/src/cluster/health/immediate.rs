//! Hosts that say themselves, with an ordinary response, that they want to be left.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::cluster::host::{HealthFlags, Host};

/// How data paths tell the control task of a response with `x-envoy-immediate-health-check-fail`: the host counts as
/// failing its checks at once, as with Envoy. It comes back by its checks. Cloning shares it.
///
/// A process that drains sends the header with each response, so that its callers leave before it closes its ports.
#[derive(Clone, Debug, Default)]
pub struct ImmediateFailures(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Each host once.
    hosts: Mutex<Vec<Arc<Host>>>,
    reported: Notify,
}

impl ImmediateFailures {
    /// Nobody has failed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Such a response came from `host`. Takes no lock once the host is known to fail.
    pub fn report(&self, host: &Arc<Host>) {
        if host.health().contains(HealthFlags::FAILED_ACTIVE_HC) {
            return;
        }
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if !hosts.iter().any(|other| Arc::ptr_eq(other, host)) {
            hosts.push(host.clone());
            self.0.reported.notify_one();
        }
    }

    /// The hosts that were reported since the last call, as soon as there are any. Dropped, it loses none.
    pub(in crate::cluster) async fn next(&self) -> Vec<Arc<Host>> {
        loop {
            self.0.reported.notified().await;
            let hosts = std::mem::take(&mut *self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner));
            if !hosts.is_empty() {
                return hosts;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_host_is_told_of_once_until_it_is_taken() {
        let host = |health| Arc::new(Host::new("10.0.0.1:80".parse().unwrap(), None, 1, health));
        let (failures, one) = (ImmediateFailures::new(), host(HealthFlags::HEALTHY));
        failures.report(&one);
        failures.report(&one);
        failures.report(&host(HealthFlags::FAILED_ACTIVE_HC));
        let told = failures.next().await;
        assert!(told.len() == 1 && Arc::ptr_eq(&told[0], &one));
        failures.report(&one);
        assert_eq!(failures.next().await.len(), 1);
    }
}
