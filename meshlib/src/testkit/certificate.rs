//! Self-signed certificates, made from chance of a seed, so that a simulation needs no tool to have TLS.

use std::sync::Arc;

use rustls::{
    SignatureScheme,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::SigningKey,
};

use crate::base::{Error, ErrorKind, resources::Random};

/// An Ed25519 key as PKCS#8 writes it (RFC 8410, section 7), up to the 32 bytes of the key itself.
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// `AlgorithmIdentifier` of Ed25519 (RFC 8410, section 3).
const ED25519: [u8; 7] = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
const COMMON_NAME: [u8; 5] = [6, 3, 0x55, 4, 3];
const SUBJECT_ALT_NAME: [u8; 5] = [6, 3, 0x55, 0x1d, 0x11];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// A certificate that signs itself, and its key: valid from 2020 until 2049, for tests and nothing else. The same
/// chance gives the same certificate.
#[derive(Clone, Debug)]
pub struct TestCertificate {
    der: CertificateDer<'static>,
    key: [u8; 32],
}

impl TestCertificate {
    /// A new one for these DNS names.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`]: `provider` has no Ed25519.
    pub fn new(names: &[&str], provider: &CryptoProvider, random: &Random) -> Result<Self, Error> {
        let mut random = random.fork();
        let key: [u8; 32] = std::array::from_fn(|_| random.u64(..).to_be_bytes()[0]);
        let serial = random.u64(1..1 << 62).to_be_bytes();
        let der = sign(names, &serial, &key, provider).ok_or_else(|| {
            Error::new(ErrorKind::Configuration).with_detail("the cryptography cannot sign with Ed25519")
        })?;
        Ok(Self { der: der.into(), key })
    }

    /// The certificate itself, for a client that trusts it.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The certificate as a file.
    pub fn chain_pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// Its key as a file.
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &[&PKCS8[..], &self.key].concat())
    }
}

fn sign(names: &[&str], serial: &[u8], key: &[u8; 32], provider: &CryptoProvider) -> Option<Vec<u8>> {
    let pkcs8 = PrivatePkcs8KeyDer::from([&PKCS8[..], key].concat());
    let key: Arc<dyn SigningKey> = provider.key_provider.load_private_key(PrivateKeyDer::Pkcs8(pkcs8)).ok()?;
    let signer = key.choose_scheme(&[SignatureScheme::ED25519])?;
    let to_sign = contents(names, serial, &key.public_key()?);
    let signature = signer.sign(&to_sign).ok()?;
    let signature = tlv(BIT_STRING, &[&[0], &*signature]);
    Some(tlv(SEQUENCE, &[&to_sign, &ED25519, &signature]))
}

/// `TBSCertificate` (RFC 5280, section 4.1).
fn contents(names: &[&str], serial: &[u8], public_key: &[u8]) -> Vec<u8> {
    let common_name = tlv(UTF8_STRING, &[names.first().map_or("test", |name| name).as_bytes()]);
    let name = tlv(SEQUENCE, &[&tlv(SET, &[&tlv(SEQUENCE, &[&COMMON_NAME, &common_name])])]);
    let validity = tlv(SEQUENCE, &[&tlv(UTC_TIME, &[b"200101000000Z"]), &tlv(UTC_TIME, &[b"490101000000Z"])]);
    // dNSName is [2] of GeneralName.
    let names: Vec<u8> = names.iter().flat_map(|name| tlv(0x82, &[name.as_bytes()])).collect();
    let alternatives = tlv(OCTET_STRING, &[&tlv(SEQUENCE, &[&names])]);
    let extensions = tlv(0xa3, &[&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&SUBJECT_ALT_NAME, &alternatives])])]);
    // Version 3 is written as 2.
    let version = tlv(0xa0, &[&tlv(INTEGER, &[&[2]])]);
    let serial = tlv(INTEGER, &[serial]);
    tlv(SEQUENCE, &[&version, &serial, &ED25519, &name, &validity, &name, public_key, &extensions])
}

/// One value of DER: tag, length, content.
fn tlv(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let length: usize = content.iter().map(|part| part.len()).sum();
    let mut value = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..0x80) => value.push(short),
        Ok(long) => value.extend([0x81, long]),
        Err(_) => {
            value.push(0x82);
            value.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    content.iter().for_each(|part| value.extend_from_slice(part));
    value
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        text.push_str(&base64(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().skip(1).zip(chunk) {
            *to = *from;
        }
        let word = u32::from_be_bytes(word);
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit > chunk.len() {
                '='
            } else {
                DIGITS.get(index).map_or('=', |digit| char::from(*digit))
            });
        }
    }
    text
}
