//! Which parts of a file must never be printed.
//!
//! What is given inline may be a private key, whatever the field around it is called: a misspelt name must not print
//! it. So every `inline_string` and `inline_bytes` is hidden but the format of an access log, and everything in a
//! `private_key` or `password` but the names of files.

use std::collections::BTreeSet;

use super::Span;
use crate::envoy::yaml::{Node, NodeKind};

/// What a subtree is.
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Open,
    /// The format of an access log: inline text there is no secret.
    Format,
    Secret,
}

/// The scalars that are, or may be, secrets.
pub(super) fn in_tree(root: &Node) -> Vec<Span> {
    let mut spans = BTreeSet::new();
    walk(root, Scope::Open, &mut spans);
    spans.into_iter().collect()
}

// As deep as the tree, whose depth is bounded.
fn walk(node: &Node, scope: Scope, spans: &mut BTreeSet<Span>) {
    match node.kind() {
        NodeKind::Scalar(scalar) => {
            if scope == Scope::Secret || scalar.text().contains("PRIVATE KEY-----") {
                spans.insert(node.span());
            }
        }
        NodeKind::Sequence(items) => items.iter().for_each(|item| walk(item, scope, spans)),
        NodeKind::Mapping(entries) => {
            entries.iter().for_each(|entry| walk(entry.value(), scope_of(entry.key(), scope), spans));
        }
    }
}

fn scope_of(key: &str, scope: Scope) -> Scope {
    match key.replace('_', "").to_ascii_lowercase().as_str() {
        "inlinestring" | "inlinebytes" if scope != Scope::Format => Scope::Secret,
        "privatekey" | "password" | "pkcs12" | "sessionticketkeys" => Scope::Secret,
        "filename" | "environmentvariable" => Scope::Open,
        "textformatsource" if scope == Scope::Open => Scope::Format,
        _ => scope,
    }
}

/// In the order of the file, without overlap.
pub(super) fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    spans.dedup_by(|next, last| {
        let overlap = next.start <= last.end;
        if overlap {
            last.end = last.end.max(next.end);
        }
        overlap
    });
    spans
}

/// The same for a text that is no YAML: by its words, and rather too much than too little.
pub(super) fn in_text(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if let Some(at) = secret_key(line) {
            let column = line.len() - line.trim_start_matches([' ', '-', '\t', '{', '"', '\'']).len();
            spans.push(Span::new(offset + at, end_of_value(text, offset + at, column)));
        }
        if line.contains("-----BEGIN") && line.contains("PRIVATE KEY") {
            let rest = text.get(offset..).unwrap_or_default();
            let end = rest.find("-----END").map_or(text.len(), |at| offset + at);
            spans.push(Span::new(offset, end));
        }
        offset += line.len();
    }
    spans
}

/// Where the value of a key that may hold a secret begins.
fn secret_key(line: &str) -> Option<usize> {
    const KEYS: [&str; 6] = ["inline_string", "inlinestring", "inline_bytes", "inlinebytes", "private_key", "password"];
    let lower = line.to_ascii_lowercase();
    let ends = KEYS.iter().filter_map(|key| lower.find(key).map(|at| at + key.len()));
    let end = ends.min()?;
    line.get(end..)?.find(':').map(|colon| end + colon + 1)
}

/// The value's end: its closing quote, or the last of the lines that are indented deeper than its key.
fn end_of_value(text: &str, start: usize, column: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let value = rest.trim_start_matches(' ');
    if let Some(quote @ ('"' | '\'')) = value.chars().next() {
        let skipped = rest.len() - value.len() + 1;
        let closing = rest.get(skipped..).and_then(|inner| inner.find(quote));
        return closing.map_or(text.len(), |at| start + skipped + at + 1);
    }
    let mut end = start;
    for (index, line) in rest.split_inclusive('\n').enumerate() {
        let content = line.trim_start();
        if index > 0 && !content.is_empty() && line.len() - content.len() <= column {
            break;
        }
        end += line.len();
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> Vec<&str> {
        in_text(text).into_iter().map(|span| &text[span.range()]).collect()
    }

    #[test]
    fn text_that_is_no_yaml_hides_values_by_their_keys() {
        assert_eq!(hidden("a: 1\n  inline_string: |\n    s1\n\n    s2\n  b: 2\n"), [" |\n    s1\n\n    s2\n"]);
        assert_eq!(hidden("{\"inlineString\": \"s1\", \"b\": 2}"), [" \"s1\""]);
        assert_eq!(hidden("inline_string: \"s1\ns2\" }"), [" \"s1\ns2\""]);
        assert_eq!(hidden("x:\n-----BEGIN PRIVATE KEY-----\nAAA\n-----END"), ["-----BEGIN PRIVATE KEY-----\nAAA\n"]);
        assert!(hidden("certificate_chain: {filename: /a}\n").is_empty());
    }
}
