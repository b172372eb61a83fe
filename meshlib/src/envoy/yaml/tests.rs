use std::sync::Arc;

use super::*;
use crate::envoy::diagnostic::Source;

fn tree(text: &str) -> Node {
    let diagnostics = Diagnostics::new(Arc::new(Source::new("f", text)));
    let node = parse(&diagnostics);
    node.unwrap_or_else(|reported| panic!("{}", diagnostics.failed(reported)))
}

fn entries(node: &Node) -> &[Entry] {
    match node.kind() {
        NodeKind::Mapping(entries) => entries,
        other => panic!("{other:?}"),
    }
}

fn slice(text: &str, span: Span) -> &str {
    &text[span.range()]
}

#[test]
fn spans_cover_what_was_written() {
    let text = "a: \"x\\ty\"\nb:\n  - 1\n  - {c: 2}\nk: |\n  line 1\n  line 2\nd: end\n";
    let root = tree(text);
    let [a, b, k, d] = entries(&root) else { panic!() };
    assert_eq!((a.key(), slice(text, a.key_span()), slice(text, a.value().span())), ("a", "a", "\"x\\ty\""));
    let NodeKind::Sequence(items) = b.value().kind() else { panic!() };
    assert_eq!(slice(text, items[0].span()), "1");
    assert_eq!(slice(text, items[1].span()), "{c: 2}");
    assert!(slice(text, k.value().span()).contains("line 1\n  line 2"));
    assert_eq!(slice(text, d.value().span()), "end");
}

#[test]
fn aliases_stand_for_their_anchor() {
    let text = "a: &x {b: 1}\nc: *x\n";
    let root = tree(text);
    let [_, c] = entries(&root) else { panic!() };
    assert_eq!(entries(c.value())[0].key(), "b");
    assert_eq!(slice(text, c.value().span()), "{b: 1}");
}

#[test]
fn tags_of_the_core_schema() {
    let root = tree("a: !!str 1\nb: ! 1\nc: !!int 1\nd: '1'\ne: 1\n");
    let is_string = |entry: &Entry| match entry.value().kind() {
        NodeKind::Scalar(scalar) => scalar.value() == ScalarValue::String("1"),
        other => panic!("{other:?}"),
    };
    let kinds: Vec<_> = entries(&root).iter().map(is_string).collect();
    assert_eq!(kinds, [true, true, false, true, false]);
}
