//! A mesh inside an application: the clusters and listeners of one configuration, taken piece by piece.
//!
//! A [`Mesh`] starts its clusters at once and binds nothing by itself. What it is asked for, it gives:
//!
//! | method | what it is | socket |
//! |---|---|---|
//! | [`cluster`](Mesh::cluster) | one cluster: balanced, health-checked calls | to its hosts |
//! | [`service`](Mesh::service) | a listener's filters and routes as a tower service | to the hosts |
//! | [`serve_with`](Mesh::serve_with) | a listener in front of the application's own service | of the listener |
//! | [`serve`](Mesh::serve) | whatever else the configuration names: the mesh becomes a [`Server`](super::server::Server) | all |
//!
//! A cluster can be a service of this process ([`LocalService`](super::config::LocalService)): then routes lead to it
//! without any socket.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use http::{Request, Response};
//! use meshlib::{
//!     http::Body,
//!     proxy::{config::*, mesh::Mesh},
//!     route::config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig},
//! };
//! use tower::{ServiceExt, service_fn};
//!
//! let hello = service_fn(|_: Request<Body>| async { Ok::<_, std::io::Error>(Response::new(Body::from("hello"))) });
//! let route = RouteConfig::new(RouteMatch::prefix("/api."), RouteAction::cluster("echo"));
//! let http = HttpConnectionManagerConfig::new("egress", RouteTableConfig::any_host("local", vec![route]));
//! let config = MeshConfig::default() // or from a file, with `Mesh::from_file`
//!     .listener(ListenerConfig::new("127.0.0.1:0".parse()?, FilterChainConfig::plain(http)))
//!     .local_service(LocalService::new("echo", hello));
//!
//! # let resources = meshlib::testkit::resources();
//! let mesh = Mesh::from_config(config, resources)?; // `Resources::default()`: the operating system's
//! let response = mesh.service()?.oneshot(Request::get("http://echo/api.Echo/Echo").body(Body::empty())?).await?;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.headers()["server"], "envoy");
//! # Ok(())
//! # }
//! ```
//!
//! # Lifecycle
//! A mesh needs the tokio runtime it is made on, of either kind, and holds no global state: two of them in one process
//! know nothing of each other, as long as each has its own [`Resources`]. Any thread may serve, drain and drop it, one
//! without a runtime too. [`drain`](Mesh::drain) lets its listeners go gently. Dropping it closes its ports at once,
//! and its tasks end with the next turn of their runtime. Clusters end with the mesh, or with the last [`MeshService`]
//! or clone of the [`Cluster`] that outlives it.

mod serve;
mod service;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::runtime::Handle;

use self::serve::Running;
pub use self::service::{MeshService, ResponseFuture};
use super::{
    admin::AdminCluster,
    blueprint::{HttpBlueprint, filter_chain},
    clusters::{ClusterServices, Clusters, names},
    config::{ListenerConfig, MeshConfig},
    worker::Worker,
};
use crate::{
    base::{DrainPhase, DrainTimes, Error, ErrorKind, Resources},
    cluster::Cluster,
    net::listen::ConnectionLimit,
};

/// The clusters of a configuration, running, and its listeners, to be had one by one. See the [module](self).
pub struct Mesh {
    running: Mutex<Running>,
    config: Arc<MeshConfig>,
    resources: Resources,
    clusters: Clusters,
    /// The way to the clusters for calls that come from within this process.
    own: ClusterServices,
    /// Each worker with its own way to the clusters, which its listeners share.
    workers: Vec<(Worker, ClusterServices)>,
    limit: ConnectionLimit,
    /// The one that it was made on.
    runtime: Handle,
}

impl Mesh {
    /// Starts the clusters of `config` on the ambient runtime: they begin to resolve and to check. Nothing is bound.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: there is no runtime; a name stands twice; a local service that nothing leads to; a
    /// cluster that cannot be as it is configured.
    pub fn from_config(config: MeshConfig, resources: Resources) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|_| {
            let detail = "a mesh is started on a tokio runtime, and there is none here";
            Error::new(ErrorKind::Configuration).with_detail(detail)
        })?;
        let clusters = Clusters::start(&config, &resources)?;
        let own = clusters.services();
        let workers = match Worker::of(resources.workers()) {
            // The application's own calls and its listeners are on one runtime, and so share connections.
            None => vec![(Worker::ambient(), own.clone())],
            Some(workers) => workers.into_iter().map(|worker| (worker, clusters.services())).collect(),
        };
        let limit = ConnectionLimit::of_system(resources.files().as_ref());
        let config = Arc::new(config);
        Ok(Self { running: Mutex::default(), config, resources, clusters, own, workers, limit, runtime })
    }

    /// What it was started with.
    pub fn config(&self) -> &MeshConfig {
        &self.config
    }

    /// What it runs on: its stats, its drain.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The cluster of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoCluster`], with the names that there are.
    pub fn cluster(&self, name: &str) -> Result<&Cluster, Error> {
        self.clusters.get(name)
    }

    /// Waits until every cluster has had its first resolution and its first checks. Calls need not wait for it: they
    /// do so themselves, within bounds.
    pub async fn warmed(&self) {
        self.clusters.warmed().await;
    }

    /// The filters and routes of the only listener, as a tower service.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: there is no listener, or more than one; otherwise as
    /// [`listener_service`](Self::listener_service).
    pub fn service(&self) -> Result<MeshService, Error> {
        let mut listeners = self.config.listeners.iter();
        match (listeners.next(), listeners.next()) {
            (Some(only), None) => self.service_of(only),
            _ => {
                let detail =
                    format!("`service` is for one listener: {}; see `listener_service`", self.listener_names());
                Err(Error::new(ErrorKind::Configuration).with_detail(detail))
            }
        }
    }

    /// The same of the listener with this name or address. TLS and the listener's times and limits are those of a
    /// connection, and have no meaning here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: no such listener, or something in it cannot be used; [`ErrorKind::Io`]: an access
    /// log cannot be opened; [`ErrorKind::NoCluster`]: a route leads to none.
    pub fn listener_service(&self, listener: &str) -> Result<MeshService, Error> {
        self.service_of(self.find(listener)?.1)
    }

    fn service_of(&self, listener: &ListenerConfig) -> Result<MeshService, Error> {
        let http = HttpBlueprint::new(&filter_chain(listener)?.http, &self.config.node, &self.resources)?;
        let manager = http.manager(http.router(&self.own, &self.resources)?, &self.resources)?;
        Ok(MeshService::new(manager, listener.address))
    }

    /// Begins to drain. A second call changes nothing; [`stop`](Self::stop) does not wait.
    pub fn drain(&self, times: DrainTimes) {
        let _runtime = self.runtime.enter();
        self.resources.drain().start(times);
    }

    /// Stops its listeners now: what is still open is cut.
    pub fn stop(&self) {
        self.resources.drain().enter(DrainPhase::Stopped);
    }

    /// Waits until a drain is over.
    pub async fn finished(&self) {
        self.resources.drain().finished().await;
    }

    fn find(&self, listener: &str) -> Result<(usize, &ListenerConfig), Error> {
        let listeners = || self.config.listeners.iter().enumerate();
        let address: Option<SocketAddr> = listener.parse().ok();
        let named = listeners().find(|(_, config)| *config.name == *listener);
        named.or_else(|| listeners().find(|(_, config)| Some(config.address) == address)).ok_or_else(|| {
            let detail = format!("there is no listener `{listener}`: {}", self.listener_names());
            Error::new(ErrorKind::Configuration).with_detail(detail)
        })
    }

    fn listener_names(&self) -> String {
        names(self.config.listeners.iter().map(|listener| &*listener.name))
    }

    pub(super) fn admin_clusters(&self) -> Vec<AdminCluster> {
        self.clusters.admin()
    }

    pub(super) fn concurrency(&self) -> u32 {
        u32::try_from(self.workers.len()).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("config", &self.config).finish_non_exhaustive()
    }
}
