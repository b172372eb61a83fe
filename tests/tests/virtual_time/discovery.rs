//! DNS: when it is asked, and what its answers do to hosts that pass their checks and to hosts that fail them.

use std::time::Duration;

use meshlib::{base::resources::AddressFamily, testkit::Health};

use crate::world::{CHECKED, EdgeOptions, SERVICE, World, coarse, secs};

#[tokio::test(start_paused = true)]
async fn names_are_asked_for_every_five_seconds_v6_first() {
    let world = World::running([1], CHECKED).await;
    for (at, questions) in [(0.0, 1), (4.9, 1), (5.0, 2), (9.9, 2), (10.0, 3), (300.0, 61)] {
        world.at(at).await;
        let asked = [AddressFamily::V6, AddressFamily::V4].map(|family| world.kit.dns.queries(SERVICE, family));
        assert_eq!(asked, [questions; 2], "at {at} s; v4 because v6 gave nothing");
    }
    world.kit.dns.set(SERVICE, ["fd00::1".parse().unwrap()]);
    world.at(305.0).await;
    let asked = [AddressFamily::V6, AddressFamily::V4].map(|family| world.kit.dns.queries(SERVICE, family));
    assert_eq!(asked, [62, 61], "v6 is enough");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_added_is_checked_at_once_and_serves_after_one_good_check() {
    let mut world = World::running([1], CHECKED).await;
    world.at(6.0).await;
    world.start_pod(2).await;
    world.publish([1, 2]);
    let client = world.client().await;
    let mut served = None;
    for step in 0..100 {
        world.at(6.0 + f64::from(step) / 10.0).await;
        let reply = client.echo().await.unwrap();
        assert_eq!(reply.grpc_status(), Some(0), "no call fails");
        if reply.hostname() == "pod-2" {
            served.get_or_insert(world.now());
        }
    }
    assert!(
        served.is_some_and(|served| (secs(10)..=secs(10) + Duration::from_millis(200)).contains(&served)),
        "{served:?}"
    );
    assert_eq!(world.edge_checks(2)[0], secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_added_sick_gets_nothing_until_two_good_checks() {
    let mut world = World::running([1, 2], CHECKED).await;
    world.start_pod(3).await;
    world.app(3).set_health(Health::NotServing);
    world.publish([1, 2, 3]);
    world.at(5.0).await;
    assert_eq!(world.edge().hosts(), (3, 2));
    world.app(3).set_health(Health::Serving);
    assert_eq!(world.client().await.answered_by(4).await, ["pod-1", "pod-1", "pod-2", "pod-2"]);
    let healthy = world.when("it is healthy", || world.edge().hosts() == (3, 3)).await;
    assert_eq!(healthy, secs(25), "checked at 5, 15 and 25");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_leaves_dns_goes_at_the_first_answer_after_it_fails() {
    let world = World::running([1, 2], CHECKED).await;
    world.at(7.0).await;
    world.publish([1]);
    let pending = world.when("it is pending removal", || world.edge().flags(2) == "/pending_dynamic_removal").await;
    assert_eq!(pending, secs(10));
    let client = world.client().await;
    assert_eq!(client.answered_by(2).await, ["pod-1", "pod-2"], "it is balanced all the same");
    world.at(45.0).await;
    assert_eq!(world.edge().hosts(), (2, 2), "and stays as long as it passes");
    // Asked at 50 and 61, silent for a second each time.
    world.app(2).set_health(Health::Silent);
    let failed = "/failed_active_hc/pending_dynamic_removal";
    assert_eq!(world.when("it fails", || world.edge().flags(2) == failed).await, secs(62));
    assert_eq!(world.when("it is gone", || world.edge().hosts() == (1, 1)).await, secs(65));
    assert_eq!(client.answered_by(4).await, ["pod-1"; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_comes_back_to_dns_is_pending_no_more() {
    let world = World::running([1, 2], CHECKED).await;
    world.publish([1]);
    world.at(5.0).await;
    assert_eq!(world.edge().flags(2), "/pending_dynamic_removal");
    world.publish([1, 2]);
    world.at(10.0).await;
    assert_eq!(world.edge().flags(2), "healthy");
    assert_eq!(world.edge().counter("membership_change"), 1, "nobody came, nobody went");
}

#[tokio::test(start_paused = true)]
async fn health_on_removal_can_be_ignored() {
    let options = EdgeOptions { cluster: "drain_connections_on_host_removal: true", ..CHECKED };
    let world = World::running([1, 2], options).await;
    world.at(1.0).await;
    world.publish([1]);
    assert_eq!(world.when("it is gone", || world.edge().hosts() == (1, 1)).await, secs(5));
}

#[tokio::test(start_paused = true)]
async fn no_such_name_and_no_addresses_are_answers() {
    for nx in [false, true] {
        let world = World::running([1, 2], CHECKED).await;
        world.at(1.0).await;
        world.app(2).set_health(Health::NotServing);
        world.at(11.0).await;
        assert_eq!(world.edge().hosts(), (2, 1));
        if nx {
            world.kit.dns.nx(SERVICE)
        } else {
            world.kit.dns.set(SERVICE, [])
        }
        world.at(15.0).await;
        assert_eq!(world.edge().hosts(), (1, 1), "the failing one goes at once, the passing one stays");
        assert_eq!(world.edge().counter("update_empty"), 1);
        assert_eq!(world.edge().counter("update_failure"), 0);
        assert_eq!(world.client().await.echo().await.unwrap().hostname(), "pod-1");
        world.app(1).set_health(Health::NotServing);
        world.at(25.0).await;
        let gone = world.when("the cluster is empty", || world.edge().hosts() == (0, 0)).await;
        assert!(gone <= secs(25), "{gone:?}");
        let reply = world.client().await.echo().await.unwrap();
        assert_eq!((reply.grpc_status(), reply.grpc_message()), (Some(14), "no healthy upstream"));
        let reply = world.client().await.post("Echo").await.unwrap();
        assert_eq!((reply.status, reply.body.as_slice()), (503, &b"no healthy upstream"[..]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_name_server_changes_nothing() {
    let world = World::running([1, 2], CHECKED).await;
    world.at(1.0).await;
    world.app(2).set_health(Health::NotServing);
    world.kit.dns.fail(SERVICE);
    world.at(301.0).await;
    assert_eq!(world.edge().hosts(), (2, 1), "the failing one stays too");
    assert_eq!(world.edge().counter("update_failure"), 60, "without a rate of its own for failures");
    assert_eq!(world.client().await.answered_by(2).await, ["pod-1"; 2]);
}

/// When the questions came, as `update_attempt` tells it.
async fn attempts(world: &World, count: usize) -> Vec<Duration> {
    let mut times = vec![];
    let mut seen = world.edge().counter("update_attempt");
    while times.len() < count {
        times.push(world.when("another attempt", || world.edge().counter("update_attempt") > seen).await);
        seen = world.edge().counter("update_attempt");
    }
    times
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_where_the_file_says_so() {
    let options =
        EdgeOptions { cluster: "dns_failure_refresh_rate: {base_interval: 2s, max_interval: 10s}", ..CHECKED };
    let world = World::running([1], options).await;
    world.kit.dns.fail(SERVICE);
    let times = attempts(&world, 12).await;
    assert_eq!(times[0], secs(5));
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (secs(2)..=secs(10)).contains(gap)), "{gaps:?}");
    assert!(gaps[0] <= secs(4), "the first one is short: {gaps:?}");
    assert!(gaps.iter().any(|gap| *gap > secs(5)), "later ones are longer: {gaps:?}");
    world.publish([1]);
    attempts(&world, 1).await;
    let again = attempts(&world, 2).await;
    assert_eq!(coarse(again[1] - again[0]), secs(5), "an answer ends it");
}
