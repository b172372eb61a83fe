//! Which end of a connection is ours.

/// Our end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The peer sends requests.
    Server,
    /// We send requests; the peer is a host.
    Client,
}
