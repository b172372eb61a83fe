//! One value of a file.

use crate::envoy::{
    diagnostic::{Code, Diagnostic, Diagnostics, Reported, Span, Spanned},
    reader::{Read, Reader, convert::FromValue},
    yaml::{Entry, Node, NodeKind, ScalarValue},
};

/// A value, what it is called, and where errors about it go.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// `None` for a message that the file leaves out altogether.
    node: Option<&'a Node>,
    span: Span,
    field: &'a str,
    diagnostics: &'a Diagnostics,
    typed: bool,
}

impl<'a> Value<'a> {
    pub(crate) fn new(node: &'a Node, field: &'a str, diagnostics: &'a Diagnostics) -> Self {
        Self { node: Some(node), span: node.span(), field, diagnostics, typed: false }
    }

    /// A message without fields, for one that is left out; errors point to `span`.
    pub(crate) fn left_out(span: Span, field: &'a str, diagnostics: &'a Diagnostics) -> Self {
        Self { node: None, span, field, diagnostics, typed: false }
    }

    /// The message in a `typed_config`: its `@type` was read already.
    pub(crate) fn typed(self) -> Self {
        Self { typed: true, ..self }
    }

    pub(super) fn is_typed(&self) -> bool {
        self.typed
    }

    /// Where it stands.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The name of the field that holds it.
    pub fn field(&self) -> &'a str {
        self.field
    }

    /// Where errors and warnings go.
    pub fn diagnostics(&self) -> &'a Diagnostics {
        self.diagnostics
    }

    /// The value as a type.
    ///
    /// # Errors
    /// It is something else; that has been reported.
    pub fn read<T: FromValue>(self) -> Read<T> {
        T::from_value(self)
    }

    /// The value as a scalar; `None` for a list or a mapping.
    pub fn scalar(&self) -> Option<ScalarValue<'a>> {
        match self.node?.kind() {
            NodeKind::Scalar(scalar) => Some(scalar.value()),
            _ => None,
        }
    }

    /// Whether it is null, which is as if the field were not there.
    pub fn is_null(&self) -> bool {
        self.scalar() == Some(ScalarValue::Null)
    }

    /// Whether it is a list without elements, which too is as if the field were not there.
    pub(super) fn is_empty_list(&self) -> bool {
        matches!(self.node.map(Node::kind), Some(NodeKind::Sequence(items)) if items.is_empty())
    }

    /// The values of a repeated field: a list's elements, or the one value in place of a list.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let items = match self.node.map(Node::kind) {
            Some(NodeKind::Sequence(items)) => items.as_slice(),
            _ => self.node.map(std::slice::from_ref).unwrap_or_default(),
        };
        items.iter().map(move |node| Self::new(node, self.field, self.diagnostics))
    }

    pub(super) fn fields(&self) -> Read<&'a [Entry]> {
        match self.node.map(Node::kind) {
            None => Ok(&[]),
            Some(NodeKind::Mapping(entries)) => Ok(entries),
            Some(_) => Err(self.wrong_type("a mapping")),
        }
    }

    /// The keys and values of a map field.
    ///
    /// # Errors
    /// It is no mapping.
    pub fn entries(self) -> Read<impl Iterator<Item = (Spanned<&'a str>, Self)>> {
        Ok(self.fields()?.iter().map(move |entry| {
            let key = Spanned { value: entry.key(), span: entry.key_span() };
            (key, Self::new(entry.value(), entry.key(), self.diagnostics))
        }))
    }

    /// Reads a message by hand, where [`FromConfig`](super::FromConfig) is too little.
    ///
    /// # Errors
    /// It is no mapping, `read` reports an error, or a field is left that `read` did not ask for.
    pub fn message<T>(self, message: &'static str, read: impl FnOnce(&mut Reader<'a>) -> Read<T>) -> Read<T> {
        let mut reader = Reader::new(self, message, &[], &[])?;
        let result = read(&mut reader);
        reader.finish()?;
        result
    }

    /// What it is, in words.
    pub(super) fn describe(&self) -> &'static str {
        match self.node.map(Node::kind) {
            Some(NodeKind::Sequence(_)) => "a list",
            Some(NodeKind::Mapping(_)) | None => "a mapping",
            Some(NodeKind::Scalar(scalar)) => match scalar.value() {
                ScalarValue::Null => "null",
                ScalarValue::Bool(_) => "a boolean",
                ScalarValue::Int(_) | ScalarValue::Float(_) => "a number",
                ScalarValue::String(_) => "a string",
            },
        }
    }

    /// Its text for a message: in backticks, cut to a sensible length; never a secret.
    pub fn quoted(&self) -> String {
        const LONGEST: usize = 60;
        if self.diagnostics.is_secret(self.span) {
            return "<redacted>".to_owned();
        }
        let Some(NodeKind::Scalar(scalar)) = self.node.map(Node::kind) else { return self.describe().to_owned() };
        let text = scalar.text();
        match text.char_indices().nth(LONGEST) {
            Some((cut, _)) => format!("`{}...`", text.get(..cut).unwrap_or_default()),
            None => format!("`{text}`"),
        }
    }

    /// Reports an error about this value. `label` stands beside the caret.
    pub fn error(&self, code: Code, message: impl Into<String>, label: impl Into<String>) -> Reported {
        self.diagnostics.error(Diagnostic::error(code, message).at(self.span, label))
    }

    /// Reports that this value cannot be, and why: "`port_value` must be at most 65535".
    pub fn invalid(&self, must: &str) -> Reported {
        let message = format!("`{}` must be {must}, not {}", self.field, self.quoted());
        self.error(Code::InvalidValue, message, "")
    }

    /// Reports that this value should be of another type.
    pub(super) fn wrong_type(&self, expected: &str) -> Reported {
        let message = format!("`{}` must be {expected}, not {}", self.field, self.describe());
        self.error(Code::Type, message, format!("expected {expected}"))
    }
}
