//! The program `tonic-server`.

use std::{sync::Arc, time::Duration};

use meshlib_examples::{
    certificate::SelfSigned,
    client::{EchoClient, any_certificate},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

use crate::support::{Running, plain, program, run};

/// Starts it on files; what it is reached by.
fn start(certificate: &SelfSigned, arguments: &[&str]) -> (Running, String) {
    let files = [certificate.chain_path(), certificate.key_path()].map(|path| path.display().to_string());
    let mut command = program("tonic-server");
    let mut server = Running::start(command.args(["--cert", &files[0], "--key", &files[1]]).args(arguments));
    server.until("Try (Ctrl-C drains and ends)");
    let line = server.line();
    let url = line.strip_prefix("cargo run --example call -- ").and_then(|rest| rest.strip_suffix(" hello")).unwrap();
    (server, url.to_owned())
}

/// A connection without ALPN: HTTP/1.1, by its first byte.
async fn connect(url: &str) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(url.strip_prefix("https://").unwrap()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(any_certificate(&[]).unwrap()));
    connector.connect("localhost".try_into().unwrap(), socket).await.unwrap()
}

// The client's connection needs a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_serves_tonic_swaps_its_certificate_and_drains() {
    let mut certificate = SelfSigned::new("localhost").unwrap();
    let (mut server, url) = start(&certificate, &["--drain", "5"]);
    let called = run("call", &[&url, "hello"]);
    assert!(plain(&called.stdout).contains("\nResponse contents\nhello\n"), "{}", plain(&called.stderr));

    let client = EchoClient::connect(&url).await.unwrap();
    let mut health = HealthClient::new(client.channel());
    let mut states = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let mut next = async || states.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving.into());

    certificate.rotate("localhost").unwrap();
    let begin = Instant::now();
    // The store looks at the files each second; nothing tells when it did.
    while connect(&url).await.get_ref().1.peer_certificates().unwrap()[0] != *certificate.der() {
        assert!(begin.elapsed() < Duration::from_secs(30), "the old certificate is still there");
    }
    assert_eq!(client.echo("as before").await.unwrap().content, "as before");

    server.signal("TERM");
    assert_eq!(next().await, ServingStatus::NotServing.into());
    assert_eq!(server.line(), "Draining: connections are taken for 1 s more. The same again ends at once.");
    assert_eq!(client.echo("draining").await.unwrap().content, "draining");
    // A watch never ends by itself: it would be cut after 5 s.
    drop((states, health, client));
    assert_eq!(server.end().0.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_end_with_age() {
    let certificate = SelfSigned::new("localhost").unwrap();
    let (mut server, url) = start(&certificate, &["--max-age", "1"]);
    let mut connection = connect(&url).await;
    connection.write_all(b"GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Until the server closes: the idle time is 5 min.
    connection.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{}", answer.escape_ascii());
    server.signal("INT");
    server.until("Draining: connections are taken for 5 s more. The same again ends at once.");
    server.signal("INT");
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn wrong_arguments_are_refused() {
    let output = run("tonic-server", &["--cert", "tls.crt"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(plain(&output.stderr).starts_with("tonic-server: --cert and --key need each other\nusage: tonic-server "));
}
