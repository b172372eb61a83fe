//! Pods that come and go in good order, under load: no call fails.

use meshlib::base::DrainTimes;

use crate::world::{CHECKED, World, address, coarse, secs};

/// Ten calls a second from `from` until `until`, each of which must succeed. Says who answered after `since`.
async fn load(world: &World, from: f64, until: f64, since: f64) -> Vec<String> {
    let (client, mut answered) = (world.client().await, Vec::new());
    for tenth in 0..((until - from) * 10.0) as u32 {
        world.at(from + f64::from(tenth) / 10.0).await;
        let reply = client.echo().await.unwrap();
        assert_eq!(reply.grpc_status(), Some(0), "at {:?}: {}", coarse(world.begin.elapsed()), reply.grpc_message());
        if world.begin.elapsed().as_secs_f64() >= since {
            answered.push(reply.hostname().to_owned());
        }
    }
    answered.sort();
    answered.dedup();
    answered
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_drains_gets_nothing_more_and_no_call_fails() {
    let world = World::running([1, 2, 3], CHECKED).await;
    let draining = async {
        world.at(12.03).await;
        // The kubelet sends SIGTERM; DNS follows later.
        world.sidecar(2).server().drain(DrainTimes::default());
        world.at(20.0).await;
        world.publish([1, 3]);
    };
    let ((), answered) = tokio::join!(draining, load(&world, 11.0, 50.0, 12.4));
    assert_eq!(answered, ["pod-1", "pod-3"], "its first answer after the signal was its last");
    let edge = world.edge();
    assert_eq!(edge.counter("health_check.passive_failure"), 1);
    assert_eq!(edge.hosts(), (2, 2));
    assert_eq!(edge.flags(2), "");
    assert_eq!(world.kit.network.open_connections((address(2), 8786).into()), 0);
    assert_eq!(world.sidecar(2).kit.resources.drain().connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_says_its_checks_fail_is_out_until_two_good_ones() {
    let world = World::running([1, 2], CHECKED).await;
    let client = world.client().await;
    world.at(12.0).await;
    world.sidecar(2).kit.resources.drain().fail_health(true);
    assert_eq!(client.answered_by(2).await, ["pod-1", "pod-2"]);
    tokio::task::yield_now().await;
    assert_eq!((world.edge().hosts(), world.edge().flags(2)), ((2, 1), "/failed_active_hc".to_owned()));
    assert_eq!(client.answered_by(4).await, ["pod-1"; 4]);
    world.at(55.0).await;
    assert_eq!(world.edge().hosts(), (2, 1), "its checks pass through it, and say so too");
    world.sidecar(2).kit.resources.drain().fail_health(false);
    let back = world.when("it is back", || world.edge().hosts() == (2, 2)).await;
    assert_eq!(back, secs(70));
}
