//! What is known of a connection.

use std::{net::SocketAddr, sync::Arc};

/// What is known of the connection a request came on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The client's address; absent on transports without one.
    pub peer: Option<SocketAddr>,
    /// The address the client connected to.
    pub local: Option<SocketAddr>,
    /// Set when the connection came through TLS.
    pub tls: Option<TlsInfo>,
}

/// What a TLS handshake settled.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The server name the client asked for.
    pub server_name: Option<Arc<str>>,
    /// The application protocol agreed on.
    pub alpn: Option<Vec<u8>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: Option<&'static str>,
}

impl ConnectionInfo {
    /// A connection between two addresses, without TLS.
    pub fn new(peer: Option<SocketAddr>, local: Option<SocketAddr>) -> Self {
        Self { peer, local, tls: None }
    }

    /// The same connection after a TLS handshake.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsInfo) -> Self {
        self.tls = Some(tls);
        self
    }
}

impl TlsInfo {
    /// What was agreed on.
    pub fn new(server_name: Option<Arc<str>>, alpn: Option<Vec<u8>>, version: Option<&'static str>) -> Self {
        Self { server_name, alpn, version }
    }
}
