//! Servers that are dropped without a word.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    drain::{draining, leaves_nothing},
    node::raised,
    world::{CHECKED, World, edge_address, tasks},
};

#[tokio::test(start_paused = true)]
async fn a_server_that_is_dropped_ends_everything_and_frees_its_ports() {
    let mut world = World::running([1, 2], CHECKED).await;
    let client = world.client().await;
    client.echo().await.unwrap();
    let chat = client.open("Chat");
    let (stats, _) = world.kill_edge().await;
    assert!(world.dial().await.is_err());
    let checks = [1, 2].map(|pod| world.edge_checks(pod).len());
    world.start_edge(CHECKED).await;
    let reply = chat.reply().await;
    assert!(reply.as_ref().map_or(true, |reply| reply.broken.is_some()), "{reply:?}");
    sleep(Duration::from_millis(10)).await;
    assert!(client.is_closed());
    assert_eq!(raised(&stats), Vec::<String>::new());
    assert_eq!(world.kit.network.open_connections(edge_address()), 0);
    assert_eq!(world.client().await.answered_by(2).await, ["pod-1", "pod-2"], "the same ports, the same file");
    world.at(100.0).await;
    let after = [1, 2].map(|pod| world.edge_checks(pod).len());
    assert_eq!(after, checks.map(|before| before + 11), "one edge checks, not two");
    drop(client);
    leaves_nothing(world).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_given_up_leaves_no_task() {
    let mut world = draining(false).await;
    world.kill_edge().await;
    drop(world);
    sleep(Duration::from_millis(1001)).await;
    assert_eq!(tasks(), 0, "not even the one that would have stopped it");
}
