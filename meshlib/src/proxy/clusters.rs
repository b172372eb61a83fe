//! The clusters of a server, by name.

use std::{collections::HashMap, sync::Arc};

use super::admin::AdminCluster;
use crate::{
    base::{Error, ErrorKind, Resources},
    cluster::{Cluster, config::ClusterConfig, service::ClusterService},
};

/// Every cluster, started.
pub(crate) struct Clusters(Vec<Cluster>);

/// One worker's data path to each cluster.
pub(crate) type ClusterServices = HashMap<Arc<str>, ClusterService>;

impl Clusters {
    /// Starts the clusters; they begin to resolve and to check at once.
    pub(crate) fn start(configs: &[ClusterConfig], resources: &Resources) -> Result<Self, Error> {
        let mut clusters: Vec<Cluster> = Vec::with_capacity(configs.len());
        for config in configs {
            if clusters.iter().any(|cluster| cluster.name() == &*config.name) {
                let detail = format!("two clusters are named `{}`", config.name);
                return Err(Error::new(ErrorKind::Configuration).with_detail(detail));
            }
            clusters.push(Cluster::start(config.clone(), resources)?);
        }
        Ok(Self(clusters))
    }

    /// The cluster of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Cluster> {
        self.0.iter().find(|cluster| cluster.name() == name)
    }

    /// A data path to each, for one worker.
    pub(crate) fn services(&self) -> ClusterServices {
        self.0.iter().map(|cluster| (cluster.name().into(), cluster.service())).collect()
    }

    /// What the admin interface shows.
    pub(crate) fn admin(&self) -> Vec<AdminCluster> {
        let admin = |cluster: &Cluster| {
            let config = cluster.config();
            AdminCluster::new(config.name.clone(), config.circuit_breakers, cluster.hosts().clone())
        };
        self.0.iter().map(admin).collect()
    }

    /// Waits until every cluster has had its first resolution and its first checks.
    pub(crate) async fn warmed(&self) {
        for cluster in &self.0 {
            cluster.warmed().await;
        }
    }
}
