//! A proxy of the world, and how to look at it.

use std::sync::Arc;

use meshlib::{
    base::{Stats, stats::StatValue},
    proxy::server::Server,
    testkit::{self, Testkit},
};

use crate::world::address;

/// A proxy that runs, or has run, and its surroundings.
pub(crate) struct Node {
    server: Option<Arc<Server>>,
    pub(crate) kit: Testkit,
}

impl Node {
    pub(crate) fn of(node: &testkit::Node) -> Self {
        Self { server: node.server(), kit: node.kit().clone() }
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_deref().expect("it runs")
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
        let hosts = self.server().cluster("echo-grpc").expect("its cluster").hosts().load_full();
        (hosts.hosts().len(), hosts.healthy())
    }

    /// The health flags of a pod, as `/clusters` prints them; empty when it is none of the hosts.
    pub(crate) fn flags(&self, pod: u8) -> String {
        let hosts = self.server().cluster("echo-grpc").expect("its cluster").hosts().load_full();
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
