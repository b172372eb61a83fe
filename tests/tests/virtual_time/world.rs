//! A deployment in [`Sim`]: pods with application and sidecar, an edge, DNS; everything from files.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use meshlib::{
    base::{
        Stats,
        resources::{BoxIo, Files, Network},
    },
    testkit::{Answer, App, Event, MemoryLogs, MemoryNetwork, Sim, Testkit},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    client::{Client, Raw},
    node::Node,
};

/// The name that the edge resolves.
pub(crate) const SERVICE: &str = "echo-grpc.envoy.svc.cluster.local";
/// Where clients are.
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
/// Where the edge is.
const EDGE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

pub(crate) const EDGE_FILE: &str = include_str!("edge.envoy.yaml");
pub(crate) const SIDECAR_FILE: &str = include_str!("sidecar.envoy.yaml");
pub(crate) const CHAIN: &str = "/etc/envoy/certs/tls.crt";
pub(crate) const KEY: &str = "/etc/envoy/certs/tls.key";
pub(crate) const TLS_LINES: &str = "tls_context:
        common_tls_context:
          tls_certificates:
          - certificate_chain:
              filename: \"/etc/envoy/certs/tls.crt\"
            private_key:
              filename: \"/etc/envoy/certs/tls.key\"";

/// What differs from the reference's edge.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EdgeOptions {
    pub(crate) tls: bool,
    /// A line of the cluster.
    pub(crate) cluster: &'static str,
    /// A line of its health checks.
    pub(crate) checks: &'static str,
}

/// Checks at their interval from the start, not after the 60 s that a cluster without traffic waits.
pub(crate) const CHECKED: EdgeOptions = EdgeOptions { tls: false, cluster: "", checks: "no_traffic_interval: 10s" };

/// All of it. Dropping it ends all of it.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) kit: Testkit,
    /// Times are counted from here.
    pub(crate) begin: Instant,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let sim = Sim::empty(seed);
        let kit = sim.kit().clone();
        kit.dns.set(SERVICE, []);
        Self { sim, kit, begin: Instant::now() }
    }

    /// These pods behind an edge, warm and published.
    pub(crate) async fn running(pods: impl IntoIterator<Item = u8>, options: EdgeOptions) -> Self {
        let mut world = Self::new(1);
        let pods: Vec<u8> = pods.into_iter().collect();
        for pod in &pods {
            world.start_pod(*pod).await;
        }
        world.publish(pods);
        world.start_edge(options).await;
        world
    }

    /// Makes DNS give exactly these pods.
    pub(crate) fn publish(&self, pods: impl IntoIterator<Item = u8>) {
        self.kit.dns.set(SERVICE, pods.into_iter().map(address));
    }

    pub(crate) async fn start_pod(&mut self, pod: u8) {
        self.start_app(pod).await;
        self.start_sidecar(pod).await;
    }

    pub(crate) async fn start_app(&mut self, pod: u8) {
        self.start_app_beside(pod, SIDECAR_FILE).await;
    }

    /// Starts the application of a pod whose sidecar will have this file.
    pub(crate) async fn start_app_beside(&mut self, pod: u8, file: &str) {
        self.sim.add_at(&name(pod), address(pod), file).unwrap_or_else(|error| panic!("{error}"));
        self.sim.hold_back(&name(pod));
        self.app(pod).on("/api.Echo/Drip", Answer::Drip(secs(1)));
        self.app(pod).on("/api.Echo/Chat", Answer::Mirror);
        self.sim.apply(Event::StartApps(name(pod))).await;
    }

    pub(crate) async fn start_sidecar(&mut self, pod: u8) {
        self.sim.start(&name(pod)).await.expect("it starts");
    }

    /// Kills the sidecar of a pod; its application goes on.
    pub(crate) async fn kill_sidecar(&mut self, pod: u8) {
        self.sim.apply(Event::KillProxy(name(pod))).await;
    }

    /// Kills the application of a pod; its sidecar goes on.
    pub(crate) async fn kill_app(&mut self, pod: u8) {
        self.sim.apply(Event::KillApps(name(pod))).await;
    }

    /// Starts the edge, and waits until it accepts.
    pub(crate) async fn start_edge(&mut self, options: EdgeOptions) {
        self.start_edge_from(&edge_file(options)).await;
    }

    pub(crate) async fn start_edge_from(&mut self, file: &str) {
        self.begin_edge_from(file).await;
        self.sim.start("edge").await.expect("it starts");
    }

    /// Starts the edge, and does not wait.
    pub(crate) async fn begin_edge(&mut self, options: EdgeOptions) {
        self.begin_edge_from(&edge_file(options)).await;
    }

    async fn begin_edge_from(&mut self, file: &str) {
        self.sim.add_at("edge", EDGE, file).unwrap_or_else(|error| panic!("{error}"));
        self.sim.apply(Event::StartProxy("edge".to_owned())).await;
    }

    /// Kills the edge: its stats and its logs.
    pub(crate) async fn kill_edge(&mut self) -> (Stats, MemoryLogs) {
        let kit = self.sim.node("edge").kit().clone();
        self.sim.apply(Event::KillProxy("edge".to_owned())).await;
        (kit.resources.stats().clone(), kit.logs)
    }

    /// What a mesh runs on that an application embeds in the place of the edge.
    pub(crate) fn edge_kit(&self) -> Testkit {
        self.kit.at(EDGE)
    }

    /// The files of the edge.
    pub(crate) fn edge_files(&self) -> &meshlib::testkit::MemoryFiles {
        &self.sim.node("edge").kit().files
    }

    /// The edge's certificate.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate_in(CHAIN)
    }

    pub(crate) fn certificate_in(&self, path: &str) -> CertificateDer<'static> {
        let pem = self.edge_files().read(path.as_ref()).expect("a file");
        CertificateDer::from_pem_slice(&pem).expect("a certificate")
    }

    pub(crate) fn app(&self, pod: u8) -> &App {
        self.sim.app(&name(pod))
    }

    /// When health checks came by way of the sidecar.
    pub(crate) fn edge_checks(&self, pod: u8) -> Vec<Duration> {
        self.app(pod).checks().iter().filter(|check| check.routed).map(|check| check.at).collect()
    }

    /// When the sidecar's own health checks came.
    pub(crate) fn sidecar_checks(&self, pod: u8) -> Vec<Duration> {
        self.app(pod).checks().iter().filter(|check| !check.routed).map(|check| check.at).collect()
    }

    pub(crate) fn sidecar(&self, pod: u8) -> Node {
        Node::of(self.sim.node(&name(pod)))
    }

    pub(crate) fn edge(&self) -> Node {
        Node::of(self.sim.node("edge"))
    }

    /// A network as clients see it.
    pub(crate) fn client_network(&self) -> MemoryNetwork {
        self.kit.network.at(CLIENT)
    }

    /// A byte stream to the edge.
    pub(crate) async fn dial(&self) -> io::Result<BoxIo> {
        self.client_network().connect(edge_address()).await
    }

    /// A raw connection to the edge.
    pub(crate) async fn raw(&self) -> Raw {
        Raw::over(self.dial().await.expect("the edge accepts"))
    }

    /// An HTTP/2 connection to the edge.
    pub(crate) async fn client(&self) -> Client {
        Client::over(self.dial().await.expect("the edge accepts"))
    }

    /// Asks the admin interface of a node, and gives the whole answer.
    pub(crate) async fn admin(&self, network: &MemoryNetwork, method: &str, path: &str) -> String {
        let mut raw = Raw::connect(network, local(8090)).await.expect("the admin interface accepts");
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        raw.write(request.as_bytes()).await;
        raw.rest().await
    }

    /// The same of the edge.
    pub(crate) async fn edge_admin(&self, method: &str, path: &str) -> String {
        self.admin(&self.kit.network.at(EDGE), method, path).await
    }

    /// The time since the world began, to a tenth of a second.
    pub(crate) fn now(&self) -> Duration {
        coarse(self.begin.elapsed())
    }

    /// Waits until this time since the world began. Whatever is due then has happened.
    pub(crate) async fn at(&self, seconds: f64) {
        sleep_until(self.begin + Duration::from_secs_f64(seconds)).await;
        // Timers that fire at the same instant, and what follows from them.
        sleep(Duration::from_millis(5)).await;
    }

    /// Waits until `holds`, looking every 10 ms of virtual time, and says when that was: [`Self::now`].
    pub(crate) async fn when(&self, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
        let limit = Instant::now() + secs(300);
        while !holds() {
            assert!(Instant::now() < limit, "it did not happen within five minutes: {what}");
            sleep(Duration::from_millis(10)).await;
        }
        self.now()
    }
}

/// How many tasks are alive, the test itself aside.
pub(crate) fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// The edge's file.
pub(crate) fn edge_file(options: EdgeOptions) -> String {
    EDGE_FILE
        .replace("# TLS", if options.tls { TLS_LINES } else { "" })
        .replace("# CLUSTER", options.cluster)
        .replace("# CHECKS", options.checks)
}

/// A pod's name.
pub(crate) fn name(pod: u8) -> String {
    format!("pod-{pod}")
}

/// A pod's address.
pub(crate) fn address(pod: u8) -> IpAddr {
    [10, 1, 0, pod].into()
}

/// Where a pod's sidecar listens.
pub(crate) fn sidecar_address(pod: u8) -> SocketAddr {
    SocketAddr::new(address(pod), 8786)
}

/// Where the edge listens.
pub(crate) fn edge_address() -> SocketAddr {
    SocketAddr::new(EDGE, 443)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// To a tenth of a second, downwards.
pub(crate) fn coarse(time: Duration) -> Duration {
    Duration::from_millis(time.as_millis() as u64 / 100 * 100)
}
