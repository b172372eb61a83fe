//! YAML 1.2 (and so JSON) as a tree that knows where everything stands.
//!
//! Made for configuration: one document, keys that are scalars, no duplicate keys, and limits that hold whatever the
//! file says: 16 MiB of text, a depth of 64, 100,000 nodes with every alias expanded.
//!
//! ```
//! use std::sync::Arc;
//! use meshlib::envoy::{diagnostic::{Diagnostics, Source}, yaml::{self, NodeKind}};
//!
//! let diagnostics = Diagnostics::new(Arc::new(Source::new("f.yaml", "port: 80")));
//! let root = yaml::parse(&diagnostics).unwrap();
//! let NodeKind::Mapping(entries) = root.kind() else { panic!() };
//! assert_eq!(entries[0].key(), "port");
//! assert_eq!(diagnostics.source().position(entries[0].value().span().start).column, 7);
//! ```

mod build;
mod scalar;
mod syntax;
mod tree;

use granit_parser::{Event, Parser};

pub(crate) use self::scalar::number;
pub use self::{
    scalar::{Scalar, ScalarValue},
    tree::{Entry, Node, NodeKind},
};
use super::diagnostic::{Code, Diagnostic, Diagnostics, Reported, Span};

/// The largest file, in bytes.
pub const MAX_BYTES: usize = 16 << 20;
/// The deepest nesting.
pub const MAX_DEPTH: u32 = 64;
/// The most nodes. A text counts one more for each KiB; what has an anchor counts twice, and again for each alias.
pub const MAX_NODES: u32 = 100_000;

/// The tree of the source of `diagnostics`.
///
/// # Errors
/// The text is no YAML, is empty, has more than one document, or exceeds a limit. Duplicate keys are reported, and the
/// tree is made with the first of them.
pub fn parse(diagnostics: &Diagnostics) -> Result<Node, Reported> {
    let text = diagnostics.source().text();
    if text.len() > MAX_BYTES {
        let error = Diagnostic::error(Code::Limit, format!("the file is larger than {} MiB", MAX_BYTES >> 20));
        return Err(diagnostics.error(error));
    }
    let nesting = MAX_DEPTH as usize;
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: nesting,
        block_nesting_limit: nesting,
    };
    let mut builder = build::Builder::new(diagnostics);
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| syntax::report(diagnostics, &error))?;
        let span = byte_span(&span);
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return Err(second_document(diagnostics, span));
                }
            }
            event => builder.event(event, span)?,
        }
    }
    builder.finish().ok_or_else(|| diagnostics.error(Diagnostic::error(Code::Document, "the file is empty")))
}

fn byte_span(span: &granit_parser::Span) -> Span {
    let offset = |marker: &granit_parser::Marker| marker.byte_offset().unwrap_or_default();
    Span::new(offset(&span.start), offset(&span.end))
}

fn second_document(diagnostics: &Diagnostics, span: Span) -> Reported {
    diagnostics.error(
        Diagnostic::error(Code::Document, "the file has more than one document")
            .at(span, "the second one begins here")
            .help("a configuration is one document; remove the other, and its `---`"),
    )
}

#[cfg(test)]
mod tests;
