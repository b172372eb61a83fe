//! A self-signed certificate in PEM files, for listeners that terminate TLS.
//!
//! It is what `openssl req -x509 -nodes -newkey rsa:2048` makes: an RSA key of 2048 bits and a certificate that signed
//! itself. Clients must be told to accept it, as [`EchoClient`](crate::client::EchoClient) is.
//!
//! ```
//! let certificate = meshlib_examples::certificate::SelfSigned::new("localhost")?;
//! assert!(std::fs::read_to_string(certificate.key_path())?.starts_with("-----BEGIN PRIVATE KEY-----"));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

/// A certificate and its key in two files of a directory that is removed on drop.
#[derive(Debug)]
pub struct SelfSigned {
    directory: TempDir,
    der: CertificateDer<'static>,
}

impl SelfSigned {
    /// Makes a key and a certificate for `name` (a DNS name or an IP address: its common name and its subject
    /// alternative name), and writes `tls.crt` and `tls.key`, the names of a Kubernetes TLS Secret.
    ///
    /// # Errors
    /// When `name` cannot stand in a certificate, or a file cannot be written.
    pub fn new(name: &str) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("meshlib-certificate-").tempdir()?;
        let der = write(directory.path(), name)?;
        Ok(Self { directory, der })
    }

    /// Makes another key and certificate and puts them in the place of the first, as a rotated Secret does. Each
    /// file is replaced at once; a reader that comes between the two sees a pair that does not match.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn rotate(&mut self, name: &str) -> io::Result<()> {
        self.der = write(self.directory.path(), name)?;
        Ok(())
    }

    /// The directory of both files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The certificate's file, in PEM.
    pub fn chain_path(&self) -> PathBuf {
        self.directory.path().join("tls.crt")
    }

    /// The private key's file: PKCS#8 in PEM.
    pub fn key_path(&self) -> PathBuf {
        self.directory.path().join("tls.key")
    }

    /// The certificate itself, to compare with what a server showed.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

fn write(directory: &Path, name: &str) -> io::Result<CertificateDer<'static>> {
    let invalid = |error: rcgen::Error| io::Error::new(io::ErrorKind::InvalidInput, error);
    let mut params = CertificateParams::new([name.to_owned()]).map_err(invalid)?;
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(io::Error::other)?;
    let certificate = params.self_signed(&key).map_err(invalid)?;
    replace(directory, "tls.key", &key.serialize_pem())?;
    replace(directory, "tls.crt", &certificate.pem())?;
    Ok(certificate.der().clone())
}

/// Writes beside the file and renames, so that no reader sees half of it.
fn replace(directory: &Path, name: &str, content: &str) -> io::Result<()> {
    let new = directory.join(format!("{name}.new"));
    fs::write(&new, content)?;
    fs::rename(&new, directory.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pair_of_files_makes_a_tls_server() {
        let mut certificate = SelfSigned::new("localhost").unwrap();
        let first = certificate.der().clone();
        certificate.rotate("127.0.0.1").unwrap();
        assert_ne!(&first, certificate.der());

        let chain = rustls::pki_types::pem::PemObject::pem_file_iter(certificate.chain_path()).unwrap();
        let chain: Vec<CertificateDer<'static>> = chain.collect::<Result<_, _>>().unwrap();
        let key = rustls::pki_types::pem::PemObject::from_pem_file(certificate.key_path()).unwrap();
        assert_eq!(&chain[0], certificate.der());
        // Fails when the key is not that of the certificate.
        rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
    }

    #[test]
    fn the_files_go_with_the_value() {
        let certificate = SelfSigned::new("localhost").unwrap();
        let directory = certificate.directory().to_owned();
        assert!(directory.exists());
        drop(certificate);
        assert!(!directory.exists());
    }
}
