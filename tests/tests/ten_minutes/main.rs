//! Ten minutes of a mesh with 100 pods and 10,000 calls take less than two seconds: `cargo test --release -p
//! meshlib-tests --test ten_minutes -- --nocapture` says how long. A debug build runs a tenth of it, unmeasured.
//!
//! What is measured is the time of its one thread on a processor, where Linux tells it: real time on a machine that has
//! nothing else to do. Nearly all of it is the HTTP/2 of 46,000 exchanges, each with both of its ends: calls take three
//! hops, the edge's checks two, the sidecars' own one.
#![cfg(test)]

use std::time::Duration;

use meshlib::testkit::{Load, Sim, secs};

const EDGE: &str = include_str!("../virtual_time/edge.envoy.yaml");
const SIDECAR: &str = include_str!("../virtual_time/sidecar.envoy.yaml");
const TLS: &str = "tls_context: {common_tls_context: {tls_certificates: [{certificate_chain: {filename: /tls.crt}, private_key: {filename: /tls.key}}]}}";
const SERVICE: &str = "echo-grpc.envoy.svc.cluster.local";

const RELEASE: bool = !cfg!(debug_assertions);
const PODS: usize = if RELEASE { 100 } else { 10 };
const CALLS: usize = if RELEASE { 10_000 } else { 1_000 };
const TIME: Duration = secs(600);
const LIMIT: Duration = secs(2);

async fn ten_minutes() -> Sim {
    let edge = EDGE.replace("# TLS", TLS);
    let names: Vec<String> = (1..=PODS).map(|pod| format!("pod{pod}")).collect();
    let pods = names.iter().map(|name| (name.as_str(), SIDECAR));
    let files: Vec<_> = [("edge", edge.as_str())].into_iter().chain(pods).collect();
    let mut sim = Sim::from_files(&files).unwrap();
    sim.dns(SERVICE).set(names.iter().map(String::as_str));
    sim.load(Load::new("edge").every(TIME / CALLS as u32).until(TIME).connections(4));
    sim.run_until(TIME).await;
    sim
}

/// How long this thread was on a processor.
fn on_processor() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[test]
#[expect(clippy::disallowed_types, reason = "it is about real time")]
fn ten_minutes_of_a_hundred_pods_take_less_than_two_seconds() {
    // Time alone: no sockets, no system calls for them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (begin, before) = (std::time::Instant::now(), on_processor());
    let mut sim = runtime.block_on(ten_minutes());
    let real = begin.elapsed();
    let took = before.zip(on_processor()).map_or(real, |(before, now)| now - before);
    println!("{PODS} pods, {CALLS} calls, {TIME:?} of mesh time: {took:?} on a processor, {real:?} in all");
    assert_eq!((sim.calls().len(), sim.errors_between(secs(0), TIME)), (CALLS, 0));
    assert_eq!(sim.node("edge").hosts("echo-grpc"), (PODS, PODS));
    let answered = sim.answered_between(secs(0), TIME);
    assert!(answered.len() == PODS && answered.values().all(|calls| *calls == CALLS / PODS), "{answered:?}");
    let checks: usize = (1..=PODS).map(|pod| sim.app(&format!("pod{pod}")).checks().len()).sum();
    assert!(checks > PODS * 2 * 50, "each is checked every 10 s, by the edge and by its sidecar: {checks}");
    runtime.block_on(sim.stop()).unwrap();
    assert!(!RELEASE || took < LIMIT, "{took:?}");
}
