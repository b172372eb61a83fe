//! All diagnostics of a file that was read.

use std::{fmt, fmt::Write as _, sync::Arc};

use super::{
    Code, Diagnostic, Source, Span,
    render::{self, Style},
};

/// Why a file cannot be used: every error in it. `Display` renders them all, without colours.
#[derive(Clone)]
pub struct ConfigErrors {
    source: Arc<Source>,
    secrets: Vec<Span>,
    errors: Vec<Diagnostic>,
    omitted: usize,
}

impl ConfigErrors {
    pub(super) fn new(source: Arc<Source>, secrets: Vec<Span>, mut errors: Vec<Diagnostic>, omitted: usize) -> Self {
        errors.sort_by_key(|error| error.primary.as_ref().map(|label| label.span));
        Self { source, secrets, errors, omitted }
    }

    /// An error of a file of which nothing could be read.
    pub(crate) fn of_file(name: &str, error: Diagnostic) -> Self {
        Self::new(Arc::new(Source::new(name, "")), Vec::new(), vec![error], 0)
    }

    /// The errors, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.errors.iter()
    }

    /// How many there are; those that were counted but not kept included.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.errors.len() + self.omitted
    }

    /// The file they are about.
    pub fn source_file(&self) -> &Source {
        &self.source
    }

    /// All of them as text; ends without a line break.
    pub fn render(&self, style: Style) -> String {
        let mut text = String::new();
        for error in &self.errors {
            text.push_str(&render::render(error, &self.source, &self.secrets, style));
            text.push_str("\n\n");
        }
        let plural = if self.len() == 1 { "" } else { "s" };
        let shown = if self.omitted == 0 { String::new() } else { format!(", {} shown", self.errors.len()) };
        let _ = write!(text, "error: {} has {} error{plural}{shown}", self.source.name(), self.len());
        text
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::Plain))
    }
}

impl fmt::Debug for ConfigErrors {
    /// The errors, not the source: that may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigErrors").field("source", &self.source.name()).field("errors", &self.errors).finish()
    }
}

impl std::error::Error for ConfigErrors {}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What deserves a look in a file that works. `Display` writes one line each, outdated spellings together.
#[derive(Clone)]
pub struct Warnings {
    source: Arc<Source>,
    warnings: Vec<Diagnostic>,
}

impl Warnings {
    pub(super) fn new(source: Arc<Source>, mut warnings: Vec<Diagnostic>) -> Self {
        warnings.sort_by_key(|warning| (warning.code, warning.primary.as_ref().map(|label| label.span)));
        Self { source, warnings }
    }

    /// The warnings: by code, then in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.warnings.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.warnings.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty()
    }

    fn place(&self, warning: &Diagnostic) -> String {
        let Some(label) = &warning.primary else { return self.source.name().to_owned() };
        let position = self.source.position(label.span.start);
        format!("{}:{}:{}", self.source.name(), position.line, position.column)
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outdated = self.warnings.iter().filter(|warning| warning.code == Code::Deprecated).count();
        if outdated > 0 {
            let plural = if outdated == 1 { "" } else { "s" };
            write!(f, "warning[{}]: {outdated} outdated spelling{plural}, still understood", Code::Deprecated)?;
        }
        for (index, warning) in self.warnings.iter().enumerate() {
            let separator = if index == 0 && outdated == 0 { "" } else { "\n" };
            let place = self.place(warning);
            match warning.code {
                Code::Deprecated => write!(f, "{separator}  --> {place}: {}", warning.message)?,
                code => write!(f, "{separator}warning[{code}]: {place}: {}", warning.message)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.warnings).finish()
    }
}

impl<'a> IntoIterator for &'a Warnings {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
