use rustls::version::TLS13;

use super::*;
use crate::base::{ErrorKind, resources::SystemFiles};
use crate::net::tls::CertificateStore;

macro_rules! testdata {
    ($name:literal) => {
        include_bytes!(concat!("../testdata/", $name))
    };
}

fn config(chain: &[u8], key: &[u8]) -> CertificateConfig {
    CertificateConfig::inline(chain, key)
}

fn refused(config: CertificateConfig) -> String {
    CertificateStore::load(&[config], Arc::new(SystemFiles), &provider()).unwrap_err().to_string()
}

const RSA: &[u8] = testdata!("test-rsa-ca-true-no-san.crt.pem");
const EC: &[u8] = testdata!("test-ec.crt.pem");
const EC_KEY: &[u8] = testdata!("test-key-ec.sec1.pem");

#[tokio::test]
async fn every_key_format_that_openssl_writes_serves() {
    let both = [EC, EC_KEY].concat();
    let pairs = [
        ("the deployment's own `openssl req -x509`", config(RSA, testdata!("test-key-rsa.pkcs8.pem"))),
        ("PKCS#1", config(RSA, testdata!("test-key-rsa.pkcs1.pem"))),
        ("SEC1 behind EC PARAMETERS", config(EC, EC_KEY)),
        ("one file with both", config(&both, &both)),
        ("Ed25519", config(testdata!("test-ed25519.crt.pem"), testdata!("test-key-ed25519.pkcs8.pem"))),
    ];
    for (what, pair) in pairs {
        let (acceptor, _) = acceptor(DownstreamTlsConfig::new(vec![pair]));
        Client::new().connect(&acceptor, "a.example").await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

#[tokio::test]
async fn a_version_1_certificate_serves_with_its_own_key_only() {
    const V1: &[u8] = testdata!("test-ec-x509-v1.crt.pem");
    let (acceptor, _) = acceptor(DownstreamTlsConfig::new(vec![config(V1, EC_KEY)]));
    Client::with(&[&TLS13], Vec::new(), false).connect(&acceptor, "a.example").await.unwrap();
    let error = refused(config(V1, ecdsa(&[]).key.as_bytes()));
    assert!(error.contains("does not belong to it"), "{error}");
}

#[test]
fn a_chain_is_sent_whole_and_its_order_is_checked() {
    let [chain, reversed] = [[EC, RSA].concat(), [RSA, EC].concat()];
    CertificateStore::load(&[config(&chain, EC_KEY)], Arc::new(SystemFiles), &provider()).unwrap();
    let error = refused(config(&reversed, EC_KEY));
    assert!(error.contains("must be the first of the chain"), "{error}");
    let glued = [EC.trim_ascii_end(), RSA].concat();
    let error = refused(config(&glued, EC_KEY));
    assert!(error.contains("2 certificates begin, but only 1 on a line of their own"), "{error}");
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let der = ecdsa(&[]).leaf().to_vec();
    let half = &EC[..EC.len() / 2];
    let cases: [(CertificateConfig, &[&str]); 13] = [
        (config(b"", EC_KEY), &["no certificate", "it is empty"]),
        (config(b"hello\n", EC_KEY), &["no certificate", "it is not PEM"]),
        (config(&der, EC_KEY), &["no certificate", "DER", "openssl x509 -inform der"]),
        (config(EC_KEY, EC), &["no certificate", "it holds EC PARAMETERS, EC PRIVATE KEY"]),
        (config(RSA, RSA), &["no private key", "it holds CERTIFICATE", "swapped?"]),
        (config(half, EC_KEY), &["the PEM is broken or cut off"]),
        (config(EC, b""), &["no private key", "it is empty"]),
        (config(EC, &EC_KEY[..EC_KEY.len() - 40]), &["the PEM is broken or cut off"]),
        (config(EC, testdata!("test-key-ec.encrypted-pkcs8.pem")), &["encrypted", "openssl pkey -in OLD -out NEW"]),
        (config(EC, testdata!("test-key-ec.encrypted-sec1.pem")), &["encrypted", "openssl pkey -in OLD -out NEW"]),
        (
            config(EC, testdata!("test-key-rsa.pkcs8.pem")),
            &["the private key in", "does not belong to the certificate in"],
        ),
        (
            config(testdata!("test-rsa-1024.crt.pem"), testdata!("test-key-rsa-1024.pkcs8.pem")),
            &["cannot be used", "RSA of 2048 bits or more"],
        ),
        (config(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", EC_KEY), &["cannot be read"]),
    ];
    for (config, says) in cases {
        let error = refused(config);
        for part in says {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
        assert!(!error.contains("PRIVATE KEY-----"), "{error}");
    }
}

#[test]
fn errors_name_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let [chain, key] = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
    let pair = CertificateConfig::files(&chain, &key);
    let load = || CertificateStore::load(std::slice::from_ref(&pair), Arc::new(SystemFiles), &provider());

    let missing = load().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
    assert!(missing.to_string().starts_with(&*chain.to_string_lossy()), "{missing}");
    std::fs::write(&chain, EC).unwrap();
    assert!(load().unwrap_err().to_string().starts_with(&*key.to_string_lossy()));
    std::fs::write(&key, testdata!("test-key-rsa.pkcs1.pem")).unwrap();
    let mismatch = load().unwrap_err().to_string();
    assert!(mismatch.contains(&*chain.to_string_lossy()) && mismatch.contains(&*key.to_string_lossy()), "{mismatch}");
    std::fs::write(&key, EC_KEY).unwrap();
    load().unwrap();
    assert_eq!(
        TlsAcceptor::builder(DownstreamTlsConfig::new(vec![pair])).build().unwrap_err().kind(),
        ErrorKind::Configuration
    );
    assert_eq!(
        TlsAcceptor::builder(DownstreamTlsConfig::new(Vec::new())).build().unwrap_err().to_string(),
        "TLS needs a certificate, and there is none"
    );
}
