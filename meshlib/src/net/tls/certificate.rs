//! One certificate chain with its key, read from PEM and found fit to serve; errors that say which file and what to
//! do.

use std::{borrow::Cow, io, sync::Arc};

use rustls::{
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

use super::{
    config::{CertificateConfig, DataSource},
    names::ServerNames,
};
use crate::base::{Error, ErrorKind, resources::Files};

/// A chain and its key, ready for handshakes.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) names: ServerNames,
}

impl Certificate {
    /// Reads both sources and makes sure that they belong together.
    pub(super) fn load(
        config: &CertificateConfig,
        files: &dyn Files,
        provider: &CryptoProvider,
    ) -> Result<Self, Error> {
        let chain = chain(&config.certificate_chain, &read(&config.certificate_chain, files)?)?;
        let key = private_key(&config.private_key, &read(&config.private_key, files)?)?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| refuse(&config.private_key, UNUSABLE_KEY).with_source(error))?;
        let certified = CertifiedKey::new(chain, key);
        check_pair(config, &certified)?;
        let names = certified.cert.first().map(|leaf| ServerNames::of(leaf)).unwrap_or_default();
        Ok(Self { key: Arc::new(certified), names })
    }
}

const UNUSABLE_KEY: &str =
    "the private key cannot be used: it must be RSA of 2048 bits or more, ECDSA P-256, P-384 or P-521, or Ed25519";

fn refuse(source: &DataSource, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Tls).with_detail(format!("{source}: {what}"))
}

fn read<'a>(source: &'a DataSource, files: &dyn Files) -> Result<Cow<'a, [u8]>, Error> {
    let path = match source {
        DataSource::Inline(bytes) => return Ok(Cow::Borrowed(bytes)),
        DataSource::File(path) => path,
    };
    files.read(path).map(Cow::Owned).map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::NotFound => "check the path, and whether its volume is mounted",
            io::ErrorKind::PermissionDenied => "this process's user must be able to read it",
            _ => "it must be a PEM file",
        };
        Error::new(ErrorKind::Io).with_detail(format!("{source} cannot be read: {error}; {advice}"))
    })
}

const CERTIFICATE: &str = "CERTIFICATE";

fn chain(source: &DataSource, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| broken(source, error))?;
    if chain.is_empty() {
        return Err(refuse(source, format_args!("no certificate: {}", Content(pem))));
    }
    // Files put together without a line break between them would lose a certificate in silence.
    let begun = count(pem, b"-----BEGIN CERTIFICATE-----");
    if begun > chain.len() {
        let read = chain.len();
        return Err(refuse(
            source,
            format_args!("{begun} certificates begin, but only {read} on a line of their own: add the line breaks"),
        ));
    }
    Ok(chain)
}

fn private_key(source: &DataSource, pem: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    if count(pem, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") + count(pem, b"Proc-Type: 4,ENCRYPTED") > 0 {
        return Err(refuse(
            source,
            "the private key is encrypted, and no pass phrase is known: decrypt it with `openssl pkey -in OLD -out NEW`",
        ));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => refuse(source, format_args!("no private key: {}", Content(pem))),
        error => broken(source, error),
    })
}

fn broken(source: &DataSource, error: pem::Error) -> Error {
    refuse(source, "the PEM is broken or cut off").with_source(error)
}

/// What is in a file that lacks what it should have.
struct Content<'a>(&'a [u8]);

impl std::fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let labels: Vec<_> = self.0.split(|byte| *byte == b'\n').filter_map(label).collect();
        match (labels.as_slice(), self.0) {
            (_, []) => f.write_str("it is empty"),
            ([], [0x30, ..]) => f.write_str(
                "it looks like DER: convert it with `openssl x509 -inform der` or `openssl pkey -inform der`",
            ),
            ([], _) => f.write_str("it is not PEM"),
            ([label, ..], _) if *label == CERTIFICATE || label.ends_with("PRIVATE KEY") => {
                write!(f, "it holds {}: are the certificate's and the key's files swapped?", labels.join(", "))
            }
            _ => write!(f, "it holds {}", labels.join(", ")),
        }
    }
}

fn label(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok()?.strip_prefix("-----BEGIN ")?.trim_end().strip_suffix("-----")
}

/// How often `pattern`, which is not empty, stands in `text`.
fn count(text: &[u8], pattern: &[u8]) -> usize {
    text.windows(pattern.len()).filter(|window| *window == pattern).count()
}

fn check_pair(config: &CertificateConfig, certified: &CertifiedKey) -> Result<(), Error> {
    use rustls::{Error as Tls, InconsistentKeys};
    let (chain, key) = (&config.certificate_chain, &config.private_key);
    match certified.keys_match() {
        // Unknown: the provider keeps its keys to itself (an HSM) and answers for them.
        Ok(()) | Err(Tls::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(Tls::InconsistentKeys(_)) if certified.cert.iter().any(|other| holds_key(other, certified)) => Err(refuse(
            chain,
            format_args!("the certificate of the private key in {key} must be the first of the chain"),
        )),
        Err(Tls::InconsistentKeys(_)) => Err(Error::new(ErrorKind::Tls).with_detail(format!(
            "the private key in {key} does not belong to the certificate in {chain}: put a matching pair in place"
        ))),
        // rustls reads version 3 only; `openssl x509 -req -signkey` writes version 1, which serves as well.
        Err(_) if certified.cert.first().is_some_and(|leaf| holds_key(leaf, certified)) => Ok(()),
        Err(error) => Err(refuse(
            chain,
            format_args!("the first certificate cannot be read, or the private key in {key} does not belong to it"),
        )
        .with_source(error)),
    }
}

/// Whether the public key stands, as it is, in the certificate.
fn holds_key(certificate: &[u8], certified: &CertifiedKey) -> bool {
    certified.key.public_key().is_some_and(|public| !public.is_empty() && count(certificate, &public) > 0)
}
