//! What one health check found.

use std::{borrow::Cow, fmt};

/// The outcome of one check.
pub type ProbeResult = Result<(), ProbeFailure>;

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFailure {
    kind: FailureKind,
    reason: Cow<'static, str>,
}

/// The class of a failure; see [`HealthState`](super::HealthState) for what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// There was no whole answer: connecting failed, the stream was reset, the connection ended.
    Network,
    /// There was no whole answer in time.
    Timeout,
    /// The host answered, and not that it is well.
    Protocol,
}

impl ProbeFailure {
    /// A failure of this class.
    pub fn new(kind: FailureKind, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, reason: reason.into() }
    }

    pub(super) fn protocol(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureKind::Protocol, reason)
    }

    /// Its class.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Whether there was no whole answer: the failures that `unhealthy_threshold` counts.
    pub fn is_network(&self) -> bool {
        matches!(self.kind, FailureKind::Network | FailureKind::Timeout)
    }
}

impl fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ProbeFailure {}
