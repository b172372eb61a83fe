//! From a discovery's new set of endpoints to the hosts that a data path picks from, by the control task.
//!
//! ```sh
//! cargo bench -p meshlib-benches --bench host_set_update
//! ```
#![expect(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::cell::Cell;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use meshlib_benches::updates::{Updates, endpoints};
use tokio::runtime::Builder;

fn host_set_update(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let resources = meshlib::testkit::resources();
    let mut group = criterion.benchmark_group("host set update");
    group.sample_size(20);
    for count in [100, 10_000] {
        for (name, weighted) in [("", false), (", weighted", true)] {
            // How far the set moves on: by one host, or to hosts of which none was there.
            for (what, step) in [("one changed", 1), ("all changed", count)] {
                let updates = runtime.block_on(async { Updates::start(&resources) });
                let first = Cell::new(0);
                runtime.block_on(updates.apply(endpoints(0, count, weighted)));
                let next = || {
                    first.set((first.get() + step) % (1 << 23));
                    endpoints(first.get(), count, weighted)
                };
                let name = format!("{what}{name}");
                group.bench_with_input(BenchmarkId::new(name, count), &count, |bencher, _| {
                    bencher.iter_batched(next, |set| runtime.block_on(updates.apply(set)), BatchSize::PerIteration);
                });
            }
        }
    }
    // What a cluster's first minute costs: each host comes as failing, and each first result changes the set.
    for count in [100, 10_000] {
        group.sample_size(10).bench_function(BenchmarkId::new("new, with health checks", count), |bencher| {
            let start = || {
                let _entered = runtime.enter();
                (Updates::checked(&resources), endpoints(0, count, false))
            };
            bencher.iter_batched(
                start,
                |(updates, set)| {
                    runtime.block_on(async {
                        updates.apply(set).await;
                        updates.healthy(count).await;
                    });
                    updates
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, host_set_update);
criterion_main!(benches);
