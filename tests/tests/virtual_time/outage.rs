//! The outage of a sidecar that starts after the edge: its first check was refused, and the next one is a minute away.
//! Edge and three sidecars run under [`Sim`] from the reference's own files, byte for byte, where `MESHLIB_REFERENCE`
//! names their folder; otherwise from files with the same fields.

use meshlib::testkit::{Load, Sim, millis, secs};

use crate::{
    published,
    world::{SERVICE, SIDECAR_FILE, TLS_LINES},
};

const PODS: [&str; 3] = ["pod1", "pod2", "pod3"];

/// Applications that run, an edge that starts at 0 s, sidecars that start one second later, ten calls a second.
fn late_sidecars(edge: &str, sidecar: &str) -> Sim {
    let mut sim = Sim::from_files(&[("edge", edge), ("pod1", sidecar), ("pod2", sidecar), ("pod3", sidecar)]).unwrap();
    sim.dns(SERVICE).set(PODS);
    for pod in PODS {
        sim.hold_back(pod);
        sim.at(secs(1)).start(pod);
    }
    sim.load(Load::new("edge").every(millis(100)));
    sim
}

/// When the trace tells of this at the edge.
fn times(sim: &Sim, what: &str) -> Vec<u128> {
    let told = sim.trace().into_iter().filter(|event| event.what.starts_with("edge:") && event.what.contains(what));
    told.map(|event| event.at.as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_reference_fails_until_its_sidecars_are_there_and_is_checked_again_after_sixty_seconds() {
    let (edge, sidecar) = published::files();
    let mut sim = late_sidecars(&edge, &sidecar);
    let attempts = |sim: &Sim| sim.node("edge").counter("cluster.echo-grpc.health_check.attempt");
    sim.run_until(millis(950)).await;
    assert_eq!((sim.errors_between(secs(0), millis(950)), sim.calls().len()), (10, 10), "connections are refused");
    for (until, checked) in [(60_000 - 10, 3), (60_000, 6), (70_000 - 10, 6), (70_000, 9), (80_000, 12)] {
        sim.run_until(millis(until)).await;
        assert_eq!(attempts(&sim), checked, "at {until} ms");
    }
    // Panic carries the calls from the first second on, for no check ever passes: no route leads to the health service.
    assert_eq!(sim.errors_between(secs(1), secs(80)), 0);
    assert_eq!(sim.node("edge").hosts("echo-grpc"), (3, 0));
    let answered = sim.answered_between(secs(1), secs(70));
    assert_eq!(answered.values().copied().collect::<Vec<_>>(), [230; 3], "{answered:?}");
    assert!(sim.node("edge").log().iter().filter(|line| line.contains(" 200 UF ")).count() == 10);
    sim.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn with_a_route_for_the_checks_the_hosts_are_healthy_after_seventy_seconds() {
    let edge = crate::world::EDGE_FILE.replace("# TLS", TLS_LINES);
    let mut sim = late_sidecars(&edge, SIDECAR_FILE);
    sim.run_until(secs(75)).await;
    assert_eq!(times(&sim, "has a new host"), [0; 3]);
    assert_eq!(times(&sim, "is now healthy"), [70_000; 3], "good at 60 s and at 70 s");
    assert_eq!(times(&sim, "panics:"), [0]);
    assert_eq!(times(&sim, "panics no more"), [70_000]);
    for pod in PODS {
        let checks: Vec<_> = sim.app(pod).checks().into_iter().filter(|check| check.routed).collect();
        assert_eq!(checks.iter().map(|check| check.at).collect::<Vec<_>>(), [60, 70].map(secs));
    }
    sim.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_panic_it_is_an_outage_of_two_minutes() {
    let no_panic = "common_lb_config: {healthy_panic_threshold: {value: 0}}";
    let edge = crate::world::EDGE_FILE.replace("# TLS", TLS_LINES).replace("# CLUSTER", no_panic);
    let mut sim = late_sidecars(&edge, SIDECAR_FILE);
    sim.run_until(secs(130)).await;
    // A call that finds no host opens no connection, so nothing shortens the second wait either.
    assert_eq!(times(&sim, "is now healthy"), [120_000; 3]);
    assert_eq!(sim.errors_between(secs(0), secs(120)), 1200);
    assert_eq!(sim.errors_between(millis(120_100), secs(130)), 0);
    let log = sim.node("edge").log();
    assert!(log.iter().take(1200).all(|line| line.contains(" 200 UH ")), "{:?}", log.first());
    sim.stop().await.unwrap();
}
