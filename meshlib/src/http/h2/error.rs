//! What an error of `h2` means, depending on which side of the proxy it comes from.

use crate::base::{Error, ErrorKind, Retry};

/// Headers or trailers of a response that are beyond the limit: to the client a reset, as in Envoy.
pub(super) const OVERSIZE: ErrorKind = ErrorKind::UpstreamReset;

/// An error on a stream to an upstream host.
pub(super) fn upstream(error: h2::Error) -> Error {
    let refused = error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let kind = if error.is_remote() && refused {
        // h2 ends exactly those streams with the peer's GOAWAY that are above its last stream id.
        return Error::new(ErrorKind::UpstreamRefusedStream).with_retry(Retry::NotProcessed).with_source(error);
    } else if error.is_io() {
        ErrorKind::UpstreamConnectionTermination
    } else if error.is_reset() && error.is_remote() {
        ErrorKind::UpstreamReset
    } else {
        ErrorKind::UpstreamProtocol
    };
    Error::new(kind).with_source(error)
}

/// An error on a stream from a client.
pub(super) fn downstream(error: h2::Error) -> Error {
    Error::new(ErrorKind::DownstreamTermination).with_source(error)
}
