//! A line of the access log in Envoy's default format.
//!
//! ```sh
//! cargo bench -p meshlib-benches --bench access_log
//! ```
#![expect(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use criterion::{Criterion, criterion_group, criterion_main};
use meshlib::base::FinishObserver;
use meshlib_benches::record;
use tokio::runtime::Builder;

fn access_log(criterion: &mut Criterion) {
    // The log spawns its timer on it; it is never driven, so lines leave with a full buffer.
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    let log = record::log();
    let info = record::closed(&log);
    criterion.bench_function("access log line", |bencher| {
        bencher.iter(|| info.read(|record| log.on_finish(&info, record)));
    });
}

criterion_group!(benches, access_log);
criterion_main!(benches);
