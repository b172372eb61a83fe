//! From the parser's events to a tree.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use granit_parser::{Event, ScalarStyle, Tag};

use super::{Entry, MAX_DEPTH, MAX_NODES, Node, Scalar};
use crate::envoy::diagnostic::{Code, Diagnostic, Diagnostics, Reported, Span};

/// Builds one tree. Deep files need no deep stack.
pub(super) struct Builder<'d> {
    diagnostics: &'d Diagnostics,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: u32,
    root: Option<Node>,
}

/// A collection that has begun.
struct Open {
    span: Span,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, keys: HashMap<Arc<str>, Span>, key: Option<(Arc<str>, Span)> },
}

impl<'d> Builder<'d> {
    pub(super) fn new(diagnostics: &'d Diagnostics) -> Self {
        Self { diagnostics, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None }
    }

    pub(super) fn finish(self) -> Option<Node> {
        self.root
    }

    pub(super) fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Reported> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.says_string(tag.as_ref(), span)?;
                // The empty document is one empty scalar; it has no place in the file.
                let node = Node::scalar(Scalar::new(text.as_ref(), plain), span);
                self.count(node.size, span)?;
                self.complete(node, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.says_string(tag.as_ref(), span)?;
                self.begin(Content::Sequence(Vec::new()), anchor, span)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.says_string(tag.as_ref(), span)?;
                let content = Content::Mapping { entries: Vec::new(), keys: HashMap::new(), key: None };
                self.begin(content, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, span: Span) -> Result<(), Reported> {
        self.count(1, span)?;
        self.open.push(Open { span, anchor, content });
        self.check_depth(0, span)
    }

    fn end(&mut self, end: Span) -> Result<(), Reported> {
        let Some(Open { span, anchor, content }) = self.open.pop() else { return Ok(()) };
        let span = Span { start: span.start, end: end.end.max(span.end) };
        let node = match content {
            Content::Sequence(items) => Node::sequence(items, span),
            Content::Mapping { entries, .. } => Node::mapping(entries, span),
        };
        self.complete(node, anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Reported> {
        // The parser knows the anchor; if its node is not complete, this alias is inside of it.
        let Some((size, height)) = self.anchors.get(&anchor).map(|node| (node.size, node.height)) else {
            let error = Diagnostic::error(Code::Syntax, "an alias cannot stand inside of what it names");
            return Err(self.diagnostics.error(error.at(span, "")));
        };
        self.count(size, span)?;
        self.check_depth(height, span)?;
        let node = self.anchors.get(&anchor).cloned();
        node.map_or(Ok(()), |node| self.complete(node, 0))
    }

    /// A node is whole: it goes where it belongs.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Reported> {
        if anchor != 0 {
            // The copy counts too: anchors inside of anchors would multiply it.
            self.count(node.size, node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node).filter(|node| !node.is_nothing()),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, keys, key }) => match key.take() {
                None => *key = Some(key_of(node, self.diagnostics)?),
                Some((key, key_span)) => {
                    if let Some(first) = keys.get(&key) {
                        duplicate(self.diagnostics, &key, key_span, *first);
                    } else {
                        keys.insert(Arc::clone(&key), key_span);
                        entries.push(Entry { key, key_span, value: node });
                    }
                }
            },
        }
        Ok(())
    }

    fn count(&mut self, nodes: u32, span: Span) -> Result<(), Reported> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let error = Diagnostic::error(Code::Limit, format!("the file has more than {MAX_NODES} nodes"))
            .at(span, "here the limit is passed")
            .help("every use of an alias counts all that it stands for");
        Err(self.diagnostics.error(error))
    }

    fn check_depth(&self, height: u32, span: Span) -> Result<(), Reported> {
        if self.open.len() + height as usize <= MAX_DEPTH as usize {
            return Ok(());
        }
        Err(too_deep(self.diagnostics, span))
    }

    /// Whether the tag makes the node a string. Tags of the core schema say what is plain anyway; others are errors.
    fn says_string(&self, tag: Option<&Cow<'_, Tag>>, span: Span) -> Result<bool, Reported> {
        let Some(tag) = tag else { return Ok(false) };
        if tag.is_yaml_core_schema_tag("str") || tag.original() == "!" {
            return Ok(true);
        }
        if tag.is_yaml_core_schema() {
            return Ok(false);
        }
        let error = Diagnostic::error(Code::Syntax, format!("unknown tag `{}`", tag.original()));
        Err(self.diagnostics.error(error.at(span, "tags mean nothing in a configuration")))
    }
}

impl Node {
    /// Whether this is what the parser makes of a document without content.
    fn is_nothing(&self) -> bool {
        matches!(&self.kind, super::NodeKind::Scalar(scalar) if scalar.value() == super::ScalarValue::Null)
    }
}

fn key_of(node: Node, diagnostics: &Diagnostics) -> Result<(Arc<str>, Span), Reported> {
    match node.kind {
        super::NodeKind::Scalar(scalar) => Ok((scalar.shared(), node.span)),
        _ => Err(diagnostics.error(
            Diagnostic::error(Code::Syntax, "a key cannot be a list or a mapping").at(node.span, "this is a key here"),
        )),
    }
}

fn duplicate(diagnostics: &Diagnostics, key: &str, again: Span, first: Span) {
    diagnostics.error(
        Diagnostic::error(Code::DuplicateKey, format!("duplicate key `{key}`"))
            .at(again, "given again here")
            .and(first, "first given here"),
    );
}

pub(super) fn too_deep(diagnostics: &Diagnostics, span: Span) -> Reported {
    let error = Diagnostic::error(Code::Limit, format!("the file is nested deeper than {MAX_DEPTH} levels"));
    diagnostics.error(error.at(span, "here the limit is passed"))
}
