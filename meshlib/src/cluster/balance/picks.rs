//! One data path's picks: the current host set, what the path keeps for each host, and its picker.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{
    super::{
        host::Host,
        host_set::{HostSet, HostSetCell, HostSetObserver},
    },
    LbPolicy, PickContext, Picker,
};
use crate::base::resources::Rng;

/// How often a picker is asked again when it answers a host that was already tried.
const ASK_AGAIN: usize = 3;

/// Picks hosts for one data path and keeps one `T` for each: a pool, a service.
///
/// A `T` is made when its host appears, kept for as long as the host stays, whatever else changes, and dropped when
/// it goes. A published set is taken over at once, by the publisher: a request compares no versions. The one lock is
/// shared by this data path's requests only. An update holds it just to copy the picker and to swap two pointers, if
/// the picker can be copied ([`Picker::fork`]).
///
/// ```
/// use std::{net::SocketAddr, sync::Arc};
/// use meshlib::base::resources::Rng;
/// use meshlib::cluster::{
///     balance::{LbPolicy, PickContext, Picks},
///     host::{HealthFlags, Host},
///     host_set::{HostSet, HostSetCell},
/// };
///
/// let host = Host::new(SocketAddr::from(([10, 0, 0, 1], 80)), None, 1, HealthFlags::HEALTHY);
/// let cell = HostSetCell::new(HostSet::new(vec![Arc::new(host)], 50.0));
/// let picks = Picks::new(&cell, &LbPolicy::default(), Rng::seeded(7), |host| host.address().to_string());
/// let picked = picks.pick(&PickContext::default()).unwrap();
/// assert_eq!(**picked.item(), "10.0.0.1:80");
/// ```
pub struct Picks<T> {
    state: Mutex<State<T>>,
    make: Make<T>,
}

type Make<T> = Box<dyn Fn(&Arc<Host>) -> T + Send + Sync>;

struct State<T> {
    snapshot: Arc<Snapshot<T>>,
    picker: Box<dyn Picker>,
}

/// `items` has the length and the order of `hosts.hosts()`.
struct Snapshot<T> {
    hosts: Arc<HostSet>,
    items: Vec<Arc<T>>,
}

/// A host that was picked.
pub struct Picked<T> {
    host: Arc<Host>,
    item: Arc<T>,
    index: usize,
    eligible: usize,
    panic: bool,
}

impl<T: Send + Sync + 'static> Picks<T> {
    /// Picks from the sets of `cell` by `policy`, which draws from `rng`; `make` makes what is kept for a host.
    pub fn new(
        cell: &HostSetCell,
        policy: &LbPolicy,
        rng: Rng,
        make: impl Fn(&Arc<Host>) -> T + Send + Sync + 'static,
    ) -> Arc<Self> {
        let empty = Snapshot { hosts: Arc::new(HostSet::new(Vec::new(), 0.0)), items: Vec::new() };
        let state = State { snapshot: Arc::new(empty), picker: policy.picker(rng) };
        let picks = Arc::new(Self { state: Mutex::new(state), make: Box::new(make) });
        let observer: Weak<Self> = Arc::downgrade(&picks);
        cell.observe(observer);
        picks
    }

    /// A host for this request; `None` when none may be picked.
    ///
    /// Hosts in [`PickContext::tried`] are avoided while others are eligible, whether the picker heeds them or not.
    pub fn pick(&self, request: &PickContext<'_>) -> Option<Picked<T>> {
        let mut state = self.lock();
        let State { snapshot, picker } = &mut *state;
        let mut index = picker.pick(&snapshot.hosts, request)?;
        if request.tried.contains(&index) {
            index = untried(picker.as_mut(), &snapshot.hosts, request, index)?;
        }
        let (host, item) = (snapshot.hosts.hosts().get(index)?.clone(), snapshot.items.get(index)?.clone());
        let (eligible, panic) = (snapshot.hosts.eligible().len(), snapshot.hosts.is_panic());
        Some(Picked { host, item, index, eligible, panic })
    }

    /// The current hosts.
    pub fn hosts(&self) -> Arc<HostSet> {
        self.lock().snapshot.hosts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another host than those tried: the picker's choice if it comes to one soon, else the first in order.
fn untried(picker: &mut dyn Picker, hosts: &HostSet, request: &PickContext<'_>, picked: usize) -> Option<usize> {
    for _ in 0..ASK_AGAIN {
        let index = picker.pick(hosts, request)?;
        if !request.tried.contains(&index) {
            return Some(index);
        }
    }
    Some(hosts.eligible().iter().copied().find(|index| !request.tried.contains(index)).unwrap_or(picked))
}

impl<T: Send + Sync + 'static> HostSetObserver for Picks<T> {
    fn on_publish(&self, hosts: &Arc<HostSet>) {
        // Only the publisher changes the snapshot, so it cannot change between these two locks; requests go on
        // meanwhile. What belongs to hosts that went is dropped after the lock is.
        let (before, mut fork) = {
            let mut state = self.lock();
            (state.snapshot.clone(), guarded(|| state.picker.fork()).flatten())
        };
        let items = carry_over(&before, hosts, &self.make);
        let after = Arc::new(Snapshot { hosts: hosts.clone(), items });
        if let Some(picker) = &mut fork {
            guarded(|| picker.update(hosts));
        }
        let mut state = self.lock();
        match &mut fork {
            Some(picker) => std::mem::swap(picker, &mut state.picker),
            None => _ = guarded(|| state.picker.update(hosts)),
        }
        state.snapshot = after;
    }
}

/// Calls a picker. It may be the application's own, and the publisher has other things to do than to end with it:
/// health checks, discovery.
fn guarded<R>(call: impl FnOnce() -> R) -> Option<R> {
    let called = catch_unwind(AssertUnwindSafe(call));
    called.map_err(|_| tracing::error!("a load balancer panicked at an update of its hosts")).ok()
}

/// The items for `hosts`: those of hosts that were there before, new ones for the others.
fn carry_over<T>(before: &Snapshot<T>, hosts: &HostSet, make: &dyn Fn(&Arc<Host>) -> T) -> Vec<Arc<T>> {
    let old = before.hosts.hosts();
    // Most updates change few hosts, so the old set is walked along; only what that passes over on either side is
    // looked up by identity.
    let (mut cursor, mut passed_over) = (0, Vec::new());
    let walked: Vec<_> = hosts
        .hosts()
        .iter()
        .map(|host| {
            let is = |index: &usize| old.get(*index).is_some_and(|old| Arc::ptr_eq(old, host));
            let found = [cursor, cursor + 1].into_iter().find(is)?;
            passed_over.extend(cursor..found);
            cursor = found + 1;
            Some(found)
        })
        .collect();
    passed_over.extend(cursor..old.len());
    let identity = |index| old.get(index).map(|host| (Arc::as_ptr(host), index));
    let passed_over: HashMap<*const Host, usize> = passed_over.into_iter().filter_map(identity).collect();
    let item = |(host, found): (&Arc<Host>, Option<usize>)| {
        let kept = found.or_else(|| passed_over.get(&Arc::as_ptr(host)).copied());
        let item = kept.and_then(|index| before.items.get(index)).cloned();
        item.unwrap_or_else(|| Arc::new(make(host)))
    };
    hosts.hosts().iter().zip(walked).map(item).collect()
}

impl<T> Picked<T> {
    /// The host.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// What the data path keeps for it.
    pub fn item(&self) -> &Arc<T> {
        &self.item
    }

    /// Its index in the set it was picked from: for [`PickContext::tried`].
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many hosts could have been picked.
    pub fn eligible(&self) -> usize {
        self.eligible
    }

    /// Whether health was ignored because too few hosts have it.
    pub fn panic(&self) -> bool {
        self.panic
    }
}

impl<T> fmt::Debug for Picks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Picks").field("hosts", &state.snapshot.hosts).field("picker", &state.picker).finish()
    }
}

impl<T> fmt::Debug for Picked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picked").field("host", &self.host).field("index", &self.index).finish_non_exhaustive()
    }
}
