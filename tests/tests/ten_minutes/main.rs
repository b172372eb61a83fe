//! Ten minutes of a mesh with 100 pods and 10,000 calls take less than two seconds: `cargo test --release -p
//! meshlib-tests --test ten_minutes -- --nocapture` says how long. A debug build runs a tenth of it, unmeasured.
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

#[test]
#[expect(clippy::disallowed_types, reason = "it is about real time")]
fn ten_minutes_of_a_hundred_pods_take_less_than_two_seconds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let begin = std::time::Instant::now();
    let mut sim = runtime.block_on(ten_minutes());
    let took = begin.elapsed();
    println!("{PODS} pods, {CALLS} calls, {TIME:?} of mesh time: {took:?}");
    assert_eq!((sim.calls().len(), sim.errors_between(secs(0), TIME)), (CALLS, 0));
    assert_eq!(sim.node("edge").hosts("echo-grpc"), (PODS, PODS));
    let answered = sim.answered_between(secs(0), TIME);
    assert!(answered.len() == PODS && answered.values().all(|calls| *calls == CALLS / PODS), "{answered:?}");
    let checks: usize = (1..=PODS).map(|pod| sim.app(&format!("pod{pod}")).checks().len()).sum();
    assert!(checks > PODS * 2 * 50, "each is checked every 10 s, by the edge and by its sidecar: {checks}");
    runtime.block_on(sim.stop()).unwrap();
    assert!(!RELEASE || took < LIMIT, "{took:?}");
}
