//! A deployment in memory: pods with application and sidecar, an edge, DNS; everything from files, under one clock.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use meshlib::{
    base::resources::{BoxIo, Files, Network},
    testkit::{MemoryFiles, MemoryNetwork, Testkit},
};
use rustls::pki_types::CertificateDer;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    app::App,
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
    pub(crate) kit: Testkit,
    pub(crate) begin: Instant,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) files: MemoryFiles,
    pods: BTreeMap<u8, Pod>,
    edge: Option<Node>,
}

/// Application and sidecar.
#[derive(Default)]
pub(crate) struct Pod {
    pub(crate) app: Option<App>,
    pub(crate) sidecar: Option<Node>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let pair = rcgen::generate_simple_self_signed(["edge.test".to_owned()]).expect("a certificate");
        let files = MemoryFiles::new();
        files.write("/etc/envoy/certs/tls.crt", pair.cert.pem());
        files.write("/etc/envoy/certs/tls.key", pair.signing_key.serialize_pem());
        let mut kit = Testkit::seeded(seed);
        kit.resources = kit.resources.with_files(Arc::new(files.clone()));
        kit.dns.set(SERVICE, []);
        Self {
            kit,
            begin: Instant::now(),
            certificate: pair.cert.der().clone(),
            files,
            pods: BTreeMap::new(),
            edge: None,
        }
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
        self.start_app(pod);
        self.start_sidecar(pod).await;
    }

    pub(crate) fn start_app(&mut self, pod: u8) {
        let network = self.kit.network.at(address(pod));
        let app = App::start(&format!("pod-{pod}"), &network, local(8081), self.begin);
        self.pods.entry(pod).or_default().app = Some(app);
    }

    pub(crate) async fn start_sidecar(&mut self, pod: u8) {
        self.start_sidecar_from(pod, SIDECAR_FILE).await;
    }

    pub(crate) async fn start_sidecar_from(&mut self, pod: u8, file: &str) {
        let node = Node::start("sidecar.envoy.yaml", file, self.kit.at(address(pod))).await;
        self.pods.entry(pod).or_default().sidecar = Some(node);
    }

    /// Starts the edge, and waits until it accepts.
    pub(crate) async fn start_edge(&mut self, options: EdgeOptions) {
        self.start_edge_from(&edge_file(options)).await;
    }

    pub(crate) async fn start_edge_from(&mut self, file: &str) {
        self.edge = Some(Node::start("edge.envoy.yaml", file, self.edge_kit()).await);
    }

    /// A file of the world.
    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        self.files.read(path.as_ref()).expect("a file")
    }

    /// What the edge runs on.
    pub(crate) fn edge_kit(&self) -> Testkit {
        self.kit.at(EDGE)
    }

    pub(crate) fn pod(&mut self, pod: u8) -> &mut Pod {
        self.pods.get_mut(&pod).expect("it was started")
    }

    pub(crate) fn app(&self, pod: u8) -> &App {
        self.pods.get(&pod).and_then(|pod| pod.app.as_ref()).expect("it runs")
    }

    pub(crate) fn sidecar(&self, pod: u8) -> &Node {
        self.pods.get(&pod).and_then(|pod| pod.sidecar.as_ref()).expect("it runs")
    }

    pub(crate) fn edge(&self) -> &Node {
        self.edge.as_ref().expect("it runs")
    }

    pub(crate) fn take_edge(&mut self) -> Node {
        self.edge.take().expect("it runs")
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
        Client::over(self.dial().await.expect("the edge accepts")).await.expect("a preface goes out")
    }

    /// Asks the admin interface of a node, and gives the whole answer.
    pub(crate) async fn admin(&self, node: &Node, method: &str, path: &str) -> String {
        let mut raw = Raw::connect(&node.kit.network, local(8090)).await.expect("the admin interface accepts");
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        raw.write(request.as_bytes()).await;
        raw.rest().await
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
