//! The programs `edge` and `sidecar`.

use http::{Request, StatusCode};
use meshlib_examples::{certificate::SelfSigned, client::EchoClient, echo::EchoServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tonic::body::Body;
use tower::ServiceExt;

use crate::support::{Running, plain, program, run};

const DRAINING: &str = "Draining: connections are taken for 5 s more. The same again ends at once.";

/// A proxy that runs: its URL is in the lines to try.
struct Proxy {
    program: Running,
    url: String,
    printed: String,
}

impl Proxy {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut program = Running::start(program(name).args(arguments));
        let printed = program.until("Access log");
        let (_, url) = printed.split_once("curl -k -i -H 'x-envoy-livenessprobe: healthz' ").unwrap();
        let url = url.split_once("/healthz\n").unwrap().0.to_owned();
        Self { program, url, printed }
    }

    async fn client(&self) -> EchoClient {
        EchoClient::connect(&self.url).await.unwrap()
    }

    /// Asks for the end, and then for one at once; what it has printed since the start.
    fn stop(mut self) -> String {
        self.program.signal("TERM");
        let before = self.program.until(DRAINING);
        self.program.signal("TERM");
        let (status, after) = self.program.end();
        assert_eq!(status.code(), Some(0), "{after}");
        before + &after
    }
}

/// The answer to a GET on the client's connection.
async fn get(client: &EchoClient, path: &str) -> StatusCode {
    let request = Request::get(path).header("x-envoy-livenessprobe", "healthz").body(Body::empty()).unwrap();
    client.channel().oneshot(request).await.unwrap().status()
}

/// Calls with the very command that the proxy printed.
fn call_as_printed(proxy: &Proxy) -> String {
    let line = format!("cargo run --example call -- {} hello", proxy.url);
    assert!(proxy.printed.contains(&line), "{}", proxy.printed);
    let output = run("call", &[&proxy.url, "hello"]);
    assert!(output.status.success(), "{}", plain(&output.stderr));
    plain(&output.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_edge_without_arguments_serves_and_drains() {
    let mut edge = Proxy::start("edge", &[]);
    assert!(edge.url.starts_with("https://127.0.0.1:"), "{}", edge.url);
    assert!(call_as_printed(&edge).contains("\nhostname: built-in\n"));
    let client = edge.client().await;
    assert_eq!(get(&client, "/healthz").await, StatusCode::OK);

    edge.program.signal("TERM");
    let logged = edge.program.until(DRAINING);
    assert_eq!(get(&client, "/healthz").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client.echo("draining").await.unwrap().content, "draining");
    // Before the accepting ends nothing does; then the client's connection is told to go, and the process is gone.
    let (status, rest) = edge.program.end();
    assert_eq!(status.code(), Some(0));
    let log = logged + &rest;
    for line in ["\"POST /api.Echo/Echo HTTP/2\" 200 - ", "\"GET /healthz HTTP/2\" 503 LH "] {
        assert!(log.contains(line), "{line} is not in {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_edge_serves_what_its_arguments_say() {
    let application = EchoServer::start("127.0.0.1:0".parse().unwrap(), "mine").await.unwrap();
    let (certificate, upstream) = (SelfSigned::new("localhost").unwrap(), application.address().to_string());
    let files = [certificate.chain_path(), certificate.key_path()].map(|path| path.display().to_string());
    let arguments = ["--upstream", &upstream, "--listen", "127.0.0.1:0", "--key", &files[1], "--cert", &files[0]];
    let edge = Proxy::start("edge", &arguments);
    let client = edge.client().await;
    assert_eq!(client.echo("hello").await.unwrap().hostname(), Some("mine"));
    assert_eq!(application.calls(), 1);
    edge.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_edge_serves_http1_applications() {
    let application = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = application.local_addr().unwrap().to_string();
    let answered = tokio::spawn(async move {
        let (mut socket, _) = application.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = socket.read(&mut head).await.unwrap();
        socket.write_all(b"HTTP/1.1 418 Teapot\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    let edge = Proxy::start("edge", &["--upstream", &upstream, "--http1"]);
    assert_eq!(get(&edge.client().await, "/tea").await, StatusCode::IM_A_TEAPOT);
    let head = answered.await.unwrap();
    assert!(head.starts_with("GET /tea HTTP/1.1\r\n"), "{head}");
    edge.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_sidecar_serves_its_application_and_its_health() {
    let sidecar = Proxy::start("sidecar", &[]);
    assert!(call_as_printed(&sidecar).contains("\nhostname: built-in\n"));
    let client = sidecar.client().await;
    assert_eq!(get(&client, "/healthz").await, StatusCode::OK);
    let mut health = tonic_health::pb::health_client::HealthClient::new(client.channel());
    let served = health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(served.status(), tonic_health::ServingStatus::Serving.into());
    // Nothing else has a route.
    assert_eq!(get(&client, "/").await, StatusCode::NOT_FOUND);
    let log = sidecar.stop();
    for line in ["\"POST /api.Echo/Echo HTTP/2\" 200 - ", "\"POST /grpc.health.v1.Health/Check HTTP/2\" 200 - "] {
        assert!(log.contains(line), "{line} is not in {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_sidecar_serves_what_its_arguments_say() {
    let application = EchoServer::start("127.0.0.1:0".parse().unwrap(), "mine").await.unwrap();
    let address = application.address().to_string();
    let sidecar = Proxy::start("sidecar", &["--listen", "0.0.0.0:0", "--application", &address]);
    assert!(sidecar.url.starts_with("http://127.0.0.1:"), "{}", sidecar.url);
    assert_eq!(sidecar.client().await.echo("hello").await.unwrap().hostname(), Some("mine"));
    sidecar.stop();
}

#[test]
fn wrong_arguments_are_refused_with_the_usage() {
    let address = "is not an IP address with a port, such as 127.0.0.1:";
    for (name, arguments, said) in [
        ("edge", &["--listen", "localhost:80"][..], address),
        ("edge", &["--listen"], "--listen needs a value: an IP address with a port"),
        ("edge", &["--upstream", "localhost"], "\"localhost\" is not a host with a port, such as localhost:8081"),
        ("edge", &["--upstream", "http://localhost:80"], "is not a host with a port"),
        ("edge", &["--upstream", ":80"], "is not a host with a port"),
        ("edge", &["--upstream", "localhost:65536"], "is not a host with a port"),
        ("edge", &["--cert", "a"], "--cert and --key need each other"),
        ("edge", &["--http1"], "--http1 is for --upstream"),
        ("edge", &["--http1", "--http1"], "\"--http1\" is not known, or stands there twice"),
        ("sidecar", &["--application", "localhost:80"], address),
        ("sidecar", &["127.0.0.1:80"], "\"127.0.0.1:80\" is not known, or stands there twice"),
    ] {
        let output = run(name, arguments);
        let text = plain(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {text}");
        assert!(text.starts_with(&format!("{name}: ")) && text.contains(said), "{arguments:?}: {text}");
        assert!(text.contains(&format!("\nusage: {name} ")), "{arguments:?}: {text}");
    }
}

#[test]
fn a_start_that_fails_says_why() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let missing = ["--cert", "/nonexistent/tls.crt", "--key", "/nonexistent/tls.key"];
    for (name, arguments, said) in [
        ("edge", &["--listen", &taken][..], &*taken),
        ("edge", &missing, "/nonexistent/tls.crt"),
        ("sidecar", &["--listen", &taken], &*taken),
    ] {
        let output = run(name, arguments);
        let text = plain(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{arguments:?}: {text}");
        assert!(text.starts_with(&format!("{name}: ")) && text.contains(said), "{arguments:?}: {text}");
    }
}
