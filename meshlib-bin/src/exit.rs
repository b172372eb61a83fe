//! How the process ends: its exit codes, and what it says when it cannot start.

use std::{fmt, io};

/// Why the process ends with code 1: the text for people, remedies included.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure that says this.
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self(format!("error: {text}"))
    }

    /// Diagnostics of a configuration: each begins with `error` itself.
    pub(crate) fn diagnosed(text: String) -> Self {
        Self(text)
    }

    /// Something of the operating system's that did not work: `what` is a thing to do, such as "start a thread".
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        Self::new(format_args!("cannot {what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
