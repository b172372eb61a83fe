//! Budgets of allocations: `cargo test -p meshlib-benches --test allocations`. What a request costs must not grow by
//! accident. How large its futures are is asserted beside them (`grep -rn future_size meshlib/src`).
#![cfg(test)]

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use meshlib::{base::FinishObserver, cluster::balance::PickContext};
use meshlib_benches::{
    heads::{self, Heads},
    hosts,
    layers::Layers,
    proxy::Proxy,
    record,
    routes::{self, Kind},
};
use tokio::runtime::{Builder, Runtime};

const CALLS: u64 = 1000;

/// What may be allocated for one of many.
struct Budget {
    allocations: f64,
    bytes: f64,
}

const NOTHING: Budget = Budget { allocations: 0.0, bytes: 0.0 };
/// The copies of the heads that the passes are made over included.
const HEADS: Budget = Budget { allocations: 14.0, bytes: 3400.0 };
const LOCAL_REPLY: Budget = Budget { allocations: 6.0, bytes: 800.0 };
/// The call's and the answer's own included.
const LAYERS: Budget = Budget { allocations: 42.1, bytes: 7600.0 };
/// The client's and the host's side of both connections included: they are of the same process.
const PROXY: Budget = Budget { allocations: 53.5, bytes: 14900.0 };

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Allocations of this thread for each of many calls, after some that warm up: the least of five turns, for what is
/// rendered once a second (`date`) falls into one turn and not into the next.
fn per_call(mut call: impl FnMut()) -> Budget {
    (0..CALLS / 10).for_each(|_| call());
    let mut turn = || measure(|| (0..CALLS).for_each(|_| call()));
    let (first, others) = (turn(), [turn(), turn(), turn(), turn()]);
    let AllocationInfo { count_total, bytes_total, .. } =
        others.into_iter().fold(first, |least, next| if next.count_total < least.count_total { next } else { least });
    Budget { allocations: count_total as f64 / CALLS as f64, bytes: bytes_total as f64 / CALLS as f64 }
}

fn assert_within(what: &str, budget: &Budget, call: impl FnMut()) {
    let found = per_call(call);
    println!("{what}: {} allocations of {} bytes", found.allocations, found.bytes);
    assert!(
        found.allocations <= budget.allocations && found.bytes <= budget.bytes,
        "{what}: {} allocations of {} bytes, and {} of {} are the budget. `heaptrack` or `valgrind --tool=dhat` of \
         `target/release/instructions` shows who allocates. If it must be so, raise the budget above, and say in the \
         commit what for. If it is less for good, lower it.",
        found.allocations,
        found.bytes,
        budget.allocations,
        budget.bytes,
    );
}

#[test]
fn the_counter_counts() {
    let found = per_call(|| drop(std::hint::black_box(Box::new(1_u64))));
    assert_eq!((found.allocations, found.bytes), (1.0, 8.0));
}

#[test]
fn a_route_lookup_allocates_nothing() {
    for count in [1, 100, 10_000] {
        let (table, request) = (routes::table(count), routes::request(count));
        assert_within("route lookup", &NOTHING, || assert!(table.find(&request).is_some()));
        for (name, kind) in Kind::ALL {
            let (table, requests) = (routes::spread(count, kind), routes::spread_requests(count, kind));
            let mut next = requests.iter().cycle();
            assert_within(name, &NOTHING, || assert!(next.next().is_some_and(|next| table.find(next).is_some())));
        }
    }
}

#[test]
fn a_pick_allocates_nothing() {
    for (count, weighted) in [(3, false), (10_000, false), (3, true), (10_000, true)] {
        let picks = hosts::picks(count, weighted);
        assert_within("pick", &NOTHING, || assert!(picks.pick(&PickContext::default()).is_some()));
    }
}

#[test]
fn an_access_log_line_allocates_nothing() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let log = record::log();
    let info = record::closed(&log);
    // The buffer is used again as soon as the sink has let go of it.
    assert_within("access log line", &NOTHING, || info.read(|record| log.on_finish(&info, record)));
}

#[test]
fn heads_and_local_replies() {
    let (parts, request, response) = (Heads::new(), heads::request_headers(), heads::response_headers());
    assert_within("heads", &HEADS, || {
        parts.request(&mut request.clone());
        parts.response(&mut response.clone());
    });
    assert_within("local reply", &LOCAL_REPLY, || drop(heads::local_reply(&request)));
}

#[test]
fn a_call_through_the_layers() {
    let (runtime, layers) = (runtime(), Layers::new());
    let call = || runtime.block_on(layers.call(Bytes::from_static(b"\0\0\0\0\x06hello!")));
    assert_within("layers", &LAYERS, call);
}

#[test]
fn a_call_through_a_whole_proxy() {
    let runtime = runtime();
    let proxy = runtime.block_on(Proxy::start());
    let call = || assert_eq!(runtime.block_on(proxy.call(Bytes::from_static(&[0; 11]))), 11);
    assert_within("proxy", &PROXY, call);
}
