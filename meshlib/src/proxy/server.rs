//! A whole file's worth of proxy: clusters, listeners, the admin interface, one drain.
//!
//! ```no_run
//! # async fn example() -> Result<(), meshlib::base::Error> {
//! use meshlib::{base::{DrainTimes, Resources}, proxy::{config::MeshConfig, server::Server}};
//!
//! let server = Server::start(MeshConfig::default(), Resources::default()).await?;
//! server.drain(DrainTimes::default());
//! server.finished().await;
//! # Ok(())
//! # }
//! ```

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::Notify, task::JoinSet};

use super::{
    admin::{self, AdminState, CommandLineOptions, ServerState, ServerStats},
    blueprint::{ListenerBlueprint, admin_stack},
    clusters::Clusters,
    config::{AdminConfig, MeshConfig},
    listener::{ConnectionStack, Listener, stat_prefix},
    port::Port,
    worker::Worker,
};
use crate::{
    base::{Drain, DrainPhase, DrainTimes, Error, Resources},
    cluster::Cluster,
    net::listen::ConnectionLimit,
};

/// A proxy that runs. Dropping it stops everything it started: its ports are free at once, its tasks end with the next
/// turn of their runtime. [`drain`](Self::drain) does it gently.
pub struct Server {
    resources: Resources,
    clusters: Clusters,
    listeners: Vec<(Arc<str>, SocketAddr)>,
    admin: Option<SocketAddr>,
    quit: Arc<Notify>,
    _ports: Vec<Port>,
    _tasks: Tasks,
}

/// Everything a server spawned.
struct Tasks(Mutex<JoinSet<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
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
        let mut starting = Starting::bind(&config, &resources)?;
        let workers = Worker::of(resources.workers());
        let (state, quit) = (ServerState::new(resources.drain().clone()), Arc::new(Notify::new()));
        let stats =
            ServerStats::new(resources.stats(), state.clone(), u32::try_from(workers.len()).unwrap_or(u32::MAX));
        let quitting = quit.clone();
        let admin_state = AdminState::new(resources.stats().clone(), stats)
            .with_node(config.node.clone())
            .with_command_line(command_line)
            .with_clusters(starting.clusters.admin())
            .with_quit(move || quitting.notify_one());
        let admin = config.admin.as_ref().map(|admin| starting.admin(admin, admin_state, &resources)).transpose()?;
        let ready = starting.stacks(&workers, &resources)?;
        state.set_initializing();
        starting.clusters.warmed().await;
        for (listener, stacks) in ready {
            listener.start(&stacks, resources.drain(), &mut starting.tasks);
        }
        state.set_initialized();
        let Starting { clusters, addresses, ports, tasks, .. } = starting;
        let tasks = Tasks(Mutex::new(tasks));
        Ok(Self { resources, clusters, listeners: addresses, admin, quit, _ports: ports, _tasks: tasks })
    }

    /// Where the listener of this name is bound; the real port where the configuration says 0.
    pub fn local_addr(&self, listener: &str) -> Option<SocketAddr> {
        self.listeners.iter().find(|(name, _)| **name == *listener).map(|(_, address)| *address)
    }

    /// Where every listener is bound, in the configuration's order.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().map(|(_, address)| *address)
    }

    /// Where the admin interface is bound.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The cluster of this name.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.get(name)
    }

    /// What the server runs on: its stats, its drain.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Begins to drain. A second call changes nothing; [`stop`](Self::stop) does not wait.
    pub fn drain(&self, times: DrainTimes) {
        self.resources.drain().start(times);
    }

    /// Stops now: what is still open is cut.
    pub fn stop(&self) {
        self.resources.drain().enter(DrainPhase::Stopped);
    }

    /// Waits until a drain is over, or `/quitquitquit` was asked for.
    pub async fn finished(&self) {
        tokio::select! {
            biased;
            () = self.resources.drain().finished() => {}
            () = self.quit.notified() => {}
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listeners", &self.listeners).field("admin", &self.admin).finish_non_exhaustive()
    }
}

/// A server on its way up.
struct Starting {
    clusters: Clusters,
    bound: Vec<(ListenerBlueprint, Listener)>,
    addresses: Vec<(Arc<str>, SocketAddr)>,
    ports: Vec<Port>,
    tasks: JoinSet<()>,
}

type Ready = Vec<(Listener, Vec<(Worker, ConnectionStack)>)>;

impl Starting {
    fn bind(config: &MeshConfig, resources: &Resources) -> Result<Self, Error> {
        let clusters = Clusters::start(&config.clusters, resources)?;
        let limit = ConnectionLimit::of_system(resources.files().as_ref());
        let (mut bound, mut addresses, mut ports) = (Vec::new(), Vec::new(), Vec::new());
        for listener in &config.listeners {
            let blueprint = ListenerBlueprint::new(listener, &config.node, resources)?;
            let (socket, port) =
                Listener::bind(listener.address, &stat_prefix(listener.address), limit.clone(), resources)?;
            ports.push(port);
            addresses.push((listener.name.clone(), socket.local_addr()));
            bound.push((blueprint, socket));
        }
        Ok(Self { clusters, bound, addresses, ports, tasks: JoinSet::new() })
    }

    /// The admin interface: one more listener, served on the runtime of the server itself.
    fn admin(&mut self, config: &AdminConfig, state: AdminState, resources: &Resources) -> Result<SocketAddr, Error> {
        let limit = ConnectionLimit::new(admin::MAX_CONNECTIONS);
        let (listener, port) = Listener::bind(config.address, "listener.admin.", limit, resources)?;
        self.ports.push(port);
        let address = listener.local_addr();
        let stack = admin_stack(config, admin::stack(state), resources)?;
        // It answers to the end: its own drain never begins.
        listener.start(&[(Worker::ambient(), stack)], &Drain::new(), &mut self.tasks);
        Ok(address)
    }

    /// Each listener with the stack of each worker. A worker's listeners share its pools.
    fn stacks(&mut self, workers: &[Worker], resources: &Resources) -> Result<Ready, Error> {
        let paths: Vec<_> = workers.iter().map(|worker| (worker.clone(), self.clusters.services(resources))).collect();
        let mut ready = Vec::with_capacity(self.bound.len());
        for (blueprint, listener) in self.bound.drain(..) {
            let stacks =
                paths.iter().map(|(worker, services)| Ok((worker.clone(), blueprint.stack(services, resources)?)));
            ready.push((listener, stacks.collect::<Result<_, Error>>()?));
        }
        Ok(ready)
    }
}
