//! From messages to the values that configure a process; and what only shows when all of them are there.

mod cluster;

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use super::{
    diagnostic::{Code, Diagnostic, Diagnostics, Span, Spanned},
    model::{Bootstrap, Cluster, ClusterReference, Listener},
    reader::{Read, suggest},
};
use crate::{cluster::config::ClusterConfig, proxy::config::MeshConfig};

/// Lowers a whole file. Everything is looked at before the first error ends it.
pub(super) fn bootstrap(bootstrap: Bootstrap, diagnostics: &Diagnostics) -> Read<MeshConfig> {
    let names = cluster_names(&bootstrap.clusters, diagnostics);
    let local = |name: &str| diagnostics.extensions().is_cluster(name);
    let known = |name: &str| local(name) || bootstrap.clusters.iter().any(|cluster| *cluster.name.value == *name);
    let references = bootstrap.listeners.iter().flat_map(|listener| &listener.clusters);
    let mut routes = Ok(());
    for reference in references.filter(|reference| !known(&reference.value)) {
        routes = Err(unknown_cluster(reference, &bootstrap.clusters, diagnostics));
    }
    let listeners = unique_listeners(&bootstrap, diagnostics);
    let clusters: Vec<_> = bootstrap.clusters.into_iter().map(|cluster| cluster::lower(cluster, diagnostics)).collect();
    let clusters: Read<Vec<ClusterConfig>> = clusters.into_iter().collect();
    let clusters = clusters?;
    names?;
    routes?;
    listeners?;
    let mut config = MeshConfig::default().node(bootstrap.node);
    config.listeners = bootstrap.listeners.into_iter().map(|listener| listener.config).collect();
    config.clusters = clusters;
    config.admin = bootstrap.admin.map(|admin| admin.value);
    Ok(config)
}

fn unknown_cluster(
    reference: &ClusterReference,
    clusters: &[Cluster],
    diagnostics: &Diagnostics,
) -> super::diagnostic::Reported {
    let names = || clusters.iter().map(|cluster| &*cluster.name.value);
    let label = suggest(&reference.value, names()).map_or_else(
        || if clusters.is_empty() { "the file has no clusters".to_owned() } else { "no such cluster".to_owned() },
        |name| format!("did you mean `{name}`?"),
    );
    let message = format!("unknown cluster `{}`", reference.value);
    diagnostics.error(Diagnostic::error(Code::UnknownCluster, message).at(reference.span, label))
}

fn cluster_names(clusters: &[Cluster], diagnostics: &Diagnostics) -> Read<()> {
    let mut seen: HashMap<Arc<str>, Span> = HashMap::new();
    let mut result = Ok(());
    for Spanned { value, span } in clusters.iter().map(|cluster| &cluster.name) {
        if let Some(first) = seen.get(value) {
            let error = Diagnostic::error(Code::DuplicateCluster, format!("two clusters are named `{value}`"));
            result = Err(diagnostics.error(error.at(*span, "the second").and(*first, "the first")));
        } else {
            seen.insert(Arc::clone(value), *span);
        }
    }
    result
}

/// No address twice, the admin interface's included (port 0 is always another one), and no name twice.
fn unique_listeners(bootstrap: &Bootstrap, diagnostics: &Diagnostics) -> Read<()> {
    let mut addresses: HashMap<SocketAddr, Span> = HashMap::new();
    let mut names: HashMap<&str, Span> = HashMap::new();
    let mut result = Ok(());
    if let Some(admin) = &bootstrap.admin {
        addresses.insert(admin.value.address, admin.span);
    }
    for Listener { address, name, .. } in &bootstrap.listeners {
        if let Some(first) = addresses.insert(address.value, address.span).filter(|_| address.value.port() != 0) {
            let error = Diagnostic::error(Code::DuplicateListener, format!("{} is listened on twice", address.value));
            result = Err(diagnostics.error(error.at(address.span, "again here").and(first, "first here")));
        }
        let Some(name) = name else { continue };
        if let Some(first) = names.insert(&name.value, name.span) {
            let error = Diagnostic::error(Code::DuplicateListener, format!("two listeners are named `{}`", name.value));
            result = Err(diagnostics.error(error.at(name.span, "the second").and(first, "the first")));
        }
    }
    result
}
