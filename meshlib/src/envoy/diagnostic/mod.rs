//! What is wrong with a file, where, and what to write instead.
//!
//! Rendered as rustc renders its own: the line, a caret under the place, a suggestion. All errors of a file come in
//! one run. What may be a secret (a private key given inline) is never printed, neither in a message nor in a line.
//!
//! ```
//! use meshlib::envoy::{self, diagnostic::Style};
//!
//! let errors = envoy::load("envoy.yaml", "admin:\n  adress: {}\n").unwrap_err();
//! assert_eq!(errors.len(), 1);
//! assert!(errors.render(Style::Plain).starts_with("error[E012]: unknown field `adress` in `admin`"));
//! ```

mod code;
mod collect;
mod errors;
mod render;
mod secrets;
mod source;

pub use self::{
    code::Code,
    collect::{Diagnostics, Reported},
    errors::{ConfigErrors, Warnings},
    render::Style,
    source::{Position, Source, Span, Spanned},
};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file works; something in it deserves a look.
    Warning,
}

/// A place in the file, and what to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What stands beside the caret; may be empty.
    pub text: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is.
    pub code: Code,
    /// The sentence.
    pub message: String,
    /// Where; absent when the whole file is meant.
    pub primary: Option<Label>,
    /// Other places that matter.
    pub secondary: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            help: None,
        }
    }

    /// A warning without a place.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// At this place, with these words beside the caret.
    #[must_use]
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.primary = Some(Label { span, text: label.into() });
        self
    }

    /// With another place that matters.
    #[must_use]
    pub fn and(mut self, span: Span, label: impl Into<String>) -> Self {
        self.secondary.push(Label { span, text: label.into() });
        self
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
