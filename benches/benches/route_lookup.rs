//! From a request's head to its route, by the number of routes.
//!
//! ```sh
//! cargo bench -p meshlib-benches --bench route_lookup
//! ```

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use meshlib_benches::routes;

fn route_lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route lookup");
    for count in [1, 100, 10_000] {
        let (table, request) = (routes::table(count), routes::request(count));
        assert!(table.find(&request).is_some());
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |bencher, _| {
            bencher.iter(|| table.find(black_box(&request)).is_some());
        });
    }
    group.finish();
}

criterion_group!(benches, route_lookup);
criterion_main!(benches);
