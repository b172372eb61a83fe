//! Why there is no simulation.

use std::fmt;

use crate::{base::Error, envoy::diagnostic::ConfigErrors};

/// Why a mesh cannot be simulated: a file that is wrong, for example. `Debug` is written as `Display`, for `unwrap`.
#[derive(Clone, PartialEq, Eq)]
pub struct SimError(pub(super) String);

impl fmt::Display for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SimError {}

impl From<ConfigErrors> for SimError {
    fn from(errors: ConfigErrors) -> Self {
        Self(errors.to_string())
    }
}

impl From<Error> for SimError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}
