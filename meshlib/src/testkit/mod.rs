//! A world in memory: network, resolver, files, logs, clock and chance, under a paused tokio clock.
//!
//! Nothing here is a stand-in for a part of meshlib: listeners, pools, codecs and clusters run as they are, over
//! pipes instead of sockets. Two runs with one seed agree. A [`Testkit`] serves a test of one part: build clusters and
//! servers with its `resources`, and script the rest. With the feature `envoy`, `Sim` runs a whole mesh from its files.
//!
//! | piece | stands for | is told |
//! |---|---|---|
//! | [`MemoryNetwork`] | sockets, links, what goes wrong on them | [`refuse`](MemoryNetwork::refuse), [`cut`](MemoryNetwork::cut), [`partition`](MemoryNetwork::partition), [`Link`] |
//! | [`ScriptedDns`] | name servers | [`set`](ScriptedDns::set), [`fail`](ScriptedDns::fail), [`hang`](ScriptedDns::hang) |
//! | [`MemoryFiles`], [`MemoryLogs`], [`TestClock`] | files, log files, the time of day | what is read, and what was written |
//! | [`App`] | an application: echo, health checks, streams | [`Answer`], [`Health`] |
//! | [`client::Client`] | a client of HTTP/2 | each call |
//! | [`Trace`] | what happened, in order | |
//!
//! ```toml
//! [dev-dependencies]
//! meshlib = { git = "https://github.com/meshlib/meshlib", features = ["testkit"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] } # for `start_paused`
//! ```
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use meshlib::{base::resources::Network, testkit::Testkit};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let kit = Testkit::seeded(7);
//! let address = "10.0.0.1:80".parse().unwrap();
//! let mut acceptor = kit.resources.network().bind(address).unwrap();
//! let mut client = kit.network.connect(address).await.unwrap();
//! let accepted = std::future::poll_fn(|cx| acceptor.poll_accept(cx)).await.unwrap();
//! accepted.socket.adopt().unwrap().write_all(b"hello").await.unwrap();
//! let mut read = String::new();
//! client.read_to_string(&mut read).await.unwrap();
//! assert_eq!(read, "hello");
//!
//! kit.network.refuse(address);
//! assert!(kit.network.connect(address).await.is_err());
//! # }
//! ```

mod app;
#[cfg(feature = "tls")]
mod certificate;
pub mod client;
mod clock;
mod dns;
mod files;
mod link;
mod logs;
mod network;
mod pipe;
#[cfg(feature = "envoy")]
pub mod sim;
mod trace;

use std::{net::IpAddr, sync::Arc};

#[cfg(feature = "tls")]
pub use self::certificate::TestCertificate;
#[cfg(feature = "envoy")]
pub use self::sim::{
    At, Call, Dialler, DnsName, Event, Leftovers, Load, Node, NodeState, Outcome, Sim, SimError, millis, secs,
};
pub use self::{
    app::{Answer, App, Check, Health, ServingApp},
    client::{Client, OpenCall, Reply},
    clock::TestClock,
    dns::ScriptedDns,
    files::MemoryFiles,
    link::Link,
    logs::MemoryLogs,
    network::MemoryNetwork,
    pipe::Pipe,
    trace::{Happened, Trace},
};
use crate::base::{Drain, Resources, Stats, resources::Random};

/// [`Resources`] in memory, and the handles to script them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Testkit {
    /// What a mesh under test is built with.
    pub resources: Resources,
    /// Its network.
    pub network: MemoryNetwork,
    /// Its resolver.
    pub dns: ScriptedDns,
    /// Its files.
    pub files: MemoryFiles,
    /// Its logs.
    pub logs: MemoryLogs,
    /// Its wall clock.
    pub clock: TestClock,
    /// What happened, once it records.
    pub trace: Trace,
}

impl Testkit {
    /// A world with nothing in it, on one node. The wall clock starts at [`TestClock::START`].
    pub fn seeded(seed: u64) -> Self {
        let trace = Trace::new();
        let (network, dns) = (MemoryNetwork::traced(trace.clone()), ScriptedDns::traced(trace.clone()));
        let (files, logs, clock) = (MemoryFiles::new(), MemoryLogs::new(), TestClock::new());
        let resources = Resources::new(Arc::new(network.clone()), Arc::new(dns.clone()), Arc::new(logs.clone()))
            .with_random(Random::seeded(seed))
            .with_files(Arc::new(files.clone()))
            .with_wall_clock(Arc::new(clock.clone()));
        Self { resources, network, dns, files, logs, clock, trace }
    }

    /// The same world on the node with this address: network, names and trace are shared; files, logs, wall clock,
    /// stats and drain are that node's own, and so is its chance, which follows from the world's.
    #[must_use]
    pub fn at(&self, node: IpAddr) -> Self {
        let (files, logs, clock) = (MemoryFiles::new(), MemoryLogs::new(), self.clock.skewed(0));
        let network = self.network.at(node);
        let resources = self.resources.clone();
        let resources = resources
            .with_network(Arc::new(network.clone()))
            .with_files(Arc::new(files.clone()))
            .with_log_sinks(Arc::new(logs.clone()))
            .with_wall_clock(Arc::new(clock.clone()));
        Self { resources, network, files, logs, clock, ..self.clone() }.again()
    }

    /// The same node after a new start of its process: stats, drain and chance are new, what is outside of it stays.
    #[must_use]
    pub fn again(&self) -> Self {
        let seed = self.resources.random().fork().u64(..);
        let resources = self.resources.clone();
        let resources = resources.with_random(Random::seeded(seed)).with_stats(Stats::new()).with_drain(Drain::new());
        Self { resources, ..self.clone() }
    }
}

/// The resources of a [`Testkit`] that nobody scripts.
pub fn resources() -> Resources {
    Testkit::seeded(0).resources
}

#[cfg(test)]
mod tests;
