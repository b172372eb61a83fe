//! Diagnostics as text.

use annotate_snippets::{
    AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str, renderer::DecorStyle,
};

use super::{Diagnostic, Label, Severity, Source, Span};

/// Whether the text goes to a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// Nothing but text: for logs and files.
    #[default]
    Plain,
    /// With the colours of a terminal.
    Colored,
}

/// Labels further apart than this are shown as snippets of their own.
const NEAR: usize = 50;
/// A longer line is not shown: minified JSON, or no text at all.
const LONG_LINE: usize = 2000;

pub(super) fn render(diagnostic: &Diagnostic, source: &Source, secrets: &[Span], style: Style) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.as_str());
    let mut group = Group::with_title(title);
    let labels = labels(diagnostic);
    let parts = parts(source, &labels);
    let excerpts: Vec<_> = parts.into_iter().map(|part| (Excerpt::new(source, secrets, part), part)).collect();
    for (excerpt, part) in &excerpts {
        group = match excerpt.snippet(source, part) {
            Some(snippet) => group.element(snippet),
            None => group.elements(part.iter().map(|(_, label)| Level::NOTE.message(place(source, label)))),
        };
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
    }
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Colored => Renderer::styled(),
    };
    renderer.decor_style(DecorStyle::Ascii).render(&[group])
}

type Placed<'a> = (AnnotationKind, &'a Label);

fn labels(diagnostic: &Diagnostic) -> Vec<Placed<'_>> {
    let primary = diagnostic.primary.iter().map(|label| (AnnotationKind::Primary, label));
    primary.chain(diagnostic.secondary.iter().map(|label| (AnnotationKind::Context, label))).collect()
}

fn place(source: &Source, label: &Label) -> String {
    let position = source.position(label.span.start);
    let text = normalize_untrusted_str(&label.text);
    format!("{}:{}:{}: {text}", source.name(), position.line, position.column)
}

/// One part if all labels are near each other, otherwise each label for itself.
fn parts<'a, 'b>(source: &Source, labels: &'a [Placed<'b>]) -> Vec<&'a [Placed<'b>]> {
    let lines = || labels.iter().map(|(_, label)| source.position(label.span.start).line);
    let apart = lines().max().unwrap_or_default() - lines().min().unwrap_or_default();
    if apart <= NEAR { labels.chunks(labels.len().max(1)).collect() } else { labels.chunks(1).collect() }
}

/// Some lines of the source, secrets replaced.
struct Excerpt {
    text: String,
    first_line: usize,
    begin: usize,
    moved: Vec<Moved>,
}

/// A secret, and what stands in its place.
struct Moved {
    from: Span,
    begin: usize,
    shown: usize,
    end: usize,
}

impl Excerpt {
    fn new(source: &Source, secrets: &[Span], labels: &[Placed<'_>]) -> Self {
        let start = labels.iter().map(|(_, label)| label.span.start).min().unwrap_or_default();
        let last = labels.iter().map(|(_, label)| label.span.start).max().unwrap_or_default();
        let first_line = source.position(start).line;
        let lines = source.lines(first_line, source.position(last).line);
        let mut excerpt = Self { text: String::new(), first_line, begin: lines.start as usize, moved: Vec::new() };
        let mut copied = lines.start;
        for secret in secrets.iter().filter(|secret| secret.overlaps(lines)) {
            let from = secret.start.max(copied);
            excerpt.text.push_str(source.slice(Span { start: copied, end: from }));
            let begin = excerpt.text.len();
            excerpt.text.push_str("<redacted>");
            let end = secret.end.min(lines.end).max(from);
            let shown = excerpt.text.len();
            // The lines below keep their numbers.
            let breaks = source.slice(Span { start: from, end }).bytes().filter(|byte| *byte == b'\n');
            excerpt.text.extend(breaks.map(|_| '\n'));
            excerpt.moved.push(Moved { from: Span { start: from, end }, begin, shown, end: excerpt.text.len() });
            copied = end;
        }
        excerpt.text.push_str(source.slice(Span { start: copied, end: lines.end }));
        excerpt
    }

    /// Where a byte of the source is here.
    fn offset(&self, at: u32) -> usize {
        let mut offset = (at as usize).saturating_sub(self.begin);
        for moved in self.moved.iter().filter(|moved| moved.from.start <= at) {
            let beyond = at.saturating_sub(moved.from.end) as usize;
            offset = if at < moved.from.end { moved.begin } else { moved.end + beyond };
        }
        offset.min(self.text.len())
    }

    fn snippet<'a>(
        &'a self,
        source: &'a Source,
        labels: &[Placed<'a>],
    ) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
        if self.text.lines().any(|line| line.len() > LONG_LINE) {
            return None;
        }
        let annotations = labels.iter().map(|(kind, label)| {
            let start = self.offset(label.span.start);
            let line_end = self.text.get(start..).and_then(|rest| rest.find('\n')).map(|at| start + at);
            let hidden = self.moved.iter().find(|moved| moved.from.range().contains(&(label.span.start as usize)));
            let end = hidden.map_or_else(|| self.offset(label.span.end), |moved| moved.shown);
            // A block has many lines; its first tells where it is.
            let end = end.min(line_end.unwrap_or(self.text.len())).max(start);
            let text = (!label.text.is_empty()).then_some(label.text.as_str());
            kind.span(start..end).label(text)
        });
        let snippet = Snippet::source(self.text.as_str()).path(source.name()).line_start(self.first_line);
        Some(snippet.annotations(annotations))
    }
}
