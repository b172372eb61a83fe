//! How clients reach a node.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderValue, Request, header};
use rustls::{crypto::CryptoProvider, pki_types::CertificateDer};

use super::Node;
use crate::{
    base::{
        Error, ErrorKind,
        resources::{BoxIo, Network},
    },
    proxy::config::ListenerConfig,
    testkit::{Client, MemoryNetwork, client},
};

/// The certificates that clients trust. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct Trusted(Arc<Mutex<Vec<CertificateDer<'static>>>>);

impl Trusted {
    pub(super) fn add(&self, certificate: CertificateDer<'static>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(certificate);
    }

    fn all(&self) -> Vec<CertificateDer<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Connects to a node as a client on a machine of its own (192.0.2.1).
#[derive(Clone)]
pub struct Dialler {
    network: MemoryNetwork,
    to: SocketAddr,
    name: String,
    tls: Option<(Trusted, Arc<CryptoProvider>)>,
}

impl Dialler {
    pub(super) fn new(node: &Node, listener: &ListenerConfig, network: &MemoryNetwork, trusted: &Trusted) -> Self {
        let tls = listener.filter_chains.iter().any(|chain| chain.tls.is_some());
        let provider = node.kit().resources.crypto_provider().clone();
        Self {
            network: network.clone(),
            to: node.front().unwrap_or(listener.address),
            name: node.server_name(),
            tls: tls.then(|| (trusted.clone(), provider)),
        }
    }

    /// Where it connects to.
    pub fn address(&self) -> SocketAddr {
        self.to
    }

    /// The bare connection, without TLS.
    ///
    /// # Errors
    /// The network's.
    pub async fn connect(&self) -> io::Result<BoxIo> {
        self.network.connect(self.to).await
    }

    /// A connection behind TLS where the node has it, with the certificate that it showed.
    ///
    /// # Errors
    /// The network's, or the handshake's.
    pub async fn secured(&self, alpn: &[&str]) -> io::Result<(BoxIo, Option<CertificateDer<'static>>)> {
        let io = self.connect().await?;
        match &self.tls {
            Some((trusted, provider)) => client::tls(io, &self.name, &trusted.all(), alpn, provider).await,
            None => Ok((io, None)),
        }
    }

    /// An HTTP/2 connection.
    ///
    /// # Errors
    /// The network's, or the handshake's.
    pub async fn client(&self) -> Result<Client, Error> {
        let failed = |error| Error::new(ErrorKind::ConnectFailure).with_source(error);
        Ok(Client::over(self.secured(&["h2"]).await.map_err(failed)?.0))
    }

    /// A POST to this path, as gRPC makes it.
    pub fn request(&self, path: &str, user_agent: &str) -> Request<()> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let request = Request::post(format!("{scheme}://{}{path}", self.name))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let mut request = request.body(()).unwrap_or_default();
        if let Ok(mut user_agent) = HeaderValue::from_str(user_agent) {
            // Another one each time: it would only push other headers out of each hop's HPACK table.
            user_agent.set_sensitive(true);
            request.headers_mut().insert(header::USER_AGENT, user_agent);
        }
        request
    }
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialler").field("to", &self.to).field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}
