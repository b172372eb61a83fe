//! The reference deployment as it was published: its edge checks the sidecars, whose only route answers no check, and it
//! works by panic routing alone. Where `MESHLIB_REFERENCE` names its folder, its own files are run, byte for byte.

use std::path::PathBuf;

use crate::{
    client::Client,
    world::{EDGE_FILE, SIDECAR_FILE, TLS_LINES, World, secs},
};

/// Edge and sidecar.
pub(crate) fn files() -> (String, String) {
    if let Some(folder) = std::env::var_os("MESHLIB_REFERENCE").map(PathBuf::from) {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file of the reference");
        return (read("edge.envoy.yaml"), read("sidecar.envoy.yaml"));
    }
    let edge = EDGE_FILE.replace("# TLS", TLS_LINES);
    let (head, rest) = SIDECAR_FILE.split_once("              # HEALTH_ROUTE\n").expect("a mark");
    let (_, tail) = rest.split_once("              # END\n").expect("another one");
    (edge, format!("{head}{tail}"))
}

#[tokio::test(start_paused = true)]
async fn it_works_by_panic_routing_alone() {
    let (edge, sidecar) = files();
    let mut world = World::new(1);
    for pod in 1..=3 {
        world.start_app_beside(pod, &sidecar).await;
        world.start_sidecar(pod).await;
    }
    world.publish(1..=3);
    world.start_edge_from(&edge).await;
    let (io, _) = world.sim.dialler("edge").secured(&[]).await.unwrap();
    let client = Client::over(io);
    let mut answered = client.answered_by(300).await;
    answered.dedup();
    assert_eq!(answered, ["pod-1", "pod-2", "pod-3"]);
    assert_eq!([1, 2, 3].map(|pod| world.app(pod).calls()), [100; 3]);
    world.at(305.0).await;
    let edge = world.edge();
    assert_eq!((edge.hosts(), edge.flags(1)), ((3, 0), "/failed_active_hc".to_owned()));
    let counters = ["attempt", "failure", "success"].map(|name| edge.counter(&format!("health_check.{name}")));
    // At 0 s and, because the wait for traffic had begun, at 60 s; from then on every 10 s.
    assert_eq!(counters, [3 * 26, 3 * 26, 0]);
    assert_eq!(edge.counter("lb_healthy_panic"), 300);
    let log = world.sidecar(1).log();
    let check = "\"POST /grpc.health.v1.Health/Check HTTP/2\" 200 NR ";
    let checks: Vec<_> = log.iter().filter(|line| line.contains(check)).collect();
    assert_eq!(checks.len(), 26);
    assert!(checks[0].contains("\"Envoy/HC\"") && checks[0].contains("\"echo-grpc\""), "{}", checks[0]);
    // The sidecars' own checks go to the application, and pass.
    assert_eq!(world.sidecar(1).hosts(), (1, 1));
    assert!(world.edge_checks(1).is_empty());
    assert_eq!(world.sidecar_checks(1)[..3], [0, 60, 70].map(secs));
}
