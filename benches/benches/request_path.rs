//! A unary gRPC call in one process: through the layers alone, and through a whole proxy with both codecs over pipes.
//!
//! ```sh
//! cargo bench -p meshlib-benches --bench request_path
//! ```
#![expect(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use meshlib_benches::{layers::Layers, proxy::Proxy};
use tokio::runtime::Builder;

fn request_path(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("request path");
    let layers = Layers::new();
    group.bench_function("layers", |bencher| {
        bencher.to_async(&runtime).iter(|| layers.call(Bytes::from_static(b"\0\0\0\0\x06hello!")));
    });
    let proxy = runtime.block_on(Proxy::start());
    for size in [11, 1024, 16 << 10] {
        let message = Bytes::from(vec![0; size]);
        group.bench_with_input(BenchmarkId::new("proxy", size), &message, |bencher, message| {
            bencher.to_async(&runtime).iter(|| proxy.call(message.clone()));
        });
    }
    group.finish();
}

criterion_group!(benches, request_path);
criterion_main!(benches);
