//! Gathering diagnostics while a file is read.

use std::{
    cell::{Cell, OnceCell, RefCell},
    fmt,
    sync::Arc,
};

use super::{Code, ConfigErrors, Diagnostic, Severity, Source, Span, Warnings, secrets};
use crate::envoy::{extensions::Extensions, yaml::Node};

/// No more than this many of each kind are kept; the rest is counted.
const KEPT: usize = 100;

/// The proof that an error was reported. What could not be read is `Err(Reported)`: the reason is already among the
/// diagnostics, so that reading goes on and finds the other errors too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported(());

impl Reported {
    /// The promise that the error will be reported before the file is done.
    pub(crate) fn later() -> Self {
        Self(())
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration has errors")
    }
}

impl std::error::Error for Reported {}

/// The diagnostics of one file, while it is read.
#[derive(Debug)]
pub struct Diagnostics {
    source: Arc<Source>,
    errors: RefCell<Vec<Diagnostic>>,
    warnings: RefCell<Vec<Diagnostic>>,
    omitted: Cell<usize>,
    secrets: OnceCell<Vec<Span>>,
    extensions: Extensions,
}

impl Diagnostics {
    /// None yet.
    pub fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            errors: RefCell::default(),
            warnings: RefCell::default(),
            omitted: Cell::new(0),
            secrets: OnceCell::new(),
            extensions: Extensions::new(),
        }
    }

    /// For a file that may name these extensions.
    pub(crate) fn with_extensions(mut self, extensions: &Extensions) -> Self {
        self.extensions = extensions.clone();
        self
    }

    /// What the file may name.
    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The file.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Takes an error.
    pub fn error(&self, diagnostic: Diagnostic) -> Reported {
        debug_assert_eq!(diagnostic.severity, Severity::Error);
        self.keep(&self.errors, diagnostic);
        Reported(())
    }

    /// Takes a warning.
    pub fn warn(&self, diagnostic: Diagnostic) {
        self.keep(&self.warnings, diagnostic);
    }

    /// Learns from the tree which places hold secrets.
    pub(crate) fn hide_secrets_of(&self, root: &Node) {
        // A second tree of one source cannot come; the first one's secrets stay hidden if it did.
        let _ = self.secrets.set(secrets::in_tree(root));
    }

    /// Whether some of this place must not be shown.
    pub(crate) fn is_secret(&self, span: Span) -> bool {
        self.secrets.get().is_some_and(|secrets| secrets.iter().any(|secret| secret.overlaps(span)))
    }

    /// The value that was read, and its warnings; or all errors, if there were any.
    pub(crate) fn finish<T>(self, value: Result<T, Reported>) -> Result<(T, Warnings), ConfigErrors> {
        match value {
            Err(reported) => Err(self.failed(reported)),
            Ok(_) if !self.errors.borrow().is_empty() => Err(self.failed(Reported(()))),
            Ok(value) => Ok((value, Warnings::new(self.source, self.warnings.into_inner()))),
        }
    }

    /// All errors.
    pub(crate) fn failed(self, _: Reported) -> ConfigErrors {
        let errors = self.errors.into_inner();
        let mut secrets = self.secrets.into_inner();
        // The tree knows best. Where there is none, or it dropped what was given twice, there is only the text.
        if secrets.is_none() || errors.iter().any(|error| error.code == Code::DuplicateKey) {
            secrets.get_or_insert_default().extend(secrets::in_text(self.source.text()));
        }
        let secrets = secrets::merged(secrets.unwrap_or_default());
        ConfigErrors::new(self.source, secrets, errors, self.omitted.get())
    }

    fn keep(&self, list: &RefCell<Vec<Diagnostic>>, diagnostic: Diagnostic) {
        let mut list = list.borrow_mut();
        // An alias is read as often as it is used; what is wrong with it is said once.
        if list.contains(&diagnostic) {
            return;
        }
        if list.len() < KEPT {
            list.push(diagnostic);
        } else if diagnostic.severity == Severity::Error {
            self.omitted.set(self.omitted.get() + 1);
        }
    }
}
