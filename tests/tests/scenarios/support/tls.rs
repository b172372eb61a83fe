//! TLS as `grpcurl -insecure` speaks it: any certificate is good.

use std::sync::Arc;

use meshlib_examples::client::any_certificate;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::within;

/// A TLS connection that accepts any certificate and offers these protocols.
pub(crate) async fn tls(address: &str, alpn: &[&str]) -> TlsStream<TcpStream> {
    let mut config = any_certificate(alpn).expect("a configuration");
    config.resumption = rustls::client::Resumption::disabled();
    let stream = within("a connection", TcpStream::connect(address)).await.expect("a connection");
    stream.set_nodelay(true).expect("nodelay");
    let name = ServerName::try_from("localhost").expect("a name");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    within("a handshake", connector.connect(name, stream)).await.expect("a handshake")
}

/// The certificate that a new handshake shows.
pub(crate) async fn server_certificate(address: &str) -> CertificateDer<'static> {
    let stream = tls(address, &[]).await;
    let (_, session) = stream.get_ref();
    session.peer_certificates().expect("a certificate")[0].clone().into_owned()
}
