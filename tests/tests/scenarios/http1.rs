//! The edge as HTTP/1.1 clients see it: probes of the kubelet, wrong requests, local replies.

use meshlib_examples::mesh::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{mesh, tls::tls};

/// Sends `request` over TLS without ALPN, as the kubelet does, and returns all that comes back.
async fn exchange(url: &str, request: &str) -> String {
    let mut stream = tls(url.trim_start_matches("https://"), &[]).await;
    stream.write_all(request.as_bytes()).await.expect("the request goes out");
    let mut response = Vec::new();
    // A server that closes without close_notify is no failure here.
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8(response).expect("text")
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n{headers}\r\n")
}

#[tokio::test]
async fn the_kubelets_probe_gets_200_and_404_without_its_header() {
    let (deployment, _) = mesh(Options { pods: 1, ..Options::default() }).await;
    let url = deployment.url();
    let probe = "x-envoy-livenessprobe: healthz\r\n";
    for (path, headers, status) in [
        ("/healthz", probe, "200 OK"),
        ("/healthz", "", "404 Not Found"),
        ("/healthz?x=1", probe, "404 Not Found"),
        ("/foo", "", "404 Not Found"),
    ] {
        let response = exchange(&url, &get(path, headers)).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{path} {headers}: {response}");
        assert!(response.to_ascii_lowercase().contains("\r\nserver: envoy\r\n"), "{response}");
        assert!(response.to_ascii_lowercase().contains("\r\ndate: "), "{response}");
    }
}

#[tokio::test]
async fn probes_fail_once_health_is_told_to() {
    let (deployment, client) = mesh(Options { pods: 1, ..Options::default() }).await;
    deployment.edge().resources().drain().fail_health(true);
    let probe = get("/healthz", "x-envoy-livenessprobe: healthz\r\n");
    let response = exchange(&deployment.url(), &probe).await.to_ascii_lowercase();
    assert!(response.starts_with("http/1.1 503 "), "{response}");
    assert!(response.contains("x-envoy-immediate-health-check-fail: true"), "{response}");
    assert!(response.contains("connection: close"), "{response}");
    let reply = client.echo("hello").await.expect("calls go on");
    assert_eq!(reply.headers.get("x-envoy-immediate-health-check-fail").expect("told to all"), "true");
    deployment.edge().resources().drain().fail_health(false);
    assert!(exchange(&deployment.url(), &probe).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn http_1_0_is_told_to_upgrade_and_nonsense_is_refused() {
    let (deployment, _) = mesh(Options { pods: 1, ..Options::default() }).await;
    let url = deployment.url();
    let old = exchange(&url, "GET /healthz HTTP/1.0\r\nhost: edge\r\n\r\n").await;
    assert!(old.contains(" 426 Upgrade Required\r\n"), "{old}");
    let nonsense = exchange(&url, "NONSENSE\r\n\r\n").await;
    assert!(nonsense.starts_with("HTTP/1.1 400 "), "{nonsense}");
    let nameless = exchange(&url, "GET /foo HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(nameless.starts_with("HTTP/1.1 400 "), "{nameless}");
}

#[tokio::test]
async fn a_grpc_request_without_a_route_is_unimplemented() {
    let (deployment, _) = mesh(Options { pods: 1, ..Options::default() }).await;
    let request = get("/nobody.Home/Call", "content-type: application/grpc\r\nte: trailers\r\n");
    let response = exchange(&deployment.url(), &request).await.to_ascii_lowercase();
    assert!(response.starts_with("http/1.1 200 "), "{response}");
    assert!(response.contains("grpc-status: 12"), "{response}");
    assert!(!response.contains("grpc-message"), "{response}");
}
