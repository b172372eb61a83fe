//! The simulation itself: what its methods promise.

use meshlib::testkit::{Answer, Load, Sim, millis, secs};

use crate::world::SIDECAR_FILE;

#[tokio::test(start_paused = true)]
async fn a_load_that_is_added_late_leaves_out_what_has_passed() {
    let mut sim = Sim::from_files(&[("pod1", SIDECAR_FILE)]).unwrap();
    sim.run_until(secs(90)).await;
    sim.load(Load::new("pod1").from(millis(50)).every(millis(100)).until(secs(100)));
    sim.run_until(secs(100)).await;
    let calls = sim.calls();
    let begins: Vec<_> = calls.iter().map(|call| call.begin).collect();
    assert!(begins.iter().copied().eq((900..1000).map(|call| millis(50 + call * 100))), "{:?}", begins.first());
    assert_eq!(sim.errors_between(secs(0), secs(100)), 0);
    sim.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_replaced_ends_before_the_next_one_starts() {
    let mut sim = Sim::from_files(&[("pod1", SIDECAR_FILE)]).unwrap();
    sim.app("pod1").on("/api.Echo/Drip", Answer::Drip(secs(1)));
    sim.load(Load::new("pod1").path("/api.Echo/Drip").timeout(secs(3600)).every(secs(3600)));
    sim.run_until(secs(10)).await;
    let (address, before) = (sim.node("pod1").address(), sim.node("pod1").stats().clone());
    sim.add_at("pod1", address, SIDECAR_FILE).unwrap();
    sim.started().await.unwrap();
    sim.load(Load::new("pod1").every(millis(100)).until(secs(20)));
    sim.run_until(secs(20)).await;
    assert_eq!(sim.errors_between(secs(10), secs(20)), 0);
    assert!(sim.app("pod1").calls() > 90);
    assert_eq!(before.gauge_value("http.ingress_https.downstream_cx_active"), Some(0));
    // It counts for what is left all the same.
    before.gauge("leak").add(1);
    let left = sim.stop().await.unwrap_err();
    assert_eq!(left.gauges, ["pod1: leak 1"]);
}
