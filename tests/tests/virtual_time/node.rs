//! A proxy of the world, and how to look at it.

use meshlib::{
    base::{Stats, stats::StatValue},
    envoy,
    proxy::server::Server,
    testkit::Testkit,
};

use crate::world::address;

/// A proxy and its surroundings.
pub(crate) struct Node {
    pub(crate) server: Server,
    pub(crate) kit: Testkit,
}

impl Node {
    pub(crate) async fn start(name: &str, file: &str, kit: Testkit) -> Self {
        let loaded = envoy::load(name, file).unwrap_or_else(|errors| panic!("{errors}"));
        let server = Server::start(loaded.config, kit.resources.clone()).await.expect("it starts");
        Self { server, kit }
    }

    pub(crate) fn stats(&self) -> &Stats {
        self.kit.resources.stats()
    }

    /// A counter of its cluster.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let name = format!("cluster.echo-grpc.{name}");
        self.stats().counter_value(&name).unwrap_or_else(|| panic!("there is no counter {name}"))
    }

    /// A gauge of its cluster.
    pub(crate) fn gauge(&self, name: &str) -> i64 {
        let name = format!("cluster.echo-grpc.{name}");
        self.stats().gauge_value(&name).unwrap_or_else(|| panic!("there is no gauge {name}"))
    }

    /// How many hosts its cluster has, and how many of them are healthy.
    pub(crate) fn hosts(&self) -> (usize, usize) {
        let hosts = self.server.cluster("echo-grpc").expect("its cluster").hosts().load_full();
        (hosts.hosts().len(), hosts.healthy())
    }

    /// The health flags of a pod, as `/clusters` prints them; empty when it is none of the hosts.
    pub(crate) fn flags(&self, pod: u8) -> String {
        let hosts = self.server.cluster("echo-grpc").expect("its cluster").hosts().load_full();
        let host = hosts.hosts().iter().find(|host| host.address().ip() == address(pod));
        host.map(|host| host.health().to_string()).unwrap_or_default()
    }

    /// Its access log.
    pub(crate) fn log(&self) -> Vec<String> {
        self.kit.logs.lines("/dev/stdout")
    }
}

/// Gauges that are not zero, apart from those that describe the server.
pub(crate) fn raised(stats: &Stats) -> Vec<String> {
    let level = |(name, value): (String, StatValue)| match value {
        StatValue::Gauge(level) if level != 0 => Some(format!("{name} {level}")),
        _ => None,
    };
    let described = |name: &String| name.starts_with("server.");
    stats.snapshot().into_iter().filter_map(level).filter(|raised| !described(raised)).collect()
}
