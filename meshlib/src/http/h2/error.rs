//! How a stream ends before its time, and what that means on each side of the proxy.

use std::{fmt, io};

use super::reason::Reason;
use crate::base::{Error, ErrorKind, Retry};

/// Headers or trailers of a response that are beyond the limit: to the client a reset, as in Envoy.
pub(super) const OVERSIZE: ErrorKind = ErrorKind::UpstreamReset;

/// Why a stream ended before it was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The peer reset it.
    Reset(Reason),
    /// The peer's GOAWAY says that it was not looked at.
    GoneAway(Reason),
    /// The peer broke the protocol, or the connection had to go: we ended it, and why.
    Ended(Reason, &'static str),
    /// Our own side gave it up.
    GivenUp(Reason),
    /// The connection was closed, or broke.
    Closed(Option<io::ErrorKind>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset(reason) => write!(f, "the peer reset the stream: {reason:?}"),
            Self::GoneAway(reason) => write!(f, "the peer's GOAWAY excludes the stream: {reason:?}"),
            Self::Ended(reason, why) => write!(f, "{why}: {reason:?}"),
            Self::GivenUp(reason) => write!(f, "the stream was given up: {reason:?}"),
            Self::Closed(None) => f.write_str("the connection was closed"),
            Self::Closed(Some(kind)) => write!(f, "the connection broke: {kind}"),
        }
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Of a stream to an upstream host.
    pub(super) fn upstream(self) -> Error {
        let kind = match self {
            Self::GoneAway(_) | Self::Reset(Reason::REFUSED_STREAM) => {
                let refused = Error::new(ErrorKind::UpstreamRefusedStream).with_retry(Retry::NotProcessed);
                return refused.with_source(self);
            }
            Self::Closed(_) => ErrorKind::UpstreamConnectionTermination,
            Self::Reset(_) => ErrorKind::UpstreamReset,
            Self::Ended(..) => ErrorKind::UpstreamProtocol,
            // The request's own body failed.
            Self::GivenUp(_) => ErrorKind::DownstreamTermination,
        };
        Error::new(kind).with_source(self)
    }

    /// Of a stream from a client.
    pub(super) fn downstream(self) -> Error {
        Error::new(ErrorKind::DownstreamTermination).with_source(self)
    }
}

/// The peer broke the protocol: the connection has to go, and is told why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) Reason, pub(super) &'static str);
