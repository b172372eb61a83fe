//! From a request's head to its route, by the number of routes: in one virtual host, and over 1,000 of them.
//!
//! ```sh
//! cargo bench -p meshlib-benches --bench route_lookup
//! ```

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use meshlib_benches::routes::{self, Kind};

const COUNTS: [usize; 3] = [1, 100, 10_000];

fn one_virtual_host(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route lookup");
    for count in COUNTS {
        let (table, request) = (routes::table(count), routes::request(count));
        assert!(table.find(&request).is_some());
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |bencher, _| {
            bencher.iter(|| table.find(black_box(&request)).is_some());
        });
    }
    group.finish();
}

fn a_thousand_virtual_hosts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route lookup, 1000 virtual hosts");
    for (name, kind) in Kind::ALL {
        for count in COUNTS {
            let (table, requests) = (routes::spread(count, kind), routes::spread_requests(count, kind));
            assert!(requests.iter().all(|request| table.find(request).is_some()));
            let mut next = requests.iter().cycle();
            group.bench_with_input(BenchmarkId::new(name, count), &count, |bencher, _| {
                bencher.iter(|| next.next().map(|request| table.find(black_box(request)).is_some()));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, one_virtual_host, a_thousand_virtual_hosts);
criterion_main!(benches);
