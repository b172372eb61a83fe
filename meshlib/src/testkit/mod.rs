//! A world in memory: network, resolver, logs, clock and chance, under a paused tokio clock.
//!
//! Nothing here is a stand-in for a part of meshlib: listeners, pools, codecs and clusters run as they are, over
//! pipes instead of sockets. Two runs with one seed agree.
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

mod clock;
mod dns;
mod files;
mod logs;
mod network;
mod pipe;

use std::{net::IpAddr, sync::Arc};

pub use self::{
    clock::TestClock, dns::ScriptedDns, files::MemoryFiles, logs::MemoryLogs, network::MemoryNetwork, pipe::Pipe,
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
    /// Its logs.
    pub logs: MemoryLogs,
}

impl Testkit {
    /// A world with nothing in it. The wall clock starts at [`TestClock::START`]; files are the system's, until
    /// [`Resources::with_files`] says otherwise.
    pub fn seeded(seed: u64) -> Self {
        let (network, dns, logs) = (MemoryNetwork::new(), ScriptedDns::new(), MemoryLogs::new());
        let resources = Resources::new(Arc::new(network.clone()), Arc::new(dns.clone()), Arc::new(logs.clone()))
            .with_random(Random::seeded(seed))
            .with_wall_clock(Arc::new(TestClock::new()));
        Self { resources, network, dns, logs }
    }

    /// The same world on the node with this address: network, names, files and time are shared; stats, drain and logs
    /// are that node's own, and so is its chance, which follows from the world's.
    #[must_use]
    pub fn at(&self, node: IpAddr) -> Self {
        let (network, logs) = (self.network.at(node), MemoryLogs::new());
        let resources = self.resources.clone();
        let seed = resources.random().fork().u64(..);
        let resources = resources
            .with_network(Arc::new(network.clone()))
            .with_log_sinks(Arc::new(logs.clone()))
            .with_random(Random::seeded(seed))
            .with_stats(Stats::new())
            .with_drain(Drain::new());
        Self { resources, network, dns: self.dns.clone(), logs }
    }
}

/// The resources of a [`Testkit`] that nobody scripts.
pub fn resources() -> Resources {
    Testkit::seeded(0).resources
}

#[cfg(test)]
mod tests;
