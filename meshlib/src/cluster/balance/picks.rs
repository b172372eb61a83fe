//! One data path's picks: the current host set, what the path keeps for each host, and its picker.

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
/// shared by this data path's requests only, and an update holds it just to swap two pointers.
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
        let before = self.lock().snapshot.clone();
        let items = carry_over(&before, hosts, &self.make);
        let after = Arc::new(Snapshot { hosts: hosts.clone(), items });
        let mut state = self.lock();
        // It may be the application's own, and the publisher has other things to do: health checks, discovery.
        if catch_unwind(AssertUnwindSafe(|| state.picker.update(hosts))).is_err() {
            tracing::error!("a load balancer panicked at an update of its hosts");
        }
        state.snapshot = after;
    }
}

/// The items for `hosts`: those of hosts that were there before, new ones for the others.
fn carry_over<T>(before: &Snapshot<T>, hosts: &HostSet, make: &dyn Fn(&Arc<Host>) -> T) -> Vec<Arc<T>> {
    let old = before.hosts.hosts();
    let mut by_identity: Option<HashMap<*const Host, usize>> = None;
    // Most updates change few hosts, so the old set is walked along; the map is built where the two lose each other.
    let mut cursor = 0;
    let mut items = Vec::with_capacity(hosts.hosts().len());
    for host in hosts.hosts() {
        let is = |index: &usize| old.get(*index).is_some_and(|old| Arc::ptr_eq(old, host));
        let found = [cursor, cursor + 1].into_iter().find(is).or_else(|| {
            let map = by_identity
                .get_or_insert_with(|| old.iter().enumerate().map(|(index, old)| (Arc::as_ptr(old), index)).collect());
            map.get(&Arc::as_ptr(host)).copied()
        });
        cursor = found.map_or(cursor, |index| index + 1);
        let kept = found.and_then(|index| before.items.get(index)).cloned();
        items.push(kept.unwrap_or_else(|| Arc::new(make(host))));
    }
    items
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

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::cluster::{balance::LoadBalancer, host::HealthFlags};

    fn host(last: u8) -> Arc<Host> {
        Arc::new(Host::new(SocketAddr::from(([10, 0, 0, last], 80)), None, 1, HealthFlags::HEALTHY))
    }

    fn set(hosts: &[&Arc<Host>]) -> HostSet {
        HostSet::new(hosts.iter().map(|host| Arc::clone(host)).collect(), 50.0)
    }

    /// A number for each item made, so that a kept one can be told from a new one.
    fn counting(cell: &HostSetCell) -> Arc<Picks<usize>> {
        let made = AtomicUsize::new(0);
        Picks::new(cell, &LbPolicy::default(), Rng::seeded(1), move |_| made.fetch_add(1, Ordering::Relaxed))
    }

    fn items(picks: &Picks<usize>) -> Vec<usize> {
        picks.lock().snapshot.items.iter().map(|item| **item).collect()
    }

    #[test]
    fn items_stay_with_their_hosts() {
        let [a, b, c, d] = [host(1), host(2), host(3), host(4)];
        let cell = HostSetCell::new(set(&[&a, &b, &c]));
        let picks = counting(&cell);
        assert_eq!(items(&picks), [0, 1, 2]);
        cell.publish(set(&[&a, &c]));
        assert_eq!(items(&picks), [0, 2], "one went");
        cell.publish(set(&[&d, &c, &a]));
        assert_eq!(items(&picks), [3, 2, 0], "one came, the order turned");
        cell.publish(set(&[&b, &host(4)]));
        assert_eq!(items(&picks), [4, 5], "identity counts, not the address");
    }

    #[test]
    fn items_of_hosts_that_went_are_dropped() {
        let [a, b] = [host(1), host(2)];
        let cell = HostSetCell::new(set(&[&a, &b]));
        let witness = Arc::new(());
        let kept = witness.clone();
        let picks = Picks::new(&cell, &LbPolicy::default(), Rng::seeded(1), move |_| kept.clone());
        assert_eq!(Arc::strong_count(&witness), 4);
        cell.publish(set(&[&a]));
        assert_eq!(Arc::strong_count(&witness), 3);
        assert_eq!(picks.hosts().hosts().len(), 1);
    }

    #[test]
    fn tried_hosts_are_avoided_while_there_are_others() {
        let [a, b, c] = [host(1), host(2), host(3)];
        let cell = HostSetCell::new(set(&[&a, &b, &c]));
        let picks = counting(&cell);
        let pick = |tried: &[usize]| picks.pick(&PickContext { tried, ..Default::default() }).unwrap().index();
        for _ in 0..9 {
            assert_eq!(pick(&[0, 2]), 1);
        }
        assert!(pick(&[0, 1, 2]) < 3, "all were tried: any");
    }

    #[test]
    fn no_hosts_no_pick_and_dead_observers_are_forgotten() {
        let cell = HostSetCell::new(set(&[]));
        let picks = counting(&cell);
        assert!(picks.pick(&PickContext::default()).is_none());
        let gone = Arc::downgrade(&picks);
        drop(picks);
        cell.publish(set(&[&host(1)]));
        assert!(gone.upgrade().is_none());
    }

    #[test]
    fn a_picker_that_panics_does_not_take_the_publisher_with_it() {
        #[derive(Debug)]
        struct Panics;
        impl LoadBalancer for Panics {
            fn name(&self) -> &str {
                "PANICS"
            }
            fn picker(&self, _: Rng) -> Box<dyn Picker> {
                Box::new(Panics)
            }
        }
        impl Picker for Panics {
            fn update(&mut self, hosts: &HostSet) {
                assert!(hosts.hosts().len() < 2, "on purpose");
            }
            fn pick(&mut self, hosts: &HostSet, _: &PickContext<'_>) -> Option<usize> {
                hosts.eligible().last().copied()
            }
        }
        let [a, b] = [host(1), host(2)];
        let cell = HostSetCell::new(set(&[&a]));
        let picks = Picks::new(&cell, &LbPolicy::new(Panics), Rng::seeded(1), |host| host.address());
        let other = counting(&cell);
        cell.publish(set(&[&a, &b]));
        assert_eq!(other.hosts().hosts().len(), 2, "the others are told");
        assert_eq!(picks.pick(&PickContext::default()).unwrap().index(), 1);
    }

    #[test]
    fn large_sets_are_carried_over_in_any_order() {
        let hosts: Vec<_> = (0..200).map(host).collect();
        let cell = HostSetCell::new(HostSet::new(hosts.clone(), 50.0));
        let picks = counting(&cell);
        let reversed: Vec<_> = hosts.into_iter().rev().collect();
        cell.publish(HostSet::new(reversed, 50.0));
        assert_eq!(items(&picks), (0..200).rev().collect::<Vec<_>>());
    }
}
