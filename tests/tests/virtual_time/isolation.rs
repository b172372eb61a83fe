//! Two meshes in one process: different settings, the same names and ports, and neither sees the other.

use meshlib::{base::DrainTimes, testkit::Health};

use crate::{
    node::raised,
    world::{CHECKED, EdgeOptions, World, secs},
};

const NO_PANIC: EdgeOptions = EdgeOptions {
    tls: false,
    cluster: "common_lb_config: {healthy_panic_threshold: {value: 0}}",
    checks: "no_traffic_interval: 20s",
};

#[tokio::test(start_paused = true)]
async fn two_meshes_do_not_see_each_other() {
    let (one, other) = tokio::join!(World::running([1, 2], CHECKED), World::running([1], NO_PANIC));
    let clients = (one.client().await, other.client().await);
    assert_eq!(clients.0.answered_by(4).await, ["pod-1", "pod-1", "pod-2", "pod-2"]);
    assert_eq!(clients.1.answered_by(4).await, ["pod-1"; 4]);
    assert_eq!([1, 2].map(|pod| one.app(pod).calls()), [2, 2]);
    assert_eq!(other.app(1).calls(), 4);
    assert_eq!((one.edge().counter("upstream_rq_total"), other.edge().counter("upstream_rq_total")), (4, 4));

    // Health, panic and intervals.
    for pod in [1, 2] {
        one.app(pod).set_health(Health::NotServing);
    }
    other.app(1).set_health(Health::NotServing);
    let failed = one.when("one fails", || one.edge().hosts() == (2, 0)).await;
    assert_eq!((failed, other.edge().hosts()), (secs(10), (1, 1)));
    let failed = other.when("the other fails", || other.edge().hosts() == (1, 0)).await;
    assert_eq!(failed, secs(20));
    assert_eq!(clients.0.echo().await.unwrap().grpc_status(), Some(0), "panic");
    assert_eq!(clients.1.echo().await.unwrap().grpc_status(), Some(14), "no panic");
    assert_eq!((one.edge().counter("lb_healthy_panic"), other.edge().counter("lb_healthy_panic")), (1, 0));

    // DNS, time of drain, logs.
    one.kit.dns.nx(crate::world::SERVICE);
    one.at(26.0).await;
    assert_eq!((one.edge().hosts(), other.edge().hosts()), ((0, 0), (1, 0)));
    one.edge().server().drain(DrainTimes::default());
    one.at(32.0).await;
    assert!(one.dial().await.is_err() && clients.0.is_closed());
    assert!(other.dial().await.is_ok() && !clients.1.is_closed());
    assert!(!other.edge().kit.resources.drain().health_failing());
    assert_eq!((one.edge().log().len(), other.edge().log().len()), (5, 5));
    assert!(other.edge().log()[4].contains(" 200 UH "), "{:?}", other.edge().log());

    // One ends; the other goes on.
    drop(one);
    other.app(1).set_health(Health::Serving);
    let back = other.when("it is back", || other.edge().hosts() == (1, 1)).await;
    assert_eq!(back, secs(50), "checks at 40 and 50: there was traffic, so every 10 s");
    assert_eq!(clients.1.answered_by(1).await, ["pod-1"]);
    other.at(60.0).await;
    let raised = raised(other.edge().stats());
    let described =
        |gauge: &String| ["cx_active", "health_check.healthy", ".membership_"].iter().any(|of| gauge.contains(of));
    assert!(raised.iter().all(described), "{raised:?}");
}
