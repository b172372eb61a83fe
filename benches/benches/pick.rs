//! A pick, by the number of hosts: round robin over equal hosts, and over weighted ones.
//!
//! ```sh
//! cargo bench -p meshlib-benches --bench pick
//! ```

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use meshlib::cluster::balance::PickContext;
use meshlib_benches::hosts;

fn pick(criterion: &mut Criterion) {
    for (name, weighted) in [("pick, equal", false), ("pick, weighted", true)] {
        let mut group = criterion.benchmark_group(name);
        for count in [3, 100, 10_000] {
            let picks = hosts::picks(count, weighted);
            assert!(picks.pick(&PickContext::default()).is_some());
            group.bench_with_input(BenchmarkId::from_parameter(count), &count, |bencher, _| {
                bencher.iter(|| picks.pick(&PickContext::default()).is_some());
            });
        }
        group.finish();
    }
}

criterion_group!(benches, pick);
criterion_main!(benches);
