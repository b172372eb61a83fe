//! Thresholds, intervals and warm-up.

use std::time::Duration;

use super::{super::*, world::*};
use crate::cluster::host::HealthFlags;

#[tokio::test(start_paused = true)]
async fn a_new_host_is_failing_until_its_first_check_at_once() {
    let (world, (feeder, feed)) = (World::new(), feed());
    world.set(2, Act::Silent);
    let control = world.start(feed);
    feeder.hosts(&[1, 2]);
    world.at(0).await;
    assert_eq!(hosts(&control), [(1, "healthy".into()), (2, "/failed_active_hc".into())]);
    assert!(!control.is_warm(), "the second host has no result yet");
    control.warmed().await;
    assert_eq!(world.begin.elapsed(), Duration::from_secs(1), "a timeout is a result");
    world.at(3).await;
    feeder.hosts(&[1, 2, 3]);
    world.at(4).await;
    assert_eq!(flags(&control, 3), Some(HealthFlags::HEALTHY), "one success suffices");
    assert_eq!(world.checks(3), [3]);
    world.at(25).await;
    assert_eq!(world.checks(1), [0, 10, 20]);
    assert_eq!(world.checks(2), [0, 11, 22], "the interval counts from the end of a check");
}

#[tokio::test(start_paused = true)]
async fn not_serving_ejects_at_once_and_refusals_by_the_threshold() {
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start(feed);
    feeder.hosts(&[1, 2, 3, 4, 5]);
    world.at(1).await;
    assert_eq!(control.hosts().load().healthy(), 5);
    world.set(1, Act::NotServing);
    world.set(2, Act::Refuse);
    world.at(10).await;
    let health = |port| flags(&control, port).unwrap().to_string();
    assert_eq!((health(1), health(2)), ("/failed_active_hc".into(), "healthy".into()));
    world.at(20).await;
    assert_eq!(health(2), "/failed_active_hc");
    assert_eq!(control.hosts().load().eligible(), [2, 3, 4]);
    world.set(1, Act::Serve);
    world.at(30).await;
    assert_eq!(health(1), "/failed_active_hc", "after a failure two successes are needed");
    world.at(40).await;
    assert_eq!(health(1), "healthy");
    let counts =
        ["attempt", "success", "failure", "network_failure"].map(|what| world.counter(&format!("health_check.{what}")));
    assert_eq!(counts, [25, 19, 6, 4]);
    assert_eq!([world.gauge("health_check.healthy"), world.gauge("membership_healthy")], [4, 4]);
}

/// S27: the edge starts before the sidecar.
#[tokio::test(start_paused = true)]
async fn a_failed_first_check_costs_a_minute_and_two_successes() {
    let (world, (feeder, feed)) = (World::without_traffic(), feed());
    world.set(1, Act::Refuse);
    let control = world.start(feed);
    feeder.hosts(&[1]);
    world.at(1).await;
    world.set(1, Act::Serve);
    assert!(control.is_warm());
    assert!(control.hosts().load().is_panic());
    world.at(30).await;
    // Panic routing sent a request: the armed timer is not shortened by it.
    world.traffic.mark();
    world.at(60).await;
    assert_eq!(flags(&control, 1), Some(HealthFlags::FAILED_ACTIVE_HC));
    world.at(69).await;
    assert_eq!(flags(&control, 1), Some(HealthFlags::FAILED_ACTIVE_HC));
    world.at(70).await;
    assert_eq!(flags(&control, 1), Some(HealthFlags::HEALTHY));
    assert_eq!(world.checks(1), [0, 60, 70]);
}

#[tokio::test(start_paused = true)]
async fn without_traffic_checks_come_every_minute() {
    let (world, (feeder, feed)) = (World::without_traffic(), feed());
    let _control = world.start(feed);
    feeder.hosts(&[1]);
    world.at(150).await;
    assert_eq!(world.checks(1), [0, 60, 120]);
}

#[tokio::test(start_paused = true)]
async fn a_host_must_pass_every_check() {
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start_with(feed, |inputs| {
        let mut slow = inputs.health_checks[0].clone();
        slow.interval = Duration::from_secs(25);
        inputs.health_checks.push(slow);
    });
    feeder.hosts(&[1]);
    world.at(9).await;
    assert_eq!(hosts(&control), [(1, "healthy".into())]);
    assert_eq!(world.checks(1), [0, 0]);
    world.set(1, Act::NotServing);
    world.at(10).await;
    world.set(1, Act::Serve);
    world.at(24).await;
    assert_eq!(flags(&control, 1), Some(HealthFlags::FAILED_ACTIVE_HC));
    world.set(1, Act::NotServing);
    world.at(25).await;
    world.set(1, Act::Serve);
    world.at(49).await;
    assert_eq!(flags(&control, 1), Some(HealthFlags::FAILED_ACTIVE_HC), "the second check fails still");
    world.at(75).await;
    assert_eq!(flags(&control, 1), Some(HealthFlags::HEALTHY));
}

#[tokio::test(start_paused = true)]
async fn warm_up_ends_with_the_first_outcome_and_does_not_wait_for_late_hosts() {
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start(feed);
    world.at(3).await;
    assert!(!control.is_warm());
    feeder.fail();
    control.warmed().await;
    assert_eq!(world.begin.elapsed().as_secs(), 3, "a failure is an outcome");

    let (world, (feeder, feed)) = (World::new(), super::world::feed());
    world.set(1, Act::Silent);
    world.set(2, Act::Silent);
    let control = world.start(feed);
    feeder.hosts(&[1]);
    tokio::time::sleep(Duration::from_millis(900)).await;
    feeder.hosts(&[1, 2]);
    control.warmed().await;
    assert_eq!(world.begin.elapsed(), Duration::from_secs(1));

    let (world, (feeder, feed)) = (World::new(), super::world::feed());
    let control = world.start_with(feed, |inputs| inputs.health_checks.clear());
    feeder.hosts(&[1]);
    control.warmed().await;
    assert_eq!(hosts(&control), [(1, "healthy".into())], "published before it is warm");

    let (world, (feeder, feed)) = (World::new(), super::world::feed());
    world.set(1, Act::Silent);
    let control = world.start(feed);
    feeder.hosts(&[1]);
    feeder.hosts(&[]);
    control.warmed().await;
    assert_eq!(world.begin.elapsed(), Duration::ZERO, "a host that left is not waited for");
}

#[tokio::test(start_paused = true)]
async fn a_check_that_cannot_be_sent_is_refused_at_the_start() {
    let (world, (_, feed)) = (World::new(), feed());
    let inputs = ControlInputs {
        name: "no authority".into(),
        discover: Box::new(feed),
        panic_threshold: 50.0,
        health_checks: vec![HealthCheckConfig::grpc(Duration::from_secs(1), Duration::from_secs(10), 2, 2)],
        ignore_health_on_host_removal: false,
        traffic: TrafficFlag::new(),
        immediate_failures: ImmediateFailures::new(),
        connect: Arc::new(world.clone()),
    };
    let error = Control::start(inputs, &world.resources(Nothing)).unwrap_err();
    assert!(error.to_string().contains("no authority"), "{error}");
}
