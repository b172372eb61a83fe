//! A whole file's worth of proxy: clusters, listeners, the admin interface, one drain. What the binary runs; an
//! application that wants some of it takes a [`Mesh`].
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), meshlib::base::Error> {
//! use std::net::SocketAddr;
//! use meshlib::{base::DrainTimes, proxy::{config::{AdminConfig, MeshConfig}, server::Server}};
//!
//! // Here an admin interface and nothing else; listeners and clusters are in the example of `proxy::config`.
//! let config = MeshConfig::default().admin(AdminConfig::new(SocketAddr::from(([127, 0, 0, 1], 0))));
//! # let resources = meshlib::testkit::resources();
//! let server = Server::start(config, resources).await?; // `Resources::default()`: the operating system's
//! assert!(server.admin_addr().is_some());
//! server.drain(DrainTimes::default());
//! server.finished().await;
//! # Ok(())
//! # }
//! ```

use std::{fmt, net::SocketAddr};

use tokio::sync::watch;

use super::{
    admin::{AdminState, CommandLineOptions, ServerState, ServerStats},
    config::MeshConfig,
    mesh::Mesh,
};
use crate::{
    base::{DrainTimes, Error, Resources},
    cluster::Cluster,
};

/// A proxy that runs. Dropping it stops everything it started: its ports are free at once, its tasks end with the next
/// turn of their runtime. [`drain`](Self::drain) does it gently.
///
/// It is a [`Mesh`] that serves all of its configuration; [`mesh`](Self::mesh) has what else a mesh can do.
pub struct Server {
    mesh: Mesh,
    admin: Option<SocketAddr>,
    /// Whether the admin interface was told to quit.
    quit: watch::Sender<bool>,
}

impl Server {
    /// Starts everything that `config` names, on the ambient runtime and the workers of `resources`.
    ///
    /// Every socket is bound and every file read before anything waits, but connections are accepted only once each
    /// cluster has warmed up (first resolution, first checks), as Envoy's are; until then they wait in the queue of
    /// the socket. The admin interface answers from the start.
    ///
    /// # Errors
    ///
    /// What cannot be used, and what to do: an address in use, a missing privilege, a certificate, a route table.
    pub async fn start(config: MeshConfig, resources: Resources) -> Result<Self, Error> {
        Self::start_with(config, CommandLineOptions::default(), resources).await
    }

    /// The same, with the command line that `/server_info` shows.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(
        config: MeshConfig,
        command_line: CommandLineOptions,
        resources: Resources,
    ) -> Result<Self, Error> {
        Self::of(Mesh::from_config(config, resources)?, command_line).await
    }

    /// Serves what `mesh` does not serve yet.
    pub(super) async fn of(mesh: Mesh, command_line: CommandLineOptions) -> Result<Self, Error> {
        let listeners = mesh.bind_rest()?;
        let (resources, config) = (mesh.resources(), mesh.config());
        let (state, quit) = (ServerState::new(resources.drain().clone()), watch::Sender::new(false));
        let stats = ServerStats::new(resources.stats(), state.clone(), mesh.concurrency());
        let quitting = quit.clone();
        let admin_state = AdminState::new(resources.stats().clone(), stats)
            .with_node(config.node.clone())
            .with_command_line(command_line)
            .with_clusters(mesh.admin_clusters())
            .with_quit(move || {
                quitting.send_replace(true);
            });
        let admin = config.admin.as_ref().map(|admin| mesh.admin(admin, admin_state)).transpose()?;
        state.set_initializing();
        mesh.warmed().await;
        listeners.into_iter().for_each(|listener| mesh.accept(listener));
        state.set_initialized();
        Ok(Self { mesh, admin, quit })
    }

    /// The mesh that it is.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// What it was started with; two configurations can be compared.
    pub fn config(&self) -> &MeshConfig {
        self.mesh.config()
    }

    /// Where the listener with this name or address is bound; the real port where the configuration says 0.
    pub fn local_addr(&self, listener: &str) -> Option<SocketAddr> {
        self.mesh.local_addr(listener)
    }

    /// Where every listener is bound, in the configuration's order.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        self.mesh.local_addrs()
    }

    /// Where the admin interface is bound.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The cluster of this name.
    ///
    /// # Errors
    ///
    /// There is none, as [`Mesh::cluster`] says.
    pub fn cluster(&self, name: &str) -> Result<&Cluster, Error> {
        self.mesh.cluster(name)
    }

    /// What the server runs on: its stats, its drain.
    pub fn resources(&self) -> &Resources {
        self.mesh.resources()
    }

    /// Begins to drain. A second call changes nothing; [`stop`](Self::stop) does not wait.
    pub fn drain(&self, times: DrainTimes) {
        self.mesh.drain(times);
    }

    /// Stops now: what is still open is cut.
    pub fn stop(&self) {
        self.mesh.stop();
    }

    /// Waits until a drain is over, or `/quitquitquit` was asked for. Any number of tasks may wait, before and after.
    pub async fn finished(&self) {
        let mut quit = self.quit.subscribe();
        tokio::select! {
            biased;
            () = self.mesh.finished() => {}
            // The sender is ours, so it cannot be gone.
            _ = quit.wait_for(|told| *told) => {}
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("mesh", &self.mesh).field("admin", &self.admin).finish_non_exhaustive()
    }
}
