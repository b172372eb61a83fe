//! TLS towards clients, over any byte stream, with certificates that can be swapped.
//!
//! [`TlsAcceptor`] shakes hands within a time limit: TLS 1.2 and 1.3, session tickets, ALPN. [`CertificateStore`]
//! keeps the certificates: it watches their files, and a pair that cannot serve never replaces one that does. Each
//! works without the other, and without the rest of meshlib.
//!
//! ```
//! # #[cfg(feature = "tls")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use meshlib::net::tls::{TlsAcceptor, config::{CertificateConfig, DownstreamTlsConfig}};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
//! # let (chain, key) = (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes());
//! # let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
//! # let mut roots = rustls::RootCertStore::empty();
//! # roots.add(made.cert.der().clone())?;
//! # let client = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?
//! #     .with_root_certificates(roots).with_no_client_auth();
//! # let client = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
//! let certificate = CertificateConfig::inline(chain, key); // or `files`, which are watched
//! let acceptor = TlsAcceptor::builder(DownstreamTlsConfig::new(vec![certificate])).build()?;
//!
//! // A socket, or anything else that is read and written.
//! let (ours, theirs) = tokio::io::duplex(4096);
//! # let client = tokio::spawn(async move {
//! #     let mut tls = client.connect("localhost".try_into()?, theirs).await?;
//! #     tls.read_to_string(&mut String::new()).await?;
//! #     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//! # });
//! let (mut stream, info) = acceptor.accept(ours).await?;
//! assert_eq!(info.server_name.as_deref(), Some("localhost"));
//! assert_eq!(info.version, Some("TLSv1.3"));
//! stream.write_all(b"hello").await?;
//! stream.shutdown().await?;
//! # client.await?.map_err(|error| error.to_string())?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tls"))]
//! # fn main() {}
//! ```

#[cfg(feature = "tls")]
mod acceptor;
#[cfg(feature = "tls")]
mod certificate;
pub mod config;
#[cfg(feature = "tls")]
mod handshake_stats;
#[cfg(feature = "tls")]
mod names;
#[cfg(feature = "tls")]
mod resolver;
#[cfg(feature = "tls")]
mod store;
#[cfg(feature = "tls")]
mod stream;
#[cfg(feature = "tls")]
#[cfg(test)]
mod tests;

#[cfg(feature = "tls")]
pub use self::{
    acceptor::{TlsAcceptor, TlsAcceptorBuilder},
    store::CertificateStore,
    stream::TlsStream,
};
