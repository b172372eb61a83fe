//! The text of a file, and places in it.

use std::ops::Range;

/// A range of bytes in a [`Source`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The bytes from `start` up to `end`. A source is at most 16 MiB, so that 32 bits hold any of its offsets.
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end.max(start)) }
    }

    /// The range, as slices want it.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether some byte is in both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

/// A place as an editor counts: both numbers begin at 1, the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A named text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// Where each line begins; never empty.
    lines: Vec<u32>,
}

impl Source {
    /// The text of the file `name`.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(starts.map(|(at, _)| Span::new(at + 1, at + 1).start)).collect();
        Self { name: name.into(), text, lines }
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text at `span`; empty where that is no part of this source.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// Line and column of a byte.
    pub fn position(&self, offset: u32) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let before = self.slice(Span { start: self.line_start(line), end: offset });
        Position { line, column: before.chars().count() + 1 }
    }

    /// The lines from `first` to `last`, without the last one's line break.
    pub(super) fn lines(&self, first: usize, last: usize) -> Span {
        let end = self.lines.get(last).map_or(self.text.len(), |next| (*next as usize).saturating_sub(1));
        let lines = Span::new(self.line_start(first) as usize, end);
        Span::new(lines.start as usize, lines.start as usize + self.slice(lines).trim_end_matches('\r').len())
    }

    fn line_start(&self, line: usize) -> u32 {
        self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_lines_from_one() {
        let source = Source::new("f", "a\n\u{e4}\u{e4}b\n");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(6), Position { line: 2, column: 3 });
        assert_eq!(source.position(8), Position { line: 3, column: 1 });
        assert_eq!(source.slice(source.lines(2, 2)), "\u{e4}\u{e4}b");
        assert_eq!(Source::new("f", "").position(0), Position { line: 1, column: 1 });
    }
}
