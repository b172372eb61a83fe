//! From the text of an Envoy file to configuration values, and on to a compiled table, by the number of its routes.
//!
//! ```sh
//! cargo bench -p meshlib-benches --bench config_load
//! ```
#![expect(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use meshlib::{envoy, route::RouteTable};
use meshlib_benches::files;

fn config_load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("configuration load");
    group.sample_size(10);
    for count in [10, 1000, 10_000] {
        let file = files::with_routes(count);
        group.throughput(Throughput::Bytes(file.len() as u64));
        group.bench_with_input(BenchmarkId::new("read", count), &file, |bencher, file| {
            bencher.iter(|| envoy::load("envoy.yaml", file).expect("a good file"));
        });
        let table = files::route_table(&file);
        assert_eq!(table.virtual_hosts.iter().map(|host| host.routes.len()).sum::<usize>(), count);
        group.bench_with_input(BenchmarkId::new("compile routes", count), &table, |bencher, table| {
            bencher.iter(|| RouteTable::new(table, |_| ()).expect("a table"));
        });
    }
    group.finish();
}

criterion_group!(benches, config_load);
criterion_main!(benches);
