//! One immutable picture of a cluster's hosts. The control task publishes it; readers never lock.
//!
//! ```
//! use std::sync::Arc;
//! use meshlib::cluster::{host::{HealthFlags, Host}, host_set::{HostSet, HostSetCell}};
//!
//! let host = |port, health| Arc::new(Host::new(([10, 0, 0, 1], port).into(), None, 1, health));
//! let (good, bad) = (host(1, HealthFlags::HEALTHY), host(2, HealthFlags::FAILED_ACTIVE_HC));
//! let cell = HostSetCell::new(HostSet::new(vec![good, bad.clone()], 50.0));
//! assert_eq!(cell.load().eligible(), [0]);
//!
//! cell.publish(HostSet::new(vec![bad], 50.0)); // nobody is healthy: better somebody than nobody
//! assert!(cell.load().is_panic());
//! assert_eq!(cell.load().eligible(), [0]);
//! ```

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

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

/// A set that was current when it was taken: cheaper than an `Arc` of it, and not to be kept.
pub struct HostSetGuard(arc_swap::Guard<Arc<HostSet>>);

impl fmt::Debug for HostSetGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Deref for HostSetGuard {
    type Target = HostSet;

    fn deref(&self) -> &HostSet {
        &self.0
    }
}

/// Told of every set that is published: a data path that keeps something for each host.
pub trait HostSetObserver: Send + Sync {
    /// `hosts` is the set from now on. Called by the one publisher, one set after the other.
    fn on_publish(&self, hosts: &Arc<HostSet>);
}

/// The place where the current [`HostSet`] is published. Cloning shares it.
#[derive(Clone)]
pub struct HostSetCell(Arc<Published>);

struct Published {
    current: ArcSwap<HostSet>,
    /// Held while a set is stored and told of, so that every observer sees every set, in order.
    observers: Mutex<Vec<Weak<dyn HostSetObserver>>>,
}

impl HostSetCell {
    /// A cell that holds `set`.
    pub fn new(set: HostSet) -> Self {
        Self(Arc::new(Published { current: ArcSwap::from_pointee(set), observers: Mutex::default() }))
    }

    /// The current set.
    pub fn load(&self) -> impl Deref<Target = Arc<HostSet>> + use<> {
        self.0.current.load()
    }

    /// The current set, to keep.
    pub fn load_full(&self) -> Arc<HostSet> {
        self.0.current.load_full()
    }

    /// Publishes a new set and tells the observers. The control task alone calls it.
    pub fn publish(&self, set: HostSet) {
        let set = Arc::new(set);
        let mut observers = self.observers();
        self.0.current.store(set.clone());
        observers.retain(|observer| match observer.upgrade() {
            Some(observer) => {
                observer.on_publish(&set);
                true
            }
            None => false,
        });
    }

    /// Tells `observer` of the current set, now, and of every later one for as long as it lives.
    pub fn observe(&self, observer: Weak<dyn HostSetObserver>) {
        let mut observers = self.observers();
        if let Some(observer) = observer.upgrade() {
            observer.on_publish(&self.load_full());
        }
        observers.retain(|observer| observer.strong_count() > 0);
        observers.push(observer);
    }

    fn observers(&self) -> MutexGuard<'_, Vec<Weak<dyn HostSetObserver>>> {
        self.0.observers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for HostSetCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}
