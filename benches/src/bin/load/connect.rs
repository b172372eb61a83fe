//! Connections to what is measured: HTTP/2 with prior knowledge, or chosen by ALPN behind TLS.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use h2::client::SendRequest;
use meshlib_examples::client::any_certificate;
use rustls::{client::Resumption, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::BoxError;

const WINDOW: u32 = 1 << 20;

/// A byte stream of either kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Where to connect, and how.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

/// A connection on which calls can be made.
pub(crate) struct Connected {
    pub(crate) client: SendRequest<Bytes>,
    /// What the server showed, in DER.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Target {
    /// With TLS, any certificate is good, and every handshake is a full one.
    pub(crate) fn new(address: SocketAddr, tls: bool, alpn: &[&str]) -> Result<Self, rustls::Error> {
        let tls = if tls {
            let mut config = any_certificate(alpn)?;
            config.resumption = Resumption::disabled();
            Some(TlsConnector::from(Arc::new(config)))
        } else {
            None
        };
        Ok(Self { address, tls })
    }

    /// A byte stream, and the server's certificate.
    pub(crate) async fn stream(&self) -> io::Result<(Box<dyn Io>, Option<Vec<u8>>)> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok((Box::new(stream), None)) };
        let name = ServerName::from(self.address.ip());
        let stream = tls.connect(name, stream).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(|chain| chain.first()).map(|first| first.to_vec());
        Ok((Box::new(stream), certificate))
    }

    /// An HTTP/2 connection, which a task of its own drives until its last client is dropped.
    pub(crate) async fn connect(&self) -> Result<Connected, BoxError> {
        let (stream, certificate) = self.stream().await?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(16 * WINDOW).enable_push(false);
        let (client, connection) = builder.handshake(stream).await?;
        // What it ends with, its calls end with.
        tokio::spawn(async move { connection.await.ok() });
        Ok(Connected { client, certificate })
    }
}
