//! One immutable picture of a cluster's hosts. The control task publishes it; readers never lock.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;

use super::host::Host;

/// The hosts of a cluster at one moment.
#[derive(Clone, Debug)]
pub struct HostSet {
    hosts: Vec<Arc<Host>>,
    eligible: Vec<usize>,
    healthy: usize,
    panic: bool,
}

impl HostSet {
    /// Looks at the health of `hosts` now. Fewer than `panic_threshold` percent healthy ones: panic, and every host
    /// is eligible. No hosts at all is no panic.
    pub fn new(hosts: Vec<Arc<Host>>, panic_threshold: f64) -> Self {
        let healthy: Vec<usize> =
            hosts.iter().enumerate().filter(|(_, host)| host.is_healthy()).map(|(index, _)| index).collect();
        let panic = !hosts.is_empty() && (healthy.len() as f64) * 100.0 < panic_threshold * hosts.len() as f64;
        let count = healthy.len();
        let eligible = if panic { (0..hosts.len()).collect() } else { healthy };
        Self { hosts, eligible, healthy: count, panic }
    }

    /// Every host, in the order of discovery.
    pub fn hosts(&self) -> &[Arc<Host>] {
        &self.hosts
    }

    /// The indices, in [`hosts`](Self::hosts), of those that may be picked.
    pub fn eligible(&self) -> &[usize] {
        &self.eligible
    }

    /// How many hosts are healthy.
    pub fn healthy(&self) -> usize {
        self.healthy
    }

    /// Whether health is ignored because too few hosts have it.
    pub fn is_panic(&self) -> bool {
        self.panic
    }
}

/// The place where the current [`HostSet`] is published.
#[derive(Clone)]
pub struct HostSetCell(Arc<ArcSwap<HostSet>>);

impl HostSetCell {
    /// A cell that holds `set`.
    pub fn new(set: HostSet) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(set)))
    }

    /// The current set.
    pub fn load(&self) -> arc_swap::Guard<Arc<HostSet>> {
        self.0.load()
    }

    /// The current set, to keep.
    pub fn load_full(&self) -> Arc<HostSet> {
        self.0.load_full()
    }

    /// Publishes a new set. The control task alone calls it.
    pub fn publish(&self, set: HostSet) {
        self.0.store(Arc::new(set));
    }
}

impl fmt::Debug for HostSetCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}
