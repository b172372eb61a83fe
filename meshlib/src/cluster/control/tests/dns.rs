//! The whole way from names to hosts, as a configuration describes it.

use std::{net::IpAddr, time::Duration};

use super::{super::*, world::*};
use crate::cluster::{
    config::{DnsEndpoint, StaticEndpoint, StrictDnsConfig},
    host::HealthFlags,
};

fn set(world: &World, name: &str, addresses: &[[u8; 4]]) {
    world.dns.set(name, addresses.iter().map(|address| IpAddr::from(*address)));
}

fn config(names: &[&str]) -> ClusterConfig {
    let endpoint = |name: &&str| DnsEndpoint { host: (*name).into(), port: 80, weight: 1 };
    let dns = StrictDnsConfig::new(names.iter().map(endpoint).collect());
    let mut config = ClusterConfig::new("c", DiscoveryConfig::StrictDns(dns));
    config.health_checks = vec![HealthCheckConfig::grpc(Duration::from_secs(1), Duration::from_secs(8), 2, 2)];
    config
}

fn start(world: &World, config: &ClusterConfig) -> ControlHandle {
    let resources = world.resources();
    let mut inputs = ControlInputs::new(config, Arc::new(world.clone()), &resources).unwrap();
    inputs.traffic = world.traffic.clone();
    Control::start(inputs, &resources).unwrap()
}

fn addresses(control: &ControlHandle) -> Vec<String> {
    control.hosts().load().hosts().iter().map(|host| host.address().ip().to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_new_record_is_a_healthy_host_within_five_seconds() {
    let world = World::new();
    set(&world, "echo", &[[10, 0, 0, 1], [10, 0, 0, 2]]);
    let control = start(&world, &config(&["echo"]));
    control.warmed().await;
    assert_eq!(control.hosts().load().healthy(), 2);
    assert_eq!(control.hosts().load().hosts()[0].hostname().map(|name| &**name), Some("echo"));
    world.at(2).await;
    set(&world, "echo", &[[10, 0, 0, 3], [10, 0, 0, 2], [10, 0, 0, 1]]);
    world.at(5).await;
    assert_eq!(addresses(&control), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(control.hosts().load().healthy(), 3);
    set(&world, "echo", &[]);
    world.at(9).await;
    assert_eq!(control.hosts().load().healthy(), 3);
    world.set(80, Act::NotServing);
    world.at(10).await;
    let pending = control.hosts().load_full();
    assert_eq!(pending.healthy(), 3);
    assert!(pending.hosts().iter().all(|host| host.health().contains(HealthFlags::PENDING_DYNAMIC_REMOVAL)));
    world.at(15).await;
    assert_eq!(addresses(&control), ["10.0.0.1", "10.0.0.2"], "the third failed at 13 s");
    world.at(19).await;
    assert_eq!(control.hosts().load().healthy(), 0, "these at 16 s");
    world.at(20).await;
    assert!(addresses(&control).is_empty());
    assert_eq!(world.counter("update_attempt"), 5);
    assert_eq!([world.counter("update_success"), world.counter("update_empty")], [5, 3]);
}

#[tokio::test(start_paused = true)]
async fn warm_up_waits_for_every_name_but_not_for_a_dead_server() {
    let world = World::new();
    set(&world, "echo", &[[10, 0, 0, 1]]);
    world.dns.hang("dead");
    let control = start(&world, &config(&["echo", "dead"]));
    world.at(4).await;
    assert_eq!(control.hosts().load().healthy(), 1);
    assert!(!control.is_warm());
    control.warmed().await;
    assert_eq!(world.begin.elapsed(), Duration::from_secs(5));
    assert_eq!(world.counter("update_failure"), 1);
}

#[tokio::test(start_paused = true)]
async fn static_endpoints_start_failing_and_are_warm_after_their_checks() {
    let world = World::new();
    world.set(2, Act::Silent);
    let endpoint = |port| StaticEndpoint { address: address(port), weight: u32::from(port) };
    let static_config = DiscoveryConfig::Static(vec![endpoint(1), endpoint(2)]);
    let config = ClusterConfig { discovery: static_config, ..config(&[]) };
    let control = start(&world, &config);
    control.warmed().await;
    assert_eq!(world.begin.elapsed(), Duration::from_secs(1));
    assert_eq!(hosts(&control), [(1, "healthy".into()), (2, "/failed_active_hc".into())]);
    assert_eq!(control.hosts().load().hosts()[1].weight(), 2);
}
