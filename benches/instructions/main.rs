//! One piece of work, over and over, for `benches/instructions/run` to count what it executes under valgrind.
//!
//! ```text
//! cargo run --release -p meshlib-benches --no-default-features --bin instructions            # their names
//! cargo run --release -p meshlib-benches --no-default-features --bin instructions -- 'pick, 3 hosts' 100
//! ```
#![expect(clippy::expect_used, clippy::print_stdout, reason = "what cannot be set up cannot be measured")]

use std::{hint::black_box, process::ExitCode};

use bytes::Bytes;
use meshlib::{base::FinishObserver, cluster::balance::PickContext};
use meshlib_benches::{
    heads::{self, Heads},
    hosts,
    layers::Layers,
    proxy::Proxy,
    record,
    routes::{self, Kind},
    updates::{Updates, endpoints},
};
use tokio::runtime::{Builder, Runtime};

/// Work, ready to be done.
type Work = Box<dyn FnMut()>;
/// Sets work up.
type SetUp = Box<dyn Fn() -> Work>;

fn main() -> ExitCode {
    let works = works();
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        works.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let times = arguments.next().and_then(|times| times.parse::<u32>().ok());
    let (Some((_, set_up)), Some(times)) = (works.iter().find(|(known, _)| *known == name), times) else {
        println!("instructions NAME TIMES; without arguments it says the names");
        return ExitCode::FAILURE;
    };
    let mut work = set_up();
    // Buffers grow, connections are made, lazy values come to be.
    (0..times.div_ceil(4)).for_each(|_| work());
    counted(&mut work, times);
    ExitCode::SUCCESS
}

/// The only function that valgrind counts, and what it calls.
#[inline(never)]
fn counted(work: &mut Work, times: u32) {
    for _ in 0..times {
        work();
    }
}

fn works() -> Vec<(String, SetUp)> {
    let mut works = Vec::new();
    let mut add = |name: String, set_up: SetUp| works.push((name, set_up));
    add("request path, layers".to_owned(), Box::new(layers));
    for size in [11, 1024, 16 << 10] {
        add(format!("request path, proxy, {size} bytes"), Box::new(move || proxy(size)));
    }
    for count in [1, 100, 10_000] {
        add(format!("route lookup, {count} of one virtual host"), Box::new(move || route_lookup(count)));
    }
    for (name, kind) in Kind::ALL {
        for count in [1, 100, 10_000] {
            add(format!("route lookup, {name}, {count} spread"), Box::new(move || spread_lookup(count, kind)));
        }
    }
    for (name, weighted) in [("equal", false), ("weighted", true)] {
        for count in [3, 100, 10_000] {
            add(format!("pick, {count} {name} hosts"), Box::new(move || pick(count, weighted)));
        }
    }
    for (what, step) in [("one", 1), ("all", 10_000)] {
        add(format!("host set update, {what} of 10000 changed"), Box::new(move || update(10_000, step)));
    }
    add("access log line".to_owned(), Box::new(access_log));
    add("request head".to_owned(), Box::new(request_head));
    add("local reply".to_owned(), Box::new(local_reply));
    works
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn layers() -> Work {
    let (runtime, layers) = (runtime(), Layers::new());
    Box::new(move || runtime.block_on(layers.call(Bytes::from_static(b"\0\0\0\0\x06hello!"))))
}

fn proxy(size: usize) -> Work {
    let (runtime, message) = (runtime(), Bytes::from(vec![0; size]));
    let proxy = runtime.block_on(Proxy::start());
    Box::new(move || assert_eq!(runtime.block_on(proxy.call(message.clone())), size))
}

fn route_lookup(count: usize) -> Work {
    let (table, request) = (routes::table(count), routes::request(count));
    Box::new(move || assert!(table.find(black_box(&request)).is_some()))
}

fn spread_lookup(count: usize, kind: Kind) -> Work {
    let (table, requests) = (routes::spread(count, kind), routes::spread_requests(count, kind));
    let mut next = 0;
    Box::new(move || {
        let request = requests.get(next).expect("a request");
        assert!(table.find(black_box(request)).is_some());
        next = (next + 1) % requests.len();
    })
}

fn pick(count: usize, weighted: bool) -> Work {
    let picks = hosts::picks(count, weighted);
    Box::new(move || assert!(picks.pick(&PickContext::default()).is_some()))
}

/// The making of the endpoints is counted as well: some 20 instructions for each.
fn update(count: usize, step: usize) -> Work {
    let runtime = runtime();
    let updates = runtime.block_on(async { Updates::start(&meshlib::testkit::resources()) });
    let mut first = 0;
    Box::new(move || {
        runtime.block_on(updates.apply(endpoints(first, count, false)));
        first += step;
    })
}

fn access_log() -> Work {
    let runtime = runtime();
    let entered = runtime.enter();
    let log = record::log();
    let info = record::closed(&log);
    drop(entered);
    Box::new(move || {
        let _alive = &runtime;
        info.read(|record| log.on_finish(&info, record));
    })
}

fn request_head() -> Work {
    let (parts, request, response) = (Heads::new(), heads::request_headers(), heads::response_headers());
    Box::new(move || {
        let (mut request, mut response) = (request.clone(), response.clone());
        parts.request(&mut request);
        parts.response(&mut response);
        drop(black_box((request, response)));
    })
}

fn local_reply() -> Work {
    let headers = heads::request_headers();
    Box::new(move || drop(black_box(heads::local_reply(black_box(&headers)))))
}
