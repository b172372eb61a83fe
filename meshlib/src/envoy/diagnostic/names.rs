//! Names that one part of a file gives and another refers to.
//!
//! They are noted as they are read, so that they can be compared although something else in the file is wrong.

use std::{
    cell::{Cell, Ref, RefCell},
    sync::Arc,
};

use super::Spanned;

/// The clusters of a file, and where its routes lead.
#[derive(Debug, Default)]
pub(crate) struct Names {
    clusters: RefCell<Vec<Spanned<Arc<str>>>>,
    references: RefCell<Vec<Spanned<Arc<str>>>>,
    /// Every cluster of the file has given its name.
    complete: Cell<bool>,
}

impl Names {
    /// Notes a cluster, if it has a name.
    pub(crate) fn cluster(&self, name: Option<&Spanned<Arc<str>>>) {
        self.clusters.borrow_mut().extend(name.cloned());
    }

    /// Notes that the file's clusters have been read, so many.
    pub(crate) fn all_clusters(&self, count: usize) {
        self.complete.set(count > 0 && count == self.clusters.borrow().len());
    }

    /// Notes that a route leads there.
    pub(crate) fn refer_to_cluster(&self, name: Spanned<Arc<str>>) {
        self.references.borrow_mut().push(name);
    }

    /// The clusters.
    pub(crate) fn clusters(&self) -> Ref<'_, [Spanned<Arc<str>>]> {
        Ref::map(self.clusters.borrow(), Vec::as_slice)
    }

    /// Where routes lead.
    pub(crate) fn references(&self) -> Ref<'_, [Spanned<Arc<str>>]> {
        Ref::map(self.references.borrow(), Vec::as_slice)
    }

    /// Whether what is not among the clusters is certainly not in the file. A file whose clusters were not found says
    /// nothing: perhaps their key is misspelt.
    pub(crate) fn are_complete(&self) -> bool {
        self.complete.get()
    }
}
