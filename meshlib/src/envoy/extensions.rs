//! What an application adds to what a file may name.

use std::{collections::BTreeSet, fmt};

/// Extensions of an application's own, by the names that a file gives them.
#[derive(Clone, Default)]
pub struct Extensions {
    /// Clusters that are services of this process: a route may lead to them though the file has none of that name.
    clusters: BTreeSet<String>,
}

impl Extensions {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// A cluster of this name need not be in the file.
    #[must_use]
    pub fn cluster_of_process(mut self, name: &str) -> Self {
        self.clusters.insert(name.to_owned());
        self
    }

    pub(crate) fn is_cluster(&self, name: &str) -> bool {
        self.clusters.contains(name)
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("clusters", &self.clusters).finish_non_exhaustive()
    }
}
