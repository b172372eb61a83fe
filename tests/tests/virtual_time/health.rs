//! Health checks: when they are made, what they decide, and what panic makes of it.

use meshlib::testkit::Health;

use crate::world::{CHECKED, EdgeOptions, World, secs, sidecar_address};

const NO_PANIC: EdgeOptions =
    EdgeOptions { tls: false, cluster: "common_lb_config: {healthy_panic_threshold: {value: 0}}", checks: "" };

/// An edge that starts at 0 s, before the sidecar that starts at 1 s.
async fn edge_before_sidecar(options: EdgeOptions) -> World {
    let mut world = World::new(1);
    world.start_app(1).await;
    world.publish([1]);
    world.start_edge(options).await;
    assert_eq!(world.now(), secs(0), "a refused check is a result: nothing to wait for");
    world.at(1.0).await;
    world.start_sidecar(1).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_starts_after_the_edge_is_found_after_sixty_seconds() {
    let world = edge_before_sidecar(EdgeOptions::default()).await;
    let edge = world.edge();
    assert_eq!((edge.counter("health_check.attempt"), edge.counter("health_check.failure")), (1, 1));
    // Panic carries the traffic meanwhile. It does not cut the wait that has begun.
    let client = world.client().await;
    world.at(30.0).await;
    assert_eq!(client.echo().await.unwrap().grpc_status(), Some(0));
    assert_eq!(edge.counter("lb_healthy_panic"), 1);
    let passed = world.when("a check passes", || edge.counter("health_check.success") == 1).await;
    assert_eq!(passed, secs(60));
    assert_eq!(edge.flags(1), "/failed_active_hc", "one of two");
    let healthy = world.when("the host is healthy", || edge.flags(1) == "healthy").await;
    assert_eq!(healthy, secs(70));
    assert_eq!(world.edge_checks(1), [secs(60), secs(70)]);
    client.echo().await.unwrap();
    assert_eq!(edge.counter("lb_healthy_panic"), 1, "no panic any more");
}

#[tokio::test(start_paused = true)]
async fn without_traffic_the_second_good_check_is_another_sixty_seconds_away() {
    let world = edge_before_sidecar(EdgeOptions::default()).await;
    let healthy = world.when("the host is healthy", || world.edge().flags(1) == "healthy").await;
    assert_eq!(healthy, secs(120));
}

#[tokio::test(start_paused = true)]
async fn without_panic_nobody_is_asked_and_no_traffic_shortens_the_interval() {
    let world = edge_before_sidecar(NO_PANIC).await;
    let reply = world.client().await.echo().await.unwrap();
    assert_eq!((reply.grpc_status(), reply.grpc_message()), (Some(14), "no healthy upstream"));
    let healthy = world.when("the host is healthy", || world.edge().flags(1) == "healthy").await;
    assert_eq!(healthy, secs(120), "a request that found no host opened no connection");
    assert_eq!(world.client().await.echo().await.unwrap().grpc_status(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn checks_come_an_interval_after_the_end_of_the_last_one() {
    let world = World::running([1], CHECKED).await;
    world.app(1).set_health(Health::Silent);
    // Each takes its whole second until then.
    let ejected = world.when("the host is ejected", || world.edge().flags(1) == "/failed_active_hc").await;
    assert_eq!(ejected, secs(22), "asked at 10 and 21, answered neither");
    world.app(1).set_health(Health::Serving);
    let healthy = world.when("it is back", || world.edge().flags(1) == "healthy").await;
    assert_eq!(healthy, secs(42));
    assert_eq!(world.edge_checks(1), [0, 10, 21, 32, 42].map(secs));
    assert_eq!(world.edge().counter("health_check.network_failure"), 2);
}

#[tokio::test(start_paused = true)]
async fn two_refused_connections_eject_and_two_good_checks_bring_back() {
    let world = World::running([1, 2], CHECKED).await;
    assert_eq!(world.edge().hosts(), (2, 2), "one success is enough at first");
    let network = &world.kit.network;
    world.at(12.0).await;
    network.refuse(sidecar_address(2));
    assert!(network.cut(sidecar_address(2)) > 0);
    let ejected = world.when("it is ejected", || world.edge().hosts() == (2, 1)).await;
    assert_eq!(ejected, secs(30), "refused at 20 and 30");
    network.restore(sidecar_address(2));
    let back = world.when("it is back", || world.edge().hosts() == (2, 2)).await;
    assert_eq!(back, secs(50), "good at 40 and 50");
}

#[tokio::test(start_paused = true)]
async fn not_serving_ejects_at_once() {
    let world = World::running([1, 2, 3], CHECKED).await;
    world.at(12.0).await;
    world.app(2).set_health(Health::NotServing);
    let ejected = world.when("it is ejected", || world.edge().hosts() == (3, 2)).await;
    assert_eq!(ejected, secs(20), "by its first bad answer");
    let (client, before) = (world.client().await, world.app(2).calls());
    for _ in 0..30 {
        assert_ne!(client.echo().await.unwrap().hostname(), "pod-2");
    }
    assert_eq!(world.app(2).calls(), before);
    world.app(2).set_health(Health::Serving);
    let back = world.when("it is back", || world.edge().hosts() == (3, 3)).await;
    assert_eq!(back, secs(40));
    assert_eq!(client.answered_by(3).await, ["pod-1", "pod-2", "pod-3"]);
}

#[tokio::test(start_paused = true)]
async fn panic_begins_below_half() {
    for (pods, healthy, panics) in [(3, 0, true), (3, 1, true), (2, 1, false), (3, 2, false), (3, 3, false)] {
        let mut world = World::new(1);
        for pod in 1..=pods {
            world.start_pod(pod).await;
            world.app(pod).set_health(if pod <= healthy { Health::Serving } else { Health::NotServing });
        }
        world.publish(1..=pods);
        world.start_edge(CHECKED).await;
        let edge = world.edge();
        assert_eq!(edge.hosts(), (pods.into(), healthy.into()));
        let client = world.client().await;
        for _ in 0..12 {
            assert_eq!(client.echo().await.unwrap().grpc_status(), Some(0));
        }
        let calls: Vec<usize> = (1..=pods).map(|pod| world.app(pod).calls()).collect();
        let served = if panics { pods } else { healthy };
        let expected: Vec<usize> =
            (1..=pods).map(|pod| if pod <= served { 12 / usize::from(served) } else { 0 }).collect();
        assert_eq!(calls, expected, "{healthy} of {pods}");
        assert_eq!(edge.counter("lb_healthy_panic"), if panics { 12 } else { 0 }, "{healthy} of {pods}");
    }
}

#[tokio::test(start_paused = true)]
async fn panic_ends_with_the_check_that_makes_it_half() {
    let world = World::running([1, 2, 3], CHECKED).await;
    for pod in [1, 2] {
        world.app(pod).set_health(Health::NotServing);
    }
    world.at(10.0).await;
    assert_eq!(world.edge().hosts(), (3, 1));
    world.app(1).set_health(Health::Serving);
    let client = world.client().await;
    world.at(29.0).await;
    client.echo().await.unwrap();
    assert_eq!(world.edge().counter("lb_healthy_panic"), 1, "one of three still");
    world.at(30.0).await;
    assert_eq!(world.edge().hosts(), (3, 2));
    client.echo().await.unwrap();
    assert_eq!(world.edge().counter("lb_healthy_panic"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_asks_its_only_host_whatever_its_health() {
    let mut world = World::running([1], CHECKED).await;
    world.app(1).set_health(Health::NotServing);
    let knows = world.when("the sidecar knows", || world.sidecar(1).hosts() == (1, 0)).await;
    // The edge's checks went through it, and were traffic: but its own wait had begun before the first of them.
    assert_eq!(knows, secs(60));
    let panics = world.sidecar(1).counter("lb_healthy_panic");
    assert_eq!(world.client().await.echo().await.unwrap().hostname(), "pod-1");
    assert!(world.sidecar(1).counter("lb_healthy_panic") > panics);
    world.kill_app(1).await;
    let reply = world.client().await.echo().await.unwrap();
    assert_eq!(reply.grpc_status(), Some(14), "{reply:?}");
}
