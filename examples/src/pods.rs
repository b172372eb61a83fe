//! Pods without sidecars, and the name server that knows them: the world of an application that embeds meshlib.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! use meshlib::{base::Resources, cluster::Cluster};
//! use meshlib_examples::pods::{Pods, SERVICE};
//!
//! let mut pods = Pods::start(3).await?;
//! let resources = Resources::default().with_resolver(pods.resolver());
//! let cluster = Cluster::builder("echo-grpc").strict_dns(SERVICE, pods.port()).http2().build(&resources)?;
//! pods.kill("pod-2").await; // its address stays in DNS
//! pods.add().await?; // pod-4, in DNS too
//! # Ok(())
//! # }
//! ```

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use meshlib::{base::resources::Resolve, discovery::SystemResolver};

use crate::{
    demo::{Loopback, Reserved},
    dns::DnsServer,
    echo::EchoServer,
    mesh::StartError,
};

/// The name under which the pods are found.
pub const SERVICE: &str = "echo-grpc.default.svc.cluster.local";
/// Room for pods that are added later.
const MOST_PODS: u8 = 8;

/// Running pods. Dropping this ends them.
#[derive(Debug)]
pub struct Pods {
    reserved: Reserved,
    dns: DnsServer,
    /// In the order in which they were started; `None` once they were killed.
    pods: Vec<Option<EchoServer>>,
}

impl Pods {
    /// Starts the name server, and `pod-1` to `pod-<count>`.
    ///
    /// # Errors
    /// When an address or a port is not to be had.
    pub async fn start(count: u8) -> Result<Self, StartError> {
        let network = Loopback::choose();
        let hosts: Vec<IpAddr> = (11..11 + MOST_PODS).map(|host| network.host(host)).collect();
        let (reserved, dns) = (Loopback::reserve(&hosts)?, DnsServer::start().await?);
        let mut pods = Self { reserved, dns, pods: Vec::new() };
        for _ in 0..count {
            pods.add().await?;
        }
        Ok(pods)
    }

    /// Starts one more pod, and gives its name.
    ///
    /// # Errors
    /// When its address cannot be bound, or there is no room.
    pub async fn add(&mut self) -> Result<String, StartError> {
        let address = self.reserved.addresses().nth(self.pods.len()).ok_or("there is no room for another pod")?;
        let name = format!("pod-{}", self.pods.len() + 1);
        self.pods.push(Some(EchoServer::start(address, &name).await?));
        self.dns.set(SERVICE, self.addresses().map(|address| address.ip()));
        Ok(name)
    }

    /// Ends a pod at once, connections included. Its address stays in DNS, as it does for a while.
    pub async fn kill(&mut self, name: &str) {
        if let Some(pod) = self.slot(name).and_then(Option::take) {
            pod.kill().await;
        }
    }

    /// Ends all pods at once.
    pub async fn kill_all(&mut self) {
        for pod in self.pods.iter_mut().filter_map(Option::take) {
            pod.kill().await;
        }
    }

    /// A pod that is alive.
    pub fn pod(&self, name: &str) -> Option<&EchoServer> {
        let index: usize = name.strip_prefix("pod-")?.parse().ok()?;
        self.pods.get(index.checked_sub(1)?)?.as_ref()
    }

    /// The name of the pod at this address, dead or alive.
    pub fn name_of(&self, address: SocketAddr) -> Option<String> {
        self.addresses().position(|other| other == address).map(|index| format!("pod-{}", index + 1))
    }

    /// The addresses of all pods, dead or alive.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.reserved.addresses().take(self.pods.len())
    }

    /// The port of every pod.
    pub fn port(&self) -> u16 {
        self.reserved.port()
    }

    /// The name server, to change what it says.
    pub fn dns(&self) -> &DnsServer {
        &self.dns
    }

    /// A resolver that asks the name server.
    pub fn resolver(&self) -> Arc<dyn Resolve> {
        Arc::new(SystemResolver::with_server(self.dns.address()))
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<EchoServer>> {
        let index: usize = name.strip_prefix("pod-")?.parse().ok()?;
        self.pods.get_mut(index.checked_sub(1)?)
    }
}
