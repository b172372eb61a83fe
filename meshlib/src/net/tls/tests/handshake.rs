use std::time::Duration;

use rustls::{
    SignatureScheme,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::*;
use crate::base::ErrorKind;

fn one() -> (TlsAcceptor, Stats) {
    acceptor(DownstreamTlsConfig::new(vec![ecdsa(&["a.example"]).config()]))
}

#[tokio::test]
async fn h2_is_preferred_and_told() {
    let (acceptor, stats) = one();
    let (seen, info) = Client::new().alpn(&["http/1.1", "h2"]).connect(&acceptor, "a.example").await.unwrap();
    assert_eq!(seen.alpn.as_deref(), Some(&b"h2"[..]));
    assert_eq!(info.alpn.as_deref(), Some(&b"h2"[..]));
    assert_eq!(info.server_name.as_deref(), Some("a.example"));
    assert_eq!(info.version, Some("TLSv1.3"));
    for (name, value) in [("handshake", 1), ("no_certificate", 1), ("connection_error", 0), ("session_reused", 0)] {
        assert_eq!(stats.counter_value(&format!("listener.l.ssl.{name}")), Some(value), "{name}");
    }
    assert_eq!(stats.counter_value("listener.l.ssl.versions.TLSv1.3"), Some(1));
}

#[tokio::test]
async fn clients_without_alpn_or_with_foreign_alpn_go_on_without() {
    let (acceptor, stats) = one();
    for client in [Client::new(), Client::new().alpn(&["istio", "h3"])] {
        let (seen, info) = client.connect(&acceptor, "a.example").await.unwrap();
        assert_eq!((seen.alpn, info.alpn), (None, None));
    }
    assert_eq!(stats.counter_value("listener.l.ssl.connection_error"), Some(0));
}

#[tokio::test]
async fn configured_protocols_replace_the_default() {
    let mut config = DownstreamTlsConfig::new(vec![ecdsa(&["a.example"]).config()]);
    config.alpn = Some(vec!["http/1.1".into()]);
    let (acceptor, _) = acceptor(config.clone());
    let (seen, _) = Client::new().alpn(&["h2", "http/1.1"]).connect(&acceptor, "a.example").await.unwrap();
    assert_eq!(seen.alpn.as_deref(), Some(&b"http/1.1"[..]));
    let (seen, _) = Client::new().alpn(&["h2"]).connect(&acceptor, "a.example").await.unwrap();
    assert_eq!(seen.alpn, None);

    config.alpn = Some(vec![String::new()]);
    assert_eq!(TlsAcceptor::builder(config).build().unwrap_err().kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn tls_1_2_is_served() {
    let (acceptor, stats) = one();
    let (_, info) = Client::with(&[&TLS12], Vec::new(), true).connect(&acceptor, "a.example").await.unwrap();
    assert_eq!(info.version, Some("TLSv1.2"));
    assert_eq!(stats.counter_value("listener.l.ssl.versions.TLSv1.2"), Some(1));
}

/// A ClientHello as an old client writes it, with the one extension that rustls insists on.
fn old_client_hello(minor_version: u8) -> Vec<u8> {
    let mut hello = vec![3, minor_version];
    hello.extend([7; 32]); // random
    hello.push(0); // no session
    hello.extend([0, 4, 0xc0, 0x13, 0xc0, 0x14]); // ECDHE with RSA and AES-CBC
    hello.extend([1, 0]); // no compression
    hello.extend([0, 8, 0, 13, 0, 4, 0, 2, 4, 3]); // signature_algorithms: ECDSA with P-256 and SHA-256
    let mut record = vec![22, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
    record.extend(hello);
    record
}

#[tokio::test]
async fn tls_1_1_is_refused_by_an_alert() {
    let (acceptor, stats) = one();
    let (mut ours, theirs) = tokio::io::duplex(1024);
    ours.write_all(&old_client_hello(2)).await.unwrap();
    let error = acceptor.accept(theirs).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    let mut alert = Vec::new();
    ours.read_to_end(&mut alert).await.unwrap();
    assert_eq!(alert[0], 21, "an alert");
    assert_eq!(alert[5..], [2, 70], "fatal, protocol_version");
    assert_eq!(stats.counter_value("listener.l.ssl.connection_error"), Some(1));
}

#[tokio::test]
async fn what_is_no_client_hello_fails_at_once() {
    let (acceptor, stats) = one();
    let mut cut = old_client_hello(3);
    cut[8] = 0xff; // the message claims more than its record holds
    let wrong_type = [&[22, 3, 1, 0, 4, 2, 0, 0, 0][..]].concat();
    let cases = [(b"GET / HTTP/1.1\r\n\r\n".to_vec(), "does not speak TLS"), (wrong_type, "handshake failed")];
    for (bytes, says) in cases {
        let (mut ours, theirs) = tokio::io::duplex(1024);
        ours.write_all(&bytes).await.unwrap();
        let error = acceptor.accept(theirs).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(stats.counter_value("listener.l.ssl.connection_error"), Some(2));

    // Cut off in the middle: the client went away, which is no fault of the protocol.
    let (mut ours, theirs) = tokio::io::duplex(1024);
    ours.write_all(&cut).await.unwrap();
    drop(ours);
    assert_eq!(acceptor.accept(theirs).await.unwrap_err().kind(), ErrorKind::DownstreamTermination);
    assert_eq!(stats.counter_value("listener.l.ssl.connection_error"), Some(2));
}

#[tokio::test]
async fn random_bytes_never_panic() {
    let (acceptor, _) = one();
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..2000 {
        let mut bytes = old_client_hello(3);
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let (mut ours, theirs) = tokio::io::duplex(1024);
        ours.write_all(&bytes).await.unwrap();
        ours.shutdown().await.unwrap();
        assert!(acceptor.accept(theirs).await.is_err(), "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_limit_bounds_the_whole_handshake() {
    let (acceptor, stats) = one();
    let hello = old_client_hello(3);
    for sent in [0, 1, hello.len() - 1] {
        let (mut ours, theirs) = tokio::io::duplex(1024);
        ours.write_all(&hello[..sent]).await.unwrap();
        let begin = Instant::now();
        let error = acceptor.accept(theirs).await.unwrap_err();
        assert_eq!(error.to_string(), "the TLS handshake took longer than 10s");
        assert_eq!(begin.elapsed().as_secs(), 10);
    }
    assert_eq!(stats.counter_value("listener.l.downstream_cx_transport_socket_connect_timeout"), Some(3));

    // A byte every four seconds does not keep it open.
    let (mut ours, theirs) = tokio::io::duplex(1024);
    let begin = Instant::now();
    let drip = async {
        for byte in &hello {
            tokio::time::sleep(Duration::from_secs(4)).await;
            if ours.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    let (result, ()) = tokio::join!(acceptor.accept(theirs), drip);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Tls);
    assert!(begin.elapsed() < Duration::from_secs(13), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn sessions_resume_on_every_clone() {
    let (acceptor, stats) = one();
    for version in [&TLS13, &TLS12] {
        let client = Client::with(&[version], Vec::new(), true);
        assert!(!client.connect(&acceptor, "a.example").await.unwrap().0.resumed);
        assert!(client.connect(&acceptor.clone(), "a.example").await.unwrap().0.resumed);
    }
    assert_eq!(stats.counter_value("listener.l.ssl.session_reused"), Some(2));
}

#[tokio::test]
async fn certificates_are_chosen_by_name_then_by_key() {
    let rsa = include_str!("../testdata/test-key-rsa.pkcs8.pem");
    let rsa_key = KeyPair::from_pem(rsa).unwrap();
    let rsa_for = |names: &[&str]| {
        let params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        Pem { chain: params.self_signed(&rsa_key).unwrap().pem(), key: rsa.to_owned() }
    };
    let (first, wild, exact) = (rsa_for(&["a.example"]), ecdsa(&["*.example"]), rsa_for(&["b.example"]));
    let twin = ecdsa(&["b.example"]);
    let pems = [&first, &wild, &exact, &twin];
    let (acceptor, _) = acceptor(DownstreamTlsConfig::new(pems.iter().map(|pem| pem.config()).collect()));

    let rsa_only = vec![SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256];
    let cases = [
        ("a.example", Vec::new(), &first, "an RSA certificate for the very name beats an elliptic wildcard"),
        ("b.example", Vec::new(), &twin, "of two that fit alike, the elliptic key"),
        ("b.example", rsa_only.clone(), &exact, "what the client can verify"),
        ("c.example", Vec::new(), &wild, "the wildcard"),
        ("c.example", rsa_only, &first, "the first the client can verify"),
        ("a.b.example", Vec::new(), &first, "no name fits: the first"),
        ("elsewhere.test", vec![SignatureScheme::ECDSA_NISTP256_SHA256], &wild, "the first with a key that will do"),
    ];
    for (name, schemes, expected, why) in cases {
        for version in [&TLS13, &TLS12] {
            let client = Client::with(&[version], schemes.clone(), true);
            let (seen, _) = client.connect(&acceptor, name).await.unwrap();
            assert!(seen.leaf == Some(expected.leaf()), "{name} {version:?}: {why}");
        }
    }
    // An address is no server name.
    let (seen, info) = Client::new().connect(&acceptor, "127.0.0.1").await.unwrap();
    assert_eq!(info.server_name, None);
    assert_eq!(seen.leaf, Some(wild.leaf()), "elliptic first where there is no name");
}

#[tokio::test]
async fn nothing_in_common_is_an_error_of_the_handshake() {
    let (acceptor, stats) = one();
    let client = Client::with(&[&TLS13], vec![SignatureScheme::RSA_PSS_SHA256], true);
    let (ours, theirs) = tokio::io::duplex(1024);
    let connect = TlsConnector::from(Arc::new(client.config)).connect("a.example".try_into().unwrap(), ours);
    let (client, server) = tokio::join!(connect, acceptor.accept(theirs));
    assert!(client.is_err());
    assert!(server.unwrap_err().to_string().contains("NoSignatureSchemesInCommon"));
    assert_eq!(stats.counter_value("listener.l.ssl.connection_error"), Some(1));
}

#[tokio::test]
async fn a_cut_is_not_taken_for_an_end() {
    let (acceptor, _) = one();
    for clean in [true, false] {
        let (ours, theirs) = tokio::io::duplex(1024);
        let client = async {
            let connector = TlsConnector::from(Arc::new(Client::new().config));
            let mut stream = connector.connect("a.example".try_into().unwrap(), ours).await.unwrap();
            stream.write_all(b"some").await.unwrap();
            if clean {
                stream.shutdown().await.unwrap();
            }
            stream
        };
        let (server, client) = tokio::join!(acceptor.accept(theirs), client);
        drop(client);
        let mut read = Vec::new();
        let end = server.unwrap().0.read_to_end(&mut read).await;
        assert_eq!(read, b"some");
        assert_eq!(end.is_ok(), clean);
    }
}

#[tokio::test]
async fn a_handshake_can_be_spawned_and_is_small_enough_to() {
    fn size_of_send<T: Send>(_: &T) -> usize {
        size_of::<T>()
    }
    let (acceptor, _) = one();
    let size = size_of_send(&acceptor.accept(tokio::io::duplex(1024).0));
    assert!((1..6 << 10).contains(&size), "{size}");
}
