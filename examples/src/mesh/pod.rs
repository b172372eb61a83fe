//! A pod: the application and its sidecar, behind one address.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use meshlib::{base::Resources, envoy, proxy::server::Server};

use super::{StartError, files};
use crate::echo::EchoServer;

/// A running pod.
#[derive(Debug)]
pub struct Pod {
    name: String,
    address: IpAddr,
    application: Option<EchoServer>,
    sidecar: Option<Server>,
}

pub(super) struct PodOptions {
    pub(super) name: String,
    pub(super) application: SocketAddr,
    pub(super) sidecar: SocketAddr,
    pub(super) health_route: bool,
    pub(super) interval: Duration,
    pub(super) log: PathBuf,
}

impl Pod {
    pub(super) async fn start(options: PodOptions) -> Result<Self, StartError> {
        let application = EchoServer::start(options.application, &options.name).await?;
        let file =
            files::sidecar(options.sidecar, options.application, options.health_route, options.interval, &options.log);
        let loaded = envoy::load("sidecar.envoy.yaml", &file)?;
        let sidecar = Server::start(loaded.config, Resources::default()).await?;
        Ok(Self {
            name: options.name,
            address: options.sidecar.ip(),
            application: Some(application),
            sidecar: Some(sidecar),
        })
    }

    /// Its host name, as its answers carry it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its application; `None` once it was killed.
    pub fn application(&self) -> Option<&EchoServer> {
        self.application.as_ref()
    }

    /// Its sidecar; `None` once it was killed.
    pub fn sidecar(&self) -> Option<&Server> {
        self.sidecar.as_ref()
    }

    /// Ends application and sidecar at once, connections included, as a node that loses its power does.
    pub async fn kill(&mut self) {
        self.sidecar = None;
        self.kill_application().await;
    }

    /// Ends the application alone.
    pub async fn kill_application(&mut self) {
        if let Some(application) = self.application.take() {
            application.kill().await;
        }
    }
}
