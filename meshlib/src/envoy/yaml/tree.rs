//! The tree.

use std::sync::Arc;

use super::scalar::Scalar;
use crate::envoy::diagnostic::Span;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub(super) span: Span,
    pub(super) kind: NodeKind,
    /// What this subtree counts against the limit.
    pub(super) size: u32,
    /// Levels in this subtree; a scalar has one.
    pub(super) height: u32,
}

/// The three kinds of node.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values, in the file's order, no key twice.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) key: Arc<str>,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn scalar(scalar: Scalar, span: Span) -> Self {
        // A long text counts more, so that few aliases of it cannot become much memory.
        let size = 1 + u32::try_from(scalar.text().len() >> 10).unwrap_or(u32::MAX >> 1);
        Self { span, kind: NodeKind::Scalar(scalar), size, height: 1 }
    }

    pub(super) fn sequence(items: Vec<Self>, span: Span) -> Self {
        let (size, height) = extent(items.iter());
        Self { span, kind: NodeKind::Sequence(items), size, height }
    }

    pub(super) fn mapping(entries: Vec<Entry>, span: Span) -> Self {
        let (size, height) = extent(entries.iter().map(|entry| &entry.value));
        Self { span, kind: NodeKind::Mapping(entries), size, height }
    }

    /// Where it stands. What an alias names stands at its anchor.
    pub fn span(&self) -> Span {
        self.span
    }

    /// What it is.
    pub fn kind(&self) -> &NodeKind {
        &self.kind
    }
}

fn extent<'a>(children: impl Iterator<Item = &'a Node>) -> (u32, u32) {
    let sum = |(size, height): (u32, u32), child: &Node| (size.saturating_add(child.size), height.max(child.height));
    let (size, height) = children.fold((0, 0), sum);
    (size.saturating_add(1), height + 1)
}

impl Entry {
    /// The key's text.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where the key stands.
    pub fn key_span(&self) -> Span {
        self.key_span
    }

    /// The value.
    pub fn value(&self) -> &Node {
        &self.value
    }
}
