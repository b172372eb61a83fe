//! Budgets of allocations: `cargo test -p meshlib-benches --test allocations`. What a request costs must not grow by
//! accident.
#![cfg(test)]

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use meshlib::{base::FinishObserver, cluster::balance::PickContext};
use meshlib_benches::{hosts, layers::Layers, proxy::Proxy, record, routes};
use tokio::runtime::{Builder, Runtime};

const CALLS: u64 = 1000;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Allocations of this thread for each of many calls, after some that warm up.
fn per_call(mut call: impl FnMut()) -> f64 {
    (0..CALLS / 10).for_each(|_| call());
    let AllocationInfo { count_total, .. } = measure(|| (0..CALLS).for_each(|_| call()));
    count_total as f64 / CALLS as f64
}

#[test]
fn the_counter_counts() {
    assert_eq!(per_call(|| drop(std::hint::black_box(Box::new(1)))), 1.0);
}

#[test]
fn a_route_lookup_allocates_nothing() {
    for count in [1, 100, 10_000] {
        let (table, request) = (routes::table(count), routes::request(count));
        assert_eq!(per_call(|| assert!(table.find(&request).is_some())), 0.0, "{count} routes");
    }
}

#[test]
fn a_pick_allocates_nothing() {
    for (count, weighted) in [(3, false), (10_000, false), (3, true), (10_000, true)] {
        let picks = hosts::picks(count, weighted);
        assert_eq!(per_call(|| assert!(picks.pick(&PickContext::default()).is_some())), 0.0, "{count}, {weighted}");
    }
}

#[test]
fn an_access_log_line_allocates_nothing_beyond_its_buffer() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let log = record::log();
    let info = record::closed(&log);
    let per_line = per_call(|| info.read(|record| log.on_finish(&info, record)));
    // A buffer of 16 KiB, some 80 lines, is handed on whole.
    assert!(per_line < 0.05, "{per_line}");
}

#[test]
fn a_call_through_the_layers() {
    let (runtime, layers) = (runtime(), Layers::new());
    let per_call = per_call(|| runtime.block_on(layers.call(Bytes::from_static(b"\0\0\0\0\x06hello!"))));
    println!("{per_call} allocations, the call's and the answer's own included");
    assert!(per_call <= 46.0, "{per_call}");
}

/// The client's and the host's side of both connections are counted as well: they are of the same process.
#[test]
fn a_call_through_a_whole_proxy() {
    let runtime = runtime();
    let proxy = runtime.block_on(Proxy::start());
    let per_call = per_call(|| assert_eq!(runtime.block_on(proxy.call(Bytes::from_static(&[0; 11]))), 11));
    println!("{per_call} allocations, the client's and the host's included");
    assert!(per_call <= 64.0, "{per_call}");
}
