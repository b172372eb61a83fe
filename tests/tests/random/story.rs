//! One mesh and what happens to it: two minutes of faults, then all is well again, then the end.

use meshlib::testkit::{Answer, Link, Load, Sim, Trace, millis, secs};

use crate::{faults, invariants};

const EDGE: &str = include_str!("../virtual_time/edge.envoy.yaml");
const SIDECAR: &str = include_str!("../virtual_time/sidecar.envoy.yaml");
const TLS: &str = "tls_context: {common_tls_context: {tls_certificates: [{certificate_chain: {filename: /tls.crt}, private_key: {filename: /tls.key}}]}}";
pub(crate) const SERVICE: &str = "echo-grpc.envoy.svc.cluster.local";

/// Until here things go wrong.
const FAULTS: u64 = 120;
/// Until here calls go on. Checks are 60 s apart where nothing was called.
const CALLS: u64 = FAULTS + 140;
/// The calls since then must succeed.
const RECOVERED: u64 = CALLS - 10;
/// The last call may take as long as its client waits.
const END: u64 = CALLS + 62;

/// The names of the pods.
pub(crate) fn pods(sim: &Sim) -> Vec<String> {
    sim.nodes().map(|node| node.name().to_owned()).filter(|name| name != "edge").collect()
}

/// What was violated, if anything was; what happened is in `trace` whatever comes of it.
pub(crate) async fn tell(seed: u64, trace: &mut Trace) -> Option<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sim = mesh(seed, &mut random);
    *trace = sim.kit().trace.clone();
    let violation = live(&mut sim, &mut random).await.err();
    let left = sim.stop().await.err().map(|left| left.to_string());
    violation.or(left)
}

/// Some pods behind an edge, over links of some kind, and clients.
fn mesh(seed: u64, random: &mut fastrand::Rng) -> Sim {
    let mut options = Vec::new();
    options.push(("# TLS", if random.bool() { TLS } else { "" }));
    options.push(("# CHECKS", if random.bool() { "no_traffic_interval: 10s" } else { "" }));
    let no_panic = "common_lb_config: {healthy_panic_threshold: {value: 0}}";
    options.push(("# CLUSTER", if random.bool() { no_panic } else { "" }));
    let edge = options.iter().fold(EDGE.to_owned(), |file, (mark, line)| file.replace(mark, line));
    let names: Vec<String> = (1..=random.usize(2..=5)).map(|pod| format!("pod{pod}")).collect();
    let mut files = vec![("edge", edge.as_str())];
    files.extend(names.iter().map(|name| (name.as_str(), SIDECAR)));
    let mut sim = Sim::seeded(seed, &files).unwrap();
    if random.bool() {
        let link = Link::latency(millis(random.u64(0..30)));
        sim.kit().network.set_default_link(if random.bool() { link.bandwidth(200_000) } else { link });
    }
    for name in &names {
        sim.app(name).on("/api.Echo/Drip", Answer::Drip(secs(1)));
    }
    sim.dns(SERVICE).set(names.iter().map(String::as_str));
    let every = millis(random.u64(100..500));
    sim.load(Load::new("edge").every(every).until(secs(CALLS)).connections(random.usize(1..=4)));
    sim.load(Load::new("edge").every(secs(5)).until(secs(FAULTS)).path("/api.Echo/Drip").timeout(secs(10)));
    sim
}

async fn live(sim: &mut Sim, random: &mut fastrand::Rng) -> Result<(), String> {
    while sim.now() < secs(FAULTS) {
        sim.run_for(millis(random.u64(1..500))).await;
        invariants::now(sim)?;
        if random.u8(..4) == 0 {
            let fault = faults::any(sim, random);
            sim.apply(fault).await;
            invariants::now(sim)?;
        }
    }
    faults::mend(sim).await;
    while sim.now() < secs(END) {
        sim.run_for(millis(500)).await;
        invariants::now(sim)?;
    }
    let late = sim.calls().into_iter().filter(|call| call.begin >= secs(RECOVERED));
    if let Some(call) = late.into_iter().find(|call| !call.outcome.is_success()) {
        return Err(format!("all is well again since {FAULTS} s, but {call:?}"));
    }
    invariants::at_rest(sim)
}
