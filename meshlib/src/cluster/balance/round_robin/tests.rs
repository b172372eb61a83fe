//! Counts that must be exact, and spreads that must be even.

use std::sync::Arc;

use super::*;
use crate::cluster::host::HealthFlags;

fn host(port: u16, weight: u32) -> Arc<Host> {
    Arc::new(Host::new(([127, 0, 0, 1], port).into(), None, weight, HealthFlags::HEALTHY))
}

fn set(weights: &[u32]) -> HostSet {
    let hosts = weights.iter().zip(1..).map(|(weight, port)| host(port, *weight));
    HostSet::new(hosts.collect(), 50.0)
}

fn picker(seed: u64, hosts: &HostSet) -> Box<dyn Picker> {
    let mut picker = RoundRobin.picker(Rng::seeded(seed));
    picker.update(hosts);
    picker
}

fn picks(picker: &mut dyn Picker, hosts: &HostSet, count: usize) -> Vec<usize> {
    (0..count).map(|_| picker.pick(hosts, &PickContext::default()).unwrap()).collect()
}

fn counts(picks: &[usize], hosts: usize) -> Vec<usize> {
    (0..hosts).map(|index| picks.iter().filter(|pick| **pick == index).count()).collect()
}

#[test]
fn equal_weights_rotate_strictly_from_a_random_start() {
    for weight in [1, 7] {
        let hosts = set(&[weight; 3]);
        let mut starts = [0; 3];
        for seed in 0..300 {
            let picks = picks(picker(seed, &hosts).as_mut(), &hosts, 12);
            starts[picks[0]] += 1;
            assert!(picks.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 3), "{picks:?}");
        }
        assert!(starts.iter().all(|count| (60..=140).contains(count)), "{starts:?}");
    }
}

#[test]
fn unequal_weights_are_exact_in_every_round() {
    for weights in [&[3, 1][..], &[5, 3, 2], &[1, 1, 1, 2], &[128, 1], &[7, 11, 13, 17, 19, 23]] {
        let (hosts, round) = (set(weights), weights.iter().sum::<u32>() as usize);
        for seed in 0..20 {
            let mut picker = picker(seed, &hosts);
            for _ in 0..10 {
                let counts = counts(&picks(picker.as_mut(), &hosts, round), weights.len());
                assert_eq!(counts, weights.iter().map(|weight| *weight as usize).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn heavy_hosts_do_not_come_in_bursts() {
    let hosts = set(&[50, 50, 1]);
    let picks = picks(picker(1, &hosts).as_mut(), &hosts, 2020);
    assert!(!picks.windows(3).any(|run| run.iter().all(|pick| *pick == run[0])));
}

#[test]
fn many_turns_lose_no_precision() {
    let hosts = set(&[1, 2]);
    let mut picker = picker(5, &hosts);
    let counts = counts(&picks(picker.as_mut(), &hosts, 900_000), 2);
    assert_eq!(counts, [300_000, 600_000]);
}

#[test]
fn starts_are_spread_by_weight() {
    let hosts = set(&[3, 1]);
    let heavy = (0..4000).filter(|seed| picks(picker(*seed, &hosts).as_mut(), &hosts, 1) == [0]).count();
    // One pick of each of many pickers: the first turn of weight 3 is before that of weight 1 in 5 of 6 cases.
    assert!((3230..=3430).contains(&heavy), "{heavy}");
}

#[test]
fn tried_hosts_are_avoided_while_there_are_others() {
    for weights in [&[1, 1, 1][..], &[9, 3, 1]] {
        let hosts = set(weights);
        let mut picker = picker(2, &hosts);
        for _ in 0..50 {
            let tried = |tried| PickContext { tried, ..PickContext::default() };
            assert_eq!(picker.pick(&hosts, &tried(&[0, 2])), Some(1));
            assert_ne!(picker.pick(&hosts, &tried(&[1])), Some(1));
            assert!(picker.pick(&hosts, &tried(&[0, 1, 2])).is_some());
        }
    }
    let one = set(&[1]);
    let request = PickContext { tried: &[0], ..PickContext::default() };
    assert_eq!(picker(1, &one).pick(&one, &request), Some(0), "the only one is not avoided");
}

#[test]
fn nothing_to_pick_from_and_only_the_healthy() {
    let empty = set(&[]);
    assert_eq!(picker(1, &empty).pick(&empty, &PickContext::default()), None);
    for weights in [[1, 1, 1], [1, 2, 3]] {
        let hosts = set(&weights).hosts().to_vec();
        hosts[1].set_health(HealthFlags::FAILED_ACTIVE_HC, true);
        let healthy = HostSet::new(hosts.clone(), 50.0);
        assert!(!picks(picker(1, &healthy).as_mut(), &healthy, 40).contains(&1));
        hosts[0].set_health(HealthFlags::FAILED_ACTIVE_HC, true);
        let panic = HostSet::new(hosts, 50.0);
        assert!(panic.is_panic());
        assert!(picks(picker(1, &panic).as_mut(), &panic, 40).contains(&1));
    }
}

/// An update after every single pick must not favour anyone.
#[test]
fn updates_do_not_disturb_the_turns() {
    for weights in [&[1, 1, 1, 1][..], &[1, 2, 3, 4]] {
        let hosts = set(weights);
        let mut picker = picker(3, &hosts);
        let mut all = Vec::new();
        for _ in 0..1000 {
            all.extend(picks(picker.as_mut(), &hosts, 1));
            picker.update(&hosts);
        }
        let total: u32 = weights.iter().sum();
        for (count, weight) in counts(&all, 4).into_iter().zip(weights) {
            let expected = 1000 * *weight as usize / total as usize;
            assert!(count.abs_diff(expected) <= 1, "{count} of {expected}");
        }
    }
}

#[test]
fn a_host_that_leaves_or_enters_does_not_cost_others_their_turn() {
    let hosts: Vec<_> = (1..=4).map(|port| host(port, 1)).collect();
    let all = HostSet::new(hosts.clone(), 50.0);
    let mut picker = picker(4, &all);
    while picks(picker.as_mut(), &all, 1) != [1] {}
    let without = HostSet::new([&hosts[..1], &hosts[2..]].concat(), 50.0);
    picker.update(&without);
    picker.update(&without);
    assert_eq!(picks(picker.as_mut(), &without, 3), [1, 2, 0], "who stood behind the one that left is next");
    picker.update(&all);
    assert_eq!(picks(picker.as_mut(), &all, 4), [1, 2, 3, 0]);
}

#[test]
fn weights_may_become_unequal_and_equal_again() {
    let (equal, unequal) = (set(&[1, 1]), set(&[4, 1]));
    let mut picker = picker(6, &equal);
    for _ in 0..3 {
        assert_eq!(counts(&picks(picker.as_mut(), &equal, 10), 2), [5, 5]);
        picker.update(&unequal);
        assert_eq!(counts(&picks(picker.as_mut(), &unequal, 10), 2), [8, 2]);
        picker.update(&equal);
    }
    let heavier = set(&[4, 2]);
    picker.update(&unequal);
    picker.update(&heavier);
    assert_eq!(counts(&picks(picker.as_mut(), &heavier, 60), 2), [40, 20]);
}

/// Pearson's statistic of 20 pickers' first picks over ten hosts: their starts must look uniform.
#[test]
fn starts_pass_a_chi_square_test() {
    let hosts = set(&[1; 10]);
    let firsts: Vec<_> = (0..2000).flat_map(|seed| picks(picker(seed, &hosts).as_mut(), &hosts, 1)).collect();
    let chi_square: f64 = counts(&firsts, 10).into_iter().map(|count| (count as f64 - 200.0).powi(2) / 200.0).sum();
    assert!(chi_square < 27.88, "{chi_square}: beyond the 0.1 % quantile of 9 degrees of freedom");
}
