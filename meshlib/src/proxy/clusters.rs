//! The clusters of a mesh, by name.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    admin::AdminCluster,
    config::{LocalService, MeshConfig},
};
use crate::{
    base::{Error, ErrorKind, Resources},
    cluster::{Cluster, service::ClusterService},
    http::{
        Body,
        service::{ArcService, ResponseFuture},
    },
};

/// Every cluster, started; and those that are services of this process, which need no start. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Clusters {
    started: Arc<[Cluster]>,
    local: Arc<[LocalService]>,
}

/// Where a route leads: one worker's data path to a cluster, or a service of this process.
#[derive(Clone)]
pub(crate) enum Upstream {
    Cluster(ClusterService),
    Local(ArcService),
}

/// One worker's way to each cluster.
pub(crate) type ClusterServices = HashMap<Arc<str>, Upstream>;

impl Clusters {
    /// Starts the clusters of `config`, apart from those that a local service stands in for; they begin to resolve and
    /// to check at once.
    pub(crate) fn start(config: &MeshConfig, resources: &Resources) -> Result<Self, Error> {
        check(config)?;
        let local = |name: &Arc<str>| config.local_services.iter().any(|service| service.name() == name);
        let configs = config.clusters.iter().filter(|cluster| !local(&cluster.name));
        let started = configs.map(|cluster| Cluster::start(cluster.clone(), resources));
        Ok(Self { started: started.collect::<Result<_, _>>()?, local: config.local_services.as_slice().into() })
    }

    /// The cluster of this name.
    pub(crate) fn get(&self, name: &str) -> Result<&Cluster, Error> {
        self.started.iter().find(|cluster| cluster.name() == name).ok_or_else(|| {
            let detail = if self.local.iter().any(|service| **service.name() == *name) {
                format!("`{name}` is a service of this process, not a cluster")
            } else {
                format!("there is no cluster `{name}`: {}", names(self.started.iter().map(Cluster::name)))
            };
            Error::new(ErrorKind::NoCluster).with_detail(detail)
        })
    }

    /// A way to each, for one worker.
    pub(crate) fn services(&self) -> ClusterServices {
        let started = self.started.iter();
        let started = started.map(|cluster| (cluster.name().into(), Upstream::Cluster(cluster.service())));
        let local = self.local.iter();
        let local = local.map(|local| (local.name().clone(), Upstream::Local(local.service().clone())));
        started.chain(local).collect()
    }

    /// What the admin interface shows.
    pub(crate) fn admin(&self) -> Vec<AdminCluster> {
        let admin = |cluster: &Cluster| {
            let config = cluster.config();
            AdminCluster::new(config.name.clone(), config.circuit_breakers, cluster.hosts().clone())
        };
        self.started.iter().map(admin).collect()
    }

    /// Waits until every cluster has had its first resolution and its first checks.
    pub(crate) async fn warmed(&self) {
        for cluster in &*self.started {
            cluster.warmed().await;
        }
    }
}

/// For a message: what there is.
pub(super) fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "there is none".to_owned() } else { format!("there is {}", names.join(", ")) }
}

/// No name twice, and no local service that nothing leads to.
fn check(config: &MeshConfig) -> Result<(), Error> {
    let wrong = |detail: String| Err(Error::new(ErrorKind::Configuration).with_detail(detail));
    for (index, cluster) in config.clusters.iter().enumerate() {
        if config.clusters.iter().take(index).any(|other| other.name == cluster.name) {
            return wrong(format!("two clusters are named `{}`", cluster.name));
        }
    }
    for (index, service) in config.local_services.iter().enumerate() {
        let name = service.name();
        if config.local_services.iter().take(index).any(|other| other.name() == name) {
            return wrong(format!("two local services are named `{name}`"));
        }
        if !config.clusters.iter().any(|cluster| cluster.name == *name) && !routed(config, name) {
            return wrong(format!("no route leads to the local service `{name}`, and no cluster has its name"));
        }
    }
    Ok(())
}

fn routed(config: &MeshConfig, cluster: &Arc<str>) -> bool {
    let chains = config.listeners.iter().flat_map(|listener| &listener.filter_chains);
    let hosts = chains.flat_map(|chain| &chain.http.routes.virtual_hosts);
    hosts.flat_map(|host| &host.routes).any(|route| route.action.cluster == *cluster)
}

impl Service<Request<Body>> for Upstream {
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Both are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        match self {
            Self::Cluster(service) => Service::call(service, request),
            Self::Local(service) => ArcService::call(service, request),
        }
    }
}
