//! One node: an address, a proxy from a file, applications beside it.

mod life;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{SimError, dial::Trusted, watch::HostWatch};
use crate::{
    base::{Error, Stats, stats::StatValue},
    cluster::{config::DiscoveryConfig, host_set::HostSet},
    net::tls::config::DataSource,
    proxy::{config::MeshConfig, server::Server},
    testkit::{App, ServingApp, TestCertificate, Testkit},
};

/// How far the proxy of a node is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NodeState {
    /// It does not run: not yet, killed, or ended by itself after a drain.
    Down,
    /// Its ports are bound, and its clusters warm up.
    Starting,
    /// It serves.
    Up(Arc<Server>),
    /// It could not be started, for this reason.
    Failed(String),
}

/// A node of a [`Sim`](super::Sim).
pub struct Node {
    name: Arc<str>,
    address: IpAddr,
    config: MeshConfig,
    kit: Testkit,
    apps: Vec<(SocketAddr, App, Option<ServingApp>)>,
    proxy: watch::Sender<NodeState>,
    watches: watch::Sender<Vec<Arc<HostWatch>>>,
    life: Option<JoinHandle<()>>,
    held_back: bool,
    past: Vec<Stats>,
}

impl Node {
    pub(super) fn new(name: &str, config: MeshConfig, kit: Testkit, address: IpAddr) -> Self {
        let (proxy, watches) = (watch::Sender::new(NodeState::Down), watch::Sender::new(Vec::new()));
        let begin = kit.trace.begin().unwrap_or_else(Instant::now);
        let apps = own_endpoints(&config).into_iter().map(|at| (at, App::since(name, begin), None)).collect();
        let (life, held_back, past) = (None, false, Vec::new());
        Self { name: name.into(), address, config, kit, apps, proxy, watches, life, held_back, past }
    }

    /// Writes a certificate where the file expects one and none is.
    pub(super) fn make_certificates(&self, trusted: &Trusted) -> Result<(), SimError> {
        let missing = self.certificate_files().any(|(chain, _)| {
            use crate::base::resources::Files;
            self.kit.files.fingerprint(chain).is_err()
        });
        if missing { self.swap_certificates(trusted).map_err(SimError::from) } else { Ok(()) }
    }

    /// Writes a new certificate to wherever the file expects one. Clients trust it, and the ones before.
    pub(super) fn swap_certificates(&self, trusted: &Trusted) -> Result<(), Error> {
        let names = [&*self.name, &self.server_name()];
        let resources = &self.kit.resources;
        let certificate = TestCertificate::new(&names, resources.crypto_provider(), resources.random())?;
        for (chain, key) in self.certificate_files() {
            self.kit.files.write(chain, certificate.chain_pem());
            self.kit.files.write(key, certificate.key_pem());
        }
        trusted.add(certificate.der().clone());
        Ok(())
    }

    fn certificate_files(&self) -> impl Iterator<Item = (&std::path::PathBuf, &std::path::PathBuf)> {
        let chains = self.config.listeners.iter().flat_map(|listener| &listener.filter_chains);
        let certificates = chains.filter_map(|chain| chain.tls.as_ref()).flat_map(|tls| &tls.certificates);
        certificates.filter_map(|certificate| match (&certificate.certificate_chain, &certificate.private_key) {
            (DataSource::File(chain), DataSource::File(key)) => Some((chain, key)),
            _ => None,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that its certificates are for, and clients ask for.
    pub fn server_name(&self) -> String {
        format!("{}.test", self.name)
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// What its file says.
    pub fn config(&self) -> &MeshConfig {
        &self.config
    }

    /// Its surroundings: files, logs, wall clock, network; stats and drain of the proxy that runs now or ran last.
    pub fn kit(&self) -> &Testkit {
        &self.kit
    }

    /// Its first application.
    pub fn app(&self) -> Option<&App> {
        self.apps.first().map(|(_, app, _)| app)
    }

    /// Its applications, with where they listen.
    pub fn apps(&self) -> impl Iterator<Item = (SocketAddr, &App)> {
        self.apps.iter().map(|(at, app, _)| (*at, app))
    }

    /// How far its proxy is.
    pub fn state(&self) -> NodeState {
        self.proxy.borrow().clone()
    }

    /// Its proxy, while it serves.
    pub fn server(&self) -> Option<Arc<Server>> {
        match &*self.proxy.borrow() {
            NodeState::Up(server) => Some(server.clone()),
            _ => None,
        }
    }

    /// The address of its first listener.
    pub fn front(&self) -> Option<SocketAddr> {
        let at = self.config.listeners.first()?.address;
        Some(SocketAddr::new(if at.ip().is_unspecified() { self.address } else { at.ip() }, at.port()))
    }

    /// The stats of the proxy that runs now or ran last.
    pub fn stats(&self) -> &Stats {
        self.kit.resources.stats()
    }

    /// A counter; 0 while nobody counted.
    pub fn counter(&self, name: &str) -> u64 {
        self.stats().counter_value(name).unwrap_or(0)
    }

    /// A gauge; 0 while nobody raised it.
    pub fn gauge(&self, name: &str) -> i64 {
        self.stats().gauge_value(name).unwrap_or(0)
    }

    /// How many hosts a cluster has, and how many of them are healthy; none while the proxy does not serve.
    pub fn hosts(&self, cluster: &str) -> (usize, usize) {
        self.host_set(cluster).map_or((0, 0), |set| (set.hosts().len(), set.healthy()))
    }

    /// The hosts of a cluster, while the proxy serves.
    pub fn host_set(&self, cluster: &str) -> Option<Arc<HostSet>> {
        self.server()?.cluster(cluster).ok().map(|cluster| cluster.hosts().load_full())
    }

    /// The health flags of a host, as `/clusters` prints them; empty when it is none of the cluster's.
    pub fn health_of(&self, cluster: &str, host: IpAddr) -> String {
        let set = self.host_set(cluster);
        let host = set.iter().flat_map(|set| set.hosts()).find(|known| known.address().ip() == host);
        host.map(|host| host.health().to_string()).unwrap_or_default()
    }

    /// Who was a host of a cluster and when: each set that was published since the proxy serves, with the time.
    pub fn host_history(&self, cluster: &str) -> Vec<(Duration, Vec<SocketAddr>)> {
        let watches = self.watches.borrow();
        watches.iter().filter(|watch| watch.cluster() == cluster).flat_map(|watch| watch.history()).collect()
    }

    /// The lines of its access log to `/dev/stdout`. Each is there within a second.
    pub fn log(&self) -> Vec<String> {
        self.kit.logs.lines("/dev/stdout")
    }

    /// Gauges that are not zero, of its proxy and of those before, apart from those that describe the server.
    pub fn raised_gauges(&self) -> Vec<String> {
        let level = |(name, value)| match value {
            StatValue::Gauge(level) if level != 0 => Some(format!("{}: {name} {level}", self.name)),
            _ => None,
        };
        let own = |(name, _): &(String, StatValue)| !name.starts_with("server.");
        let all = self.past.iter().chain([self.stats()]).flat_map(Stats::snapshot);
        all.filter(own).filter_map(level).collect()
    }
}

/// Where the file expects applications on the node itself.
fn own_endpoints(config: &MeshConfig) -> Vec<SocketAddr> {
    let endpoints = config.clusters.iter().flat_map(|cluster| match &cluster.discovery {
        DiscoveryConfig::Static(endpoints) => endpoints.as_slice(),
        _ => &[],
    });
    let mut own: Vec<_> = endpoints.map(|endpoint| endpoint.address).filter(|at| at.ip().is_loopback()).collect();
    own.sort();
    own.dedup();
    own
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(life) = &self.life {
            life.abort();
        }
        // Even where somebody holds the state: the server goes with its node.
        self.proxy.send_replace(NodeState::Down);
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("state", &*self.proxy.borrow())
            .finish_non_exhaustive()
    }
}
