use std::{
    net::SocketAddr,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
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

/// What an update takes: the picker asks for a pick on another thread, and waits for it.
#[derive(Debug)]
struct Asks {
    picks: Arc<OnceLock<Weak<Picks<()>>>>,
    copied: bool,
    answered: Arc<AtomicUsize>,
}

impl Picker for Asks {
    fn update(&mut self, _: &HostSet) {
        let Some(picks) = self.picks.get().and_then(Weak::upgrade) else { return };
        assert!(self.copied, "an update in place");
        let picked = std::thread::spawn(move || picks.pick(&PickContext::default()).map(|picked| picked.index()));
        assert_eq!(picked.join().unwrap(), Some(0), "the set before this one");
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn fork(&mut self) -> Option<Box<dyn Picker>> {
        let (picks, answered) = (self.picks.clone(), self.answered.clone());
        Some(Box::new(Self { picks, copied: true, answered }))
    }

    fn pick(&mut self, hosts: &HostSet, _: &PickContext<'_>) -> Option<usize> {
        hosts.eligible().last().copied()
    }
}

impl LoadBalancer for Asks {
    fn name(&self) -> &str {
        "ASKS"
    }

    fn picker(&self, _: Rng) -> Box<dyn Picker> {
        Box::new(Self { picks: self.picks.clone(), copied: false, answered: self.answered.clone() })
    }
}

/// With the lock held this would never end.
#[test]
fn requests_are_picked_for_while_a_copy_of_the_picker_is_told() {
    let [a, b] = [host(1), host(2)];
    let cell = HostSetCell::new(set(&[&a]));
    let answered = Arc::new(AtomicUsize::new(0));
    let policy = Asks { picks: Arc::default(), copied: false, answered: answered.clone() };
    let cyclic = policy.picks.clone();
    let picks = Picks::new(&cell, &LbPolicy::new(policy), Rng::seeded(1), |_| ());
    cyclic.set(Arc::downgrade(&picks)).unwrap();
    cell.publish(set(&[&a, &b]));
    assert_eq!(answered.load(Ordering::Relaxed), 1);
    assert_eq!(picks.pick(&PickContext::default()).unwrap().index(), 1, "the copy took its place");
}

#[test]
fn round_robin_goes_on_where_it_was() {
    for weights in [[1, 1, 1], [3, 2, 1]] {
        let hosts: Vec<_> = (0..3).map(host).collect();
        hosts.iter().zip(weights).for_each(|(host, weight)| host.set_weight(weight));
        let cell = HostSetCell::new(HostSet::new(hosts.clone(), 50.0));
        let picks = counting(&cell);
        let mut counts = [0; 3];
        for _ in 0..60 {
            counts[picks.pick(&PickContext::default()).unwrap().index()] += 1;
            cell.publish(HostSet::new(hosts.clone(), 50.0));
        }
        assert_eq!(counts, weights.map(|weight| 60 * weight / weights.iter().sum::<u32>()));
    }
}

/// Hosts that come, go and change places at random: each keeps its item, and a new one gets a new item.
#[test]
fn items_stay_with_their_hosts_whatever_happens() {
    let mut random = fastrand::Rng::with_seed(23);
    let all: Vec<_> = (0..40).map(host).collect();
    let cell = HostSetCell::new(set(&[]));
    let picks = Picks::new(&cell, &LbPolicy::default(), Rng::seeded(1), |host| (host.address(), Arc::new(())));
    let mut kept: Vec<(SocketAddr, Arc<()>)> = Vec::new();
    for _ in 0..500 {
        let mut hosts: Vec<_> = all.iter().filter(|_| random.u8(..4) > 0).cloned().collect();
        if random.bool() {
            random.shuffle(&mut hosts);
        }
        cell.publish(HostSet::new(hosts.clone(), 50.0));
        let items: Vec<_> = picks.lock().snapshot.items.iter().map(|item| (**item).clone()).collect();
        assert_eq!(items.len(), hosts.len());
        for (host, (address, item)) in hosts.iter().zip(&items) {
            assert_eq!(host.address(), *address);
            let before = kept.iter().find(|(before, _)| before == address);
            assert!(before.is_none_or(|(_, before)| Arc::ptr_eq(before, item)));
        }
        kept = items;
    }
}
