use super::*;

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;

use crate::certificate::SelfSigned;
use crate::echo::EchoServer;

async fn server() -> EchoServer {
    EchoServer::start("127.0.0.1:0".parse().unwrap(), "pod-7").await.unwrap()
}

/// Terminates TLS for one connection and passes the bytes on. Returns what ALPN chose.
async fn tls_front(listener: TcpListener, certificate: SelfSigned, to: std::net::SocketAddr) -> Option<Vec<u8>> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate.chain_path()).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificate.key_path()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (stream, _) = listener.accept().await.unwrap();
    let mut client = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
    let chosen = client.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let mut upstream = TcpStream::connect(to).await.unwrap();
    // The client may close without close_notify.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
    chosen
}

#[tokio::test]
async fn a_reply_has_headers_content_and_trailers_apart() {
    let server = server().await;
    let client = EchoClient::connect(&format!("http://{}", server.address())).await.unwrap();
    let reply = client.echo("grüezi").await.unwrap();
    assert_eq!(reply.content, "grüezi");
    assert_eq!(reply.hostname(), Some("pod-7"));
    assert_eq!(reply.headers.get("content-type").unwrap(), "application/grpc");
    assert_eq!(reply.headers.get("grpc-status"), None);
    assert_eq!(reply.trailers.get("grpc-status").unwrap(), "0");
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn any_certificate_will_do_with_alpn_and_without() {
    for (offered, chosen) in [(&["h2"][..], Some(b"h2".to_vec())), (&[][..], None)] {
        let server = server().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let front = tokio::spawn(tls_front(listener, SelfSigned::new("nobody.example").unwrap(), server.address()));
        let client = EchoClient::connect_with_alpn(&url, offered).await.unwrap();
        assert_eq!(client.echo("over TLS").await.unwrap().content, "over TLS");
        drop(client);
        assert_eq!(front.await.unwrap(), chosen);
    }
}

#[tokio::test]
async fn errors_say_what_went_wrong() {
    for url in ["127.0.0.1:80", "ftp://127.0.0.1:80", "https://", "not a url"] {
        let error = EchoClient::connect(url).await.unwrap_err();
        assert!(matches!(error, ClientError::Address(_)), "{url}: {error}");
        assert!(error.to_string().contains("https://host:port"), "{error}");
    }

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = EchoClient::connect(&format!("http://{closed}")).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect(_)), "{error}");
    assert_eq!(error.to_string().to_lowercase().matches("refused").count(), 1, "{error}");

    let server = server().await;
    server.set_failure(Some(Code::ResourceExhausted));
    let client = EchoClient::connect(&format!("http://{}", server.address())).await.unwrap();
    let error = client.echo("").await.unwrap_err();
    assert_eq!(error.to_string(), "grpc-status 8 (ResourceExhausted): failing as told");
}
