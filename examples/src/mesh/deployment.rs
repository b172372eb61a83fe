//! All of it: start, look, change.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use meshlib::{base::Resources, cluster::Cluster, discovery::resolver::SystemResolver, envoy, proxy::server::Server};
use tempfile::TempDir;

use super::{Pod, SERVICE, StartError, files, pod::PodOptions};
use crate::{
    certificate::SelfSigned,
    demo::{Loopback, Reserved},
    dns::DnsServer,
};

/// Room for pods that are added later; their addresses are reserved from the start.
const MOST_PODS: u8 = 8;
/// The last byte of the first pod's address, less one.
const FIRST_POD: u8 = 10;

/// What is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many pods. Default 3.
    pub pods: u8,
    /// Whether the sidecars let health checks through to the application. Default true. Without, the edge's checks
    /// get a 404 from the sidecar, as in the deployment as it was published.
    pub health_route: bool,
    /// The health checks' interval. Default 1 s; the reference has 10 s.
    pub interval: Duration,
    /// How often the edge asks the name server. Default 5 s, as without saying so.
    pub refresh: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { pods: 3, health_route: true, interval: Duration::from_secs(1), refresh: Duration::from_secs(5) }
    }
}

/// A running deployment. Dropping it ends all of it.
#[derive(Debug)]
pub struct Deployment {
    options: Options,
    network: Loopback,
    application: Reserved,
    sidecar: Reserved,
    dns: DnsServer,
    certificate: SelfSigned,
    logs: TempDir,
    pods: Vec<Pod>,
    edge: Server,
}

impl Deployment {
    /// Starts name server, pods and edge, in this order.
    ///
    /// # Errors
    /// When an address or a port is not to be had, or a file does not load.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let network = Loopback::choose();
        let hosts: Vec<IpAddr> = (1..=MOST_PODS).map(|pod| network.host(FIRST_POD + pod)).collect();
        let (application, sidecar) = (Loopback::reserve(&hosts)?, Loopback::reserve(&hosts)?);
        let (dns, certificate) = (DnsServer::start().await?, SelfSigned::new("localhost")?);
        let logs = tempfile::Builder::new().prefix("meshlib-logs-").tempdir()?;
        let file = files::edge(&certificate, sidecar.port(), &options, &logs.path().join("edge.log"));
        let mut pods = Vec::new();
        for number in 1..=options.pods {
            let pod = pod_options(&options, number, network, [&application, &sidecar], &logs);
            pods.push(Pod::start(pod).await?);
        }
        dns.set(SERVICE, pods.iter().map(Pod::address));
        let resolver = SystemResolver::with_server(dns.address());
        let resources = Resources::default().with_resolver(Arc::new(resolver));
        let edge = Server::start(envoy::load("edge.envoy.yaml", &file)?.config, resources).await?;
        Ok(Self { options, network, application, sidecar, dns, certificate, logs, pods, edge })
    }

    /// Where the edge answers: `https://127.0.0.1:port`.
    pub fn url(&self) -> String {
        self.edge.local_addrs().next().map(|address| format!("https://{address}")).unwrap_or_default()
    }

    /// The edge.
    pub fn edge(&self) -> &Server {
        &self.edge
    }

    /// The edge's cluster.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.edge.cluster("echo-grpc").ok()
    }

    /// The edge's access log.
    pub fn access_log(&self) -> PathBuf {
        self.logs.path().join("edge.log")
    }

    /// The name server.
    pub fn dns(&self) -> &DnsServer {
        &self.dns
    }

    /// The edge's certificate, to rotate it.
    pub fn certificate(&mut self) -> &mut SelfSigned {
        &mut self.certificate
    }

    /// The pods, in the order in which they were started.
    pub fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// The pod of this number, counted from 0, to kill it.
    pub fn pod(&mut self, index: usize) -> Option<&mut Pod> {
        self.pods.get_mut(index)
    }

    /// Starts one more pod, without publishing it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn add_pod(&mut self) -> Result<&Pod, StartError> {
        let number = u8::try_from(self.pods.len() + 1)?;
        if number > MOST_PODS {
            return Err(format!("there is room for {MOST_PODS} pods").into());
        }
        let options = pod_options(&self.options, number, self.network, [&self.application, &self.sidecar], &self.logs);
        self.pods.push(Pod::start(options).await?);
        self.pods.last().ok_or_else(|| "a pod was just added".into())
    }

    /// Makes the name server give exactly the pods that are alive.
    pub fn publish(&self) {
        self.dns.set(SERVICE, self.pods.iter().filter(|pod| pod.sidecar().is_some()).map(Pod::address));
    }
}

fn pod_options(options: &Options, number: u8, network: Loopback, ports: [&Reserved; 2], logs: &TempDir) -> PodOptions {
    let address = network.host(FIRST_POD + number);
    let [application, sidecar] = ports.map(|reserved| SocketAddr::new(address, reserved.port()));
    let name = format!("pod-{number}");
    let log = logs.path().join(format!("{name}.log"));
    PodOptions { name, application, sidecar, health_route: options.health_route, interval: options.interval, log }
}
