//! The parser's errors, with advice for those that people meet.

use granit_parser::{ErrorKind, ScanError};

use super::build;
use crate::envoy::diagnostic::{Code, Diagnostic, Diagnostics, Reported, Span};

pub(super) fn report(diagnostics: &Diagnostics, error: &ScanError) -> Reported {
    let start = error.marker().byte_offset().unwrap_or_default();
    let rest = diagnostics.source().text().get(start..).unwrap_or_default();
    let width = rest.chars().next().filter(|next| *next != '\n').map_or(0, char::len_utf8);
    let span = Span::new(start, start + width);
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return build::too_deep(diagnostics, span);
    }
    let mut diagnostic = Diagnostic::error(Code::Syntax, format!("not YAML: {}", error.info())).at(span, "");
    diagnostic.help = help(error.kind(), rest).map(str::to_owned);
    diagnostics.error(diagnostic)
}

fn help(kind: &ErrorKind, rest: &str) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => "YAML is indented with spaces, never with tabs",
        _ if rest.starts_with('\t') => "YAML is indented with spaces, never with tabs",
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "is a line above indented differently, or does a value with `: ` in it need quotes?"
        }
        ErrorKind::InvalidTrailingDoubleQuotedScalar | ErrorKind::InvalidTrailingSingleQuotedScalar => {
            "is the closing quote of a line above missing?"
        }
        ErrorKind::UnclosedQuotedScalar => "the closing quote is missing",
        ErrorKind::UnclosedFlowCollection { .. } => "the closing bracket is missing",
        ErrorKind::UnexpectedCharacter { .. } => "a value that begins with this character needs quotes",
        ErrorKind::UnknownAnchor => "an alias `*name` needs an anchor `&name` before it",
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation => "keys of one mapping begin in one column",
        _ => return None,
    })
}
