//! A whole mesh in one test: production files, TLS and health checks on, hours in milliseconds.
//!
//! Each node runs an Envoy file on an address of its own; where a file sends calls to its own loopback, as a sidecar
//! does, a scripted [`App`](super::App) stands there. Names, faults, drains and new certificates come at times; every
//! call of a client's [`Load`] is on record.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # const EDGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/sim/testdata/edge.yaml"));
//! # const SIDECAR: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/sim/testdata/sidecar.yaml"));
//! use meshlib::testkit::{Load, Sim, millis, secs};
//!
//! let mut sim = Sim::from_files(&[("edge", EDGE), ("pod1", SIDECAR), ("pod2", SIDECAR), ("pod3", SIDECAR)])?;
//! sim.dns("echo.test").set(["pod1", "pod2", "pod3"]);
//! sim.load(Load::new("edge").every(millis(100)).until(secs(120)));
//! sim.at(secs(90)).kill("pod3");
//! sim.at(secs(95)).set_dns("echo.test", ["pod1", "pod2"]);
//! sim.run_until(secs(120)).await;
//!
//! assert_eq!(sim.errors_between(secs(0), secs(90)), 0);
//! assert!(sim.errors_between(secs(90), secs(112)) > 0); // until the second check that it fails
//! assert_eq!(sim.errors_between(secs(112), secs(120)), 0);
//! assert_eq!(sim.node("edge").hosts("echo"), (2, 2));
//! sim.stop().await?; // nothing is left: no task, no connection, no gauge
//! # Ok(())
//! # }
//! ```
//!
//! It runs on a single-threaded runtime of tokio with a paused clock (`start_paused`, `test-util`), where time passes
//! only when nothing else can happen: two runs with one seed have the same [`trace`](Sim::trace), to the millisecond.
//! Bytes of TLS differ, since the cryptography's own chance is not the seed's.
//!
//! # Why not `turmoil`
//! [turmoil](https://docs.rs/turmoil) runs each host on a runtime of its own, and its sockets are types to write
//! against instead of tokio's. meshlib has its network behind a [trait](crate::base::resources::Network) already, so
//! that the shipped code runs here unchanged. What a mesh needs besides, turmoil does not have: loopback that belongs
//! to a node while hundreds of nodes share one runtime (one poll loop, not one tick for each host), clocks that jump
//! to the next timer instead of stepping by ticks, DNS answers that change, expire or fail, files and logs for each
//! node, connections that are half open. What it has and this has not: UDP, and loss of single packets, which TCP
//! hides as delay.

mod at;
mod calls;
mod dial;
mod dns;
mod end;
mod error;
mod event;
mod load;
mod look;
mod node;
mod watch;

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

pub use self::{
    at::At,
    calls::{Call, Outcome},
    dial::Dialler,
    dns::DnsName,
    end::Leftovers,
    error::SimError,
    event::Event,
    load::Load,
    node::{Node, NodeState},
};
use self::{calls::CallLog, dial::Trusted};
use super::Testkit;
use crate::envoy;

/// Where clients are.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many milliseconds.
pub const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A simulated mesh. Dropping it ends everything at once; [`stop`](Self::stop) looks at what is left.
pub struct Sim {
    kit: Testkit,
    begin: Instant,
    tasks_before: usize,
    nodes: BTreeMap<String, Node>,
    /// Nodes that others took the place of: they end before those start.
    replaced: Vec<Node>,
    /// In the order in which they were added: so they start.
    waiting: Vec<String>,
    due: BTreeMap<(Duration, u64), Event>,
    scheduled: u64,
    loads: JoinSet<()>,
    calls: CallLog,
    trusted: Trusted,
}

impl Sim {
    /// A mesh of these nodes, each a name and the text of its file. The first one has the address 10.0.0.1, the next
    /// one 10.0.0.2. They start, in this order, with the first [`run_until`](Self::run_until).
    ///
    /// # Errors
    /// What is wrong with a file.
    pub fn from_files(files: &[(&str, &str)]) -> Result<Self, SimError> {
        Self::seeded(0, files)
    }

    /// The same, with chance from another seed.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub fn seeded(seed: u64, files: &[(&str, &str)]) -> Result<Self, SimError> {
        let mut sim = Self::empty(seed);
        files.iter().try_for_each(|(name, file)| sim.add(name, file))?;
        Ok(sim)
    }

    /// A mesh without nodes.
    pub fn empty(seed: u64) -> Self {
        let (kit, begin) = (Testkit::seeded(seed), Instant::now());
        kit.trace.record(begin);
        Self {
            calls: CallLog::new(begin, kit.trace.clone()),
            kit,
            begin,
            tasks_before: end::tasks(),
            nodes: BTreeMap::new(),
            replaced: Vec::new(),
            waiting: Vec::new(),
            due: BTreeMap::new(),
            scheduled: 0,
            loads: JoinSet::new(),
            trusted: Trusted::default(),
        }
    }

    /// Adds a node at the next free address.
    ///
    /// # Errors
    /// What is wrong with its file.
    pub fn add(&mut self, name: &str, file: &str) -> Result<(), SimError> {
        let taken = |address: &IpAddr| self.nodes.values().any(|node| node.address() == *address);
        let last = u32::from(Ipv4Addr::new(10, 0, 255, 255));
        let free = (u32::from(Ipv4Addr::new(10, 0, 0, 1))..last).map(|bits| IpAddr::V4(bits.into()));
        let address = free.skip(self.nodes.len()).find(|address| !taken(address)).unwrap_or(CLIENT);
        self.add_at(name, address, file)
    }

    /// Adds a node at this address. It takes the place of one that has its name already, which ends before it starts.
    ///
    /// # Errors
    /// What is wrong with its file.
    pub fn add_at(&mut self, name: &str, address: IpAddr, file: &str) -> Result<(), SimError> {
        let config = envoy::load(&format!("{name}.yaml"), file)?.config;
        let node = Node::new(name, config, self.kit.at(address), address);
        node.make_certificates(&self.trusted)?;
        self.waiting.push(name.to_owned());
        self.replaced.extend(self.nodes.insert(name.to_owned(), node));
        Ok(())
    }

    /// Keeps the proxy of a node down until a [`start`](At::start). Its application starts with the others: a sidecar
    /// that is late.
    ///
    /// # Panics
    /// There is no such node.
    pub fn hold_back(&mut self, name: &str) {
        self.node_mut(name).hold_back();
    }

    /// What happens at a time, counted from the beginning: `sim.at(secs(90)).kill("pod3")`. Times that have passed
    /// already mean now; nothing happens before the next [`run_until`](Self::run_until).
    pub fn at(&mut self, at: Duration) -> At<'_> {
        At::new(self, at)
    }

    /// A name of the scripted DNS. Nothing is known of a name that is not set: it does not exist.
    pub fn dns<'a>(&'a self, name: &'a str) -> DnsName<'a> {
        DnsName::new(self, name)
    }

    /// Starts a client that calls.
    ///
    /// # Panics
    /// There is no node of the load's name.
    pub fn load(&mut self, load: Load) {
        let dialler = self.dialler(&load.to);
        self.loads.spawn(load.run(dialler, self.begin, self.calls.clone()));
    }

    /// Lets the mesh live until this time since the beginning. Whatever is due then has happened when this returns, a
    /// millisecond later.
    pub async fn run_until(&mut self, at: Duration) {
        self.boot().await;
        while let Some(next) = self.due.first_entry().filter(|next| next.key().0 <= at) {
            let ((when, _), event) = next.remove_entry();
            sleep_until(self.begin + when).await;
            self.apply(event).await;
        }
        sleep_until(self.begin + at).await;
        sleep(millis(1)).await;
    }

    /// Lets the mesh live for so long.
    pub async fn run_for(&mut self, time: Duration) {
        self.run_until(self.now() + time).await;
    }

    /// Lets the mesh live until `holds`, looking every 10 ms, or until `limit`: the time when it held, in steps of
    /// 10 ms.
    pub async fn run_until_that(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> Option<Duration> {
        let step = |now: Duration| millis(u64::try_from(now.as_millis() / 10 * 10).unwrap_or(u64::MAX));
        while !holds(self) {
            if self.now() >= limit {
                return None;
            }
            self.run_until(step(self.now()) + millis(10)).await;
        }
        Some(step(self.now()))
    }

    /// Starts every node that was added and not started yet.
    async fn boot(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        for node in &mut self.replaced {
            node.stop_proxy().await;
            node.stop_apps().await;
        }
        for name in std::mem::take(&mut self.waiting) {
            if let Some(node) = self.nodes.get_mut(&name) {
                node.boot();
            }
        }
    }

    fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap_or_else(|| unknown(name))
    }

    /// A node by name, or an address as it is written.
    fn address_of(&self, name: &str) -> IpAddr {
        self.nodes.get(name).map(Node::address).or_else(|| name.parse().ok()).unwrap_or_else(|| unknown(name))
    }

    /// Where a node is reached: its first listener.
    fn front_of(&self, name: &str) -> SocketAddr {
        self.node(name).front().unwrap_or_else(|| unknown(name))
    }
}

#[expect(clippy::panic, reason = "a test that names what is not there is wrong, and no value could say so as well")]
fn unknown(name: &str) -> ! {
    panic!("the simulation has no {name:?}, or not with what is asked for")
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("now", &self.now()).field("nodes", &self.nodes.keys()).finish_non_exhaustive()
    }
}
