//! The passes over the heads of a request and its response, and a reply of our own.
//!
//! ```sh
//! cargo bench -p meshlib-benches --bench heads
//! ```

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use meshlib_benches::heads::{self, Heads};

fn passes(criterion: &mut Criterion) {
    let parts = Heads::new();
    let request = heads::request_headers();
    criterion.bench_function("head of a request", |bencher| {
        bencher.iter_batched_ref(|| request.clone(), |headers| parts.request(headers), BatchSize::SmallInput);
    });
    let response = heads::response_headers();
    criterion.bench_function("head of a response", |bencher| {
        bencher.iter_batched_ref(|| response.clone(), |headers| parts.response(headers), BatchSize::SmallInput);
    });
    criterion.bench_function("local reply", |bencher| bencher.iter(|| heads::local_reply(black_box(&request))));
}

criterion_group!(benches, passes);
criterion_main!(benches);
