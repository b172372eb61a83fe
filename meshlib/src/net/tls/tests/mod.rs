//! Handshakes over in-memory streams with tokio-rustls clients.

mod handshake;
mod loading;
mod swap;

use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::{
    TlsAcceptor,
    config::{CertificateConfig, DownstreamTlsConfig},
};
use crate::base::{Error, Stats, info::TlsInfo};

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A chain and a key, PEM.
pub(super) struct Pem {
    pub(super) chain: String,
    pub(super) key: String,
}

impl Pem {
    pub(super) fn new(names: &[&str], algorithm: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        Self { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    pub(super) fn config(&self) -> CertificateConfig {
        CertificateConfig::inline(self.chain.as_bytes(), self.key.as_bytes())
    }

    pub(super) fn leaf(&self) -> CertificateDer<'static> {
        rustls::pki_types::pem::PemObject::from_pem_slice(self.chain.as_bytes()).unwrap()
    }
}

pub(super) fn ecdsa(names: &[&str]) -> Pem {
    Pem::new(names, &rcgen::PKCS_ECDSA_P256_SHA256)
}

pub(super) fn acceptor(config: DownstreamTlsConfig) -> (TlsAcceptor, Stats) {
    let stats = Stats::new();
    (TlsAcceptor::builder(config).stats(stats.clone()).stat_prefix("listener.l.").build().unwrap(), stats)
}

/// Takes any certificate, checks that the server holds its key, and remembers it.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<CertificateDer<'static>>>,
    /// The schemes the client offers; all of the provider's if empty.
    schemes: Vec<SignatureScheme>,
    /// webpki reads no version 1 certificates, so it cannot check their signatures.
    check_signatures: bool,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap() = Some(end_entity.clone().into_owned());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if !self.check_signatures {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        if self.schemes.is_empty() {
            return self.provider.signature_verification_algorithms.supported_schemes();
        }
        self.schemes.clone()
    }
}

/// A client that shakes hands again and again, with one session store.
pub(super) struct Client {
    config: ClientConfig,
    verifier: Arc<AnyCertificate>,
}

/// What the client saw of a handshake.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) leaf: Option<CertificateDer<'static>>,
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) resumed: bool,
}

impl Client {
    pub(super) fn new() -> Self {
        Self::with(&[&TLS13, &TLS12], Vec::new(), true)
    }

    pub(super) fn with(
        versions: &[&'static SupportedProtocolVersion],
        schemes: Vec<SignatureScheme>,
        check_signatures: bool,
    ) -> Self {
        let verifier =
            Arc::new(AnyCertificate { provider: provider(), seen: Mutex::new(None), schemes, check_signatures });
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        Self { config, verifier }
    }

    pub(super) fn alpn(mut self, protocols: &[&str]) -> Self {
        self.config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Shakes hands and has a greeting echoed, so that a session ticket arrives.
    pub(super) async fn connect(&self, acceptor: &TlsAcceptor, name: &str) -> Result<(Seen, TlsInfo), Error> {
        let (ours, theirs) = tokio::io::duplex(1024);
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let client = async move {
            let mut stream = connector.connect(name, ours).await?;
            stream.write_all(b"hello").await?;
            let mut echo = [0; 5];
            stream.read_exact(&mut echo).await?;
            assert_eq!(&echo, b"hello");
            let connection = stream.get_ref().1;
            let resumed = connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            Ok::<_, std::io::Error>((connection.alpn_protocol().map(<[u8]>::to_vec), resumed))
        };
        let server = async {
            let (mut stream, info) = acceptor.accept(theirs).await?;
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(&hello).await.unwrap();
            stream.flush().await.unwrap();
            Ok::<_, Error>(info)
        };
        let (client, server) = tokio::join!(client, server);
        let info = server?;
        let (alpn, resumed) = client.unwrap();
        Ok((Seen { leaf: self.verifier.seen.lock().unwrap().take(), alpn, resumed }, info))
    }
}
