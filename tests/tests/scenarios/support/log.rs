//! Access logs as tests read them.

use std::path::PathBuf;

use super::eventually;

/// An access log in Envoy's default format.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    seen: usize,
}

impl Log {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, seen: 0 }
    }

    fn read(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_default()
    }

    /// The next line that was not seen before.
    pub(crate) async fn next(&mut self) -> Line {
        self.seen += 1;
        self.lines(self.seen).await.remove(self.seen - 1)
    }

    /// All lines, once there are this many.
    pub(crate) async fn lines(&self, count: usize) -> Vec<Line> {
        let what = format!("{count} lines in {}", self.path.display());
        eventually(&what, || self.read().lines().count() >= count).await;
        let lines: Vec<_> = self.read().lines().map(Line::parse).collect();
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }

    /// The first line of which this holds, once there is one.
    pub(crate) async fn find(&self, is: impl Fn(&Line) -> bool) -> Line {
        let find = || self.read().lines().map(Line::parse).find(&is);
        eventually(&format!("a certain line in {}", self.path.display()), || find().is_some()).await;
        find().expect("it was there a moment ago")
    }

    /// The one line there is.
    pub(crate) async fn line(&self) -> Line {
        self.lines(1).await.remove(0)
    }
}

/// One line, in its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line(Vec<String>);

impl Line {
    /// Splits at blanks outside of quotes and brackets.
    fn parse(line: &str) -> Self {
        let (mut fields, mut quoted) = (vec![String::new()], false);
        for letter in line.chars() {
            match letter {
                '"' => quoted = !quoted,
                '[' | ']' => {}
                ' ' if !quoted => fields.push(String::new()),
                _ => fields.last_mut().expect("a field").push(letter),
            }
        }
        assert_eq!(fields.len(), 13, "Envoy's default format has 13 fields: {line}");
        Self(fields)
    }

    fn field(&self, at: usize) -> &str {
        &self.0[at]
    }

    /// When the request began, as in 2026-11-22T12:37:01.614Z.
    pub(crate) fn start_time(&self) -> &str {
        self.field(0)
    }

    /// Method, path and protocol; status, flags, bytes received and sent.
    pub(crate) fn outcome(&self) -> String {
        self.0[1..6].join(" ")
    }

    /// Milliseconds.
    pub(crate) fn duration(&self) -> u64 {
        self.field(6).parse().expect("a number")
    }

    pub(crate) fn service_time(&self) -> &str {
        self.field(7)
    }

    pub(crate) fn forwarded_for(&self) -> &str {
        self.field(8)
    }

    pub(crate) fn user_agent(&self) -> &str {
        self.field(9)
    }

    pub(crate) fn request_id(&self) -> &str {
        self.field(10)
    }

    pub(crate) fn authority(&self) -> &str {
        self.field(11)
    }

    pub(crate) fn upstream(&self) -> &str {
        self.field(12)
    }
}
