//! What a TLS listener is told: plain values.
//!
//! ```
//! use meshlib::net::tls::config::{CertificateConfig, DownstreamTlsConfig};
//!
//! let certificate = CertificateConfig::files("/etc/certs/tls.crt", "/etc/certs/tls.key");
//! let config = DownstreamTlsConfig::new(vec![certificate.clone()]);
//! assert_eq!(config.alpn, None); // h2 and http/1.1
//! assert_eq!(config, certificate.into());
//! ```

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

/// TLS towards clients (Envoy's `DownstreamTlsContext`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DownstreamTlsConfig {
    /// Certificates with their keys, one for each kind of key or server name. The first serves clients that name
    /// no server, or one that no certificate is for.
    pub certificates: Vec<CertificateConfig>,
    /// Protocols offered by ALPN. `None`, as when a file is silent: `h2` and `http/1.1`. Empty: no ALPN.
    pub alpn: Option<Vec<String>>,
    /// From the first wait for the ClientHello to the end of the handshake. Default 10 s
    /// (`transport_socket_connect_timeout`); zero disables.
    pub handshake_timeout: Duration,
}

impl DownstreamTlsConfig {
    /// These certificates, with the default protocols.
    pub fn new(certificates: Vec<CertificateConfig>) -> Self {
        Self { certificates, alpn: None, handshake_timeout: Duration::from_secs(10) }
    }

    /// Offering these protocols; none: no ALPN.
    #[must_use]
    pub fn alpn<P: Into<String>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = Some(protocols.into_iter().map(Into::into).collect());
        self
    }

    /// With another limit; zero disables.
    #[must_use]
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake_timeout = limit;
        self
    }
}

/// This one certificate, with the default protocols.
impl From<CertificateConfig> for DownstreamTlsConfig {
    fn from(certificate: CertificateConfig) -> Self {
        Self::new(vec![certificate])
    }
}

/// A certificate chain and its private key (Envoy's `TlsCertificate`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CertificateConfig {
    /// The chain, PEM, the server's own certificate first.
    pub certificate_chain: DataSource,
    /// The key, PEM: PKCS#8, PKCS#1 or SEC1.
    pub private_key: DataSource,
}

impl CertificateConfig {
    /// A chain and a key from wherever they are.
    pub fn new(certificate_chain: DataSource, private_key: DataSource) -> Self {
        Self { certificate_chain, private_key }
    }

    /// A chain and a key in files. Both may name one file that holds both.
    pub fn files(certificate_chain: impl Into<PathBuf>, private_key: impl Into<PathBuf>) -> Self {
        Self {
            certificate_chain: DataSource::File(certificate_chain.into()),
            private_key: DataSource::File(private_key.into()),
        }
    }

    /// A chain and a key in memory, PEM.
    pub fn inline(certificate_chain: impl Into<Arc<[u8]>>, private_key: impl Into<Arc<[u8]>>) -> Self {
        Self {
            certificate_chain: DataSource::Inline(certificate_chain.into()),
            private_key: DataSource::Inline(private_key.into()),
        }
    }

    /// Whether any part of it is in a file, and so can change.
    pub fn is_in_files(&self) -> bool {
        [&self.certificate_chain, &self.private_key].into_iter().any(|source| matches!(source, DataSource::File(_)))
    }
}

/// Where bytes come from (Envoy's `DataSource`).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataSource {
    /// A file; watched, and read again when it changes.
    File(PathBuf),
    /// The bytes themselves.
    Inline(Arc<[u8]>),
}

impl fmt::Debug for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            // It may be a private key.
            Self::Inline(bytes) => write!(f, "<{} bytes inline>", bytes.len()),
        }
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Inline(bytes) => write!(f, "<{} bytes inline>", bytes.len()),
        }
    }
}
