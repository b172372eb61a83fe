//! What of a mesh has a socket: its listeners, the admin interface.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response};
use tokio::task::JoinSet;
use tower_service::Service;

use super::Mesh;
use crate::{
    base::{BoxError, Drain, Error, ErrorKind},
    http::{Body, service::ArcService},
    net::listen::ConnectionLimit,
    proxy::{
        admin::{self, AdminState},
        blueprint::{HttpBlueprint, ListenerBlueprint, admin_stack},
        clusters::ClusterServices,
        config::{AdminConfig, ListenerConfig},
        listener::{ConnectionStack, Listener, stat_prefix},
        port::Port,
        server::Server,
        worker::Worker,
    },
};

/// What has been started beside the clusters. Dropped, the ports are closed and the tasks aborted.
#[derive(Default)]
pub(super) struct Running {
    /// By their place in the configuration.
    listeners: BTreeMap<usize, (SocketAddr, Port)>,
    admin: Option<Port>,
    tasks: JoinSet<()>,
}

/// A listener that is bound, and what each worker will do with its connections.
pub(in crate::proxy) type Ready = (Listener, Vec<(Worker, ConnectionStack)>);

impl Mesh {
    /// Binds the listener with this name or address, and serves it with `app`: an axum router, a tonic server, any
    /// service. Gives the address that is bound.
    ///
    /// The listener's TLS, limits, filters, header rules, access log and stats are in front of the application, and it
    /// drains with the mesh. `app` takes the place of the router: the listener's routes are not looked at. (To keep
    /// them, with their timeouts, bind the cluster that they lead to, as a
    /// [`LocalService`](crate::proxy::config::LocalService), and [`serve`](Self::serve).) It accepts at once: there is
    /// no cluster to wait for. `app` is cloned for each request; its errors are answered with 500.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: no such listener, it is served already, or something in it cannot be used;
    /// [`ErrorKind::Io`]: it cannot be bound; [`ErrorKind::Tls`]: no such certificate.
    pub fn serve_with<S, B>(&self, listener: &str, app: S) -> Result<SocketAddr, Error>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // Whichever thread this is: sockets and tasks are of the runtime that the mesh was made on.
        let _runtime = self.runtime.enter();
        let (index, config) = self.find(listener)?;
        let app = ArcService::new(app);
        let ready = self.bind(index, config, |_, _| Ok(app.clone()))?;
        let address = ready.0.local_addr();
        self.accept(ready);
        Ok(address)
    }

    /// Serves whatever else the configuration names: the listeners that no
    /// [`serve_with`](Self::serve_with) took, and the admin interface.
    ///
    /// # Errors
    ///
    /// As [`Server::start`]. The mesh is gone then.
    pub async fn serve(self) -> Result<Server, Error> {
        Server::of(self, admin::CommandLineOptions::default()).await
    }

    /// Where the listener with this name or address is bound; the real port where the configuration says 0.
    pub fn local_addr(&self, listener: &str) -> Option<SocketAddr> {
        let (index, _) = self.find(listener).ok()?;
        self.running().listeners.get(&index).map(|(address, _)| *address)
    }

    /// Where the listeners that are served are bound, in the configuration's order.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        let addresses: Vec<_> = self.running().listeners.values().map(|(address, _)| *address).collect();
        addresses.into_iter()
    }

    /// Reads what a listener needs, and binds it; `innermost` is what the requests of each worker end at.
    fn bind(
        &self,
        index: usize,
        config: &ListenerConfig,
        innermost: impl Fn(&HttpBlueprint, &ClusterServices) -> Result<ArcService, Error>,
    ) -> Result<Ready, Error> {
        let resources = &self.resources;
        let blueprint = ListenerBlueprint::new(config, &self.config.node, resources)?;
        let stack = |(worker, services): &(Worker, ClusterServices)| {
            Ok((worker.clone(), blueprint.stack(innermost(blueprint.http(), services)?, resources)?))
        };
        let stacks = self.workers.iter().map(stack).collect::<Result<_, Error>>()?;
        let prefix = stat_prefix(config.address);
        // Held until it is known to be bound: of two threads that want one listener one gets it.
        let mut running = self.running();
        if let Some((address, _)) = running.listeners.get(&index) {
            let detail = format!("listener `{}` is served already, on {address}", config.name);
            return Err(Error::new(ErrorKind::Configuration).with_detail(detail));
        }
        let (listener, port) = Listener::bind(config.address, &prefix, self.limit.clone(), resources)?;
        running.listeners.insert(index, (listener.local_addr(), port));
        Ok((listener, stacks))
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a [`Server`] adds to.
impl Mesh {
    /// Binds every listener that is not bound yet.
    pub(in crate::proxy) fn bind_rest(&self) -> Result<Vec<Ready>, Error> {
        let taken: Vec<_> = self.running().listeners.keys().copied().collect();
        let rest = self.config.listeners.iter().enumerate().filter(|(index, _)| !taken.contains(index));
        let routed = |http: &HttpBlueprint, services: &_| http.router(services, &self.resources);
        rest.map(|(index, config)| self.bind(index, config, routed)).collect()
    }

    /// Begins to accept.
    pub(in crate::proxy) fn accept(&self, (listener, stacks): Ready) {
        listener.start(&stacks, self.resources.drain(), &mut self.running().tasks);
    }

    /// Binds the admin interface and begins to accept: one more listener, on the ambient runtime.
    pub(in crate::proxy) fn admin(&self, config: &AdminConfig, state: AdminState) -> Result<SocketAddr, Error> {
        let (limit, resources) = (ConnectionLimit::new(admin::MAX_CONNECTIONS), &self.resources);
        let (listener, port) = Listener::bind(config.address, "listener.admin.", limit, resources)?;
        let address = listener.local_addr();
        let stack = admin_stack(config, admin::stack(state), resources)?;
        let mut running = self.running();
        running.admin = Some(port);
        // It answers to the end: its own drain never begins.
        listener.start(&[(Worker::ambient(), stack)], &Drain::new(), &mut running.tasks);
        Ok(address)
    }
}
