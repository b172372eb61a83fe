//! The same seed, the same run: every line, every number, every time.

use std::fmt::Write;

use meshlib::testkit::{Health, Testkit};
use tokio::{runtime::Builder, task::JoinSet};

use crate::{
    node::Node,
    world::{EdgeOptions, World, edge_address, sidecar_address},
};

/// A runtime of its own for each run, as two processes would have.
fn run<T>(story: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(story)
}

/// Five minutes in the life of a mesh, and all that can be told of them.
async fn story(seed: u64) -> String {
    let mut world = World::new(seed);
    for pod in 1..=3 {
        world.start_pod(pod).await;
    }
    world.publish([1, 2]);
    let back_off = "dns_failure_refresh_rate: {base_interval: 2s, max_interval: 10s}";
    let checks = "no_traffic_interval: 10s";
    world.start_edge(EdgeOptions { tls: false, cluster: back_off, checks }).await;
    let mut told = String::new();
    let mut clients = Vec::new();
    for second in 1..=300_u32 {
        world.at(f64::from(second)).await;
        change(&mut world, second).await;
        if second % 100 == 1 {
            clients.push(world.client().await);
        }
        let mut calls = JoinSet::new();
        for client in &clients {
            let client = client.clone();
            calls.spawn(async move { client.echo().await });
        }
        while let Some(reply) = calls.join_next().await {
            let reply = reply.unwrap().map(|reply| (reply.grpc_status(), reply.hostname().to_owned(), reply.took));
            writeln!(told, "{:?} {reply:?}", world.now()).unwrap();
        }
    }
    told += &tell(&world.edge());
    told += &tell(&world.sidecar(1));
    for address in [edge_address(), sidecar_address(1), sidecar_address(2), sidecar_address(3)] {
        writeln!(told, "{address} {}", world.kit.network.connects(address)).unwrap();
    }
    told
}

/// What happens at this second.
async fn change(world: &mut World, second: u32) {
    let name = crate::world::SERVICE;
    match second {
        20 => world.publish([1, 2, 3]),
        60 => world.app(2).set_health(Health::NotServing),
        90 => world.kit.dns.fail(name),
        120 => world.kill_sidecar(3).await,
        150 => world.publish([1, 2]),
        180 => world.app(2).set_health(Health::Serving),
        200 => drop(world.kit.network.cut(sidecar_address(1))),
        220 => world.start_sidecar(3).await,
        240 => world.publish([1, 2, 3]),
        _ => {}
    }
}

fn tell(node: &Node) -> String {
    let mut told = String::new();
    for (name, value) in node.stats().snapshot() {
        writeln!(told, "{name} {value:?}").unwrap();
    }
    for line in node.log() {
        writeln!(told, "{line}").unwrap();
    }
    told
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let [one, other] = [(), ()].map(|()| run(story(7)));
    assert!(one.lines().count() > 1000, "there is much to tell: {}", one.lines().count());
    for (one, other) in one.lines().zip(other.lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
    assert_ne!(one, run(story(8)), "another seed, another run");
}

#[test]
fn nodes_of_one_seed_draw_their_own() {
    let [one, other] = run(async {
        let kit = Testkit::seeded(7);
        [1, 2].map(|node| kit.at([10, 0, 0, node].into()).resources.random().fork().u64(..))
    });
    assert_ne!(one, other);
}
