//! What handshakes leave in the stats, under Envoy's names.

use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};

use crate::base::{Counter, Stats};

/// The counters of one acceptor. Workers share them: next to a handshake's signature, one shared cache line is nothing.
#[derive(Debug)]
pub(super) struct HandshakeStats {
    handshake: Counter,
    no_certificate: Counter,
    session_reused: Counter,
    tls12: Counter,
    tls13: Counter,
    connection_error: Counter,
    timeout: Counter,
}

impl HandshakeStats {
    pub(super) fn new(stats: &Stats, prefix: &str) -> Self {
        let counter = |name: &str| stats.counter(format!("{prefix}{name}"));
        Self {
            handshake: counter("ssl.handshake"),
            no_certificate: counter("ssl.no_certificate"),
            session_reused: counter("ssl.session_reused"),
            tls12: counter("ssl.versions.TLSv1.2"),
            tls13: counter("ssl.versions.TLSv1.3"),
            connection_error: counter("ssl.connection_error"),
            timeout: counter("downstream_cx_transport_socket_connect_timeout"),
        }
    }

    /// A handshake that succeeded.
    pub(super) fn succeeded(&self, connection: &ServerConnection) {
        self.handshake.increment();
        // Envoy counts every connection without a client's certificate here, as none is asked for.
        if connection.peer_certificates().is_none() {
            self.no_certificate.increment();
        }
        if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
            self.session_reused.increment();
        }
        match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => self.tls12.increment(),
            Some(ProtocolVersion::TLSv1_3) => self.tls13.increment(),
            _ => {}
        }
    }

    /// The client broke TLS, or spoke no version or cipher of ours. As in Envoy, one that went away is not counted.
    pub(super) fn broken(&self) {
        self.connection_error.increment();
    }

    /// The handshake took too long.
    pub(super) fn timed_out(&self) {
        self.timeout.increment();
    }
}
