//! The health-check filter, as the kubelet's probes and Envoy's own checks see it.

use meshlib_examples::mesh::Options;

use crate::support::{
    app::App,
    file::File,
    h1::{self, Connection, Message},
    h2::Client,
    mesh,
    proxy::Proxy,
};

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: edge\r\n{headers}\r\n")
}

const PROBE: &str = "x-envoy-livenessprobe: healthz\r\n";

/// As the kubelet does it: TLS without ALPN, HTTP/1.1, a connection for each probe.
#[tokio::test]
async fn the_kubelets_probe_gets_200_and_404_without_its_header() {
    let (deployment, _) = mesh(Options { pods: 1, ..Options::default() }).await;
    let address = deployment.edge().local_addrs().next().expect("a listener");
    for (path, headers, status) in [
        ("/healthz", PROBE, "200 OK"),
        ("/healthz", "", "404 Not Found"),
        ("/healthz", "x-envoy-livenessprobe: other\r\n", "404 Not Found"),
        ("/healthz?x=1", PROBE, "404 Not Found"),
        ("/foo", PROBE, "404 Not Found"),
    ] {
        let mut connection = Connection::open_tls(address, &[]).await;
        connection.write(get(path, &format!("{headers}connection: close\r\n"))).await;
        let reply = connection.next().await.expect("a reply");
        assert_eq!(reply.first(), format!("HTTP/1.1 {status}"), "{path} {headers}");
        assert_eq!(reply.fields("content-length"), ["0"]);
        assert!(connection.next().await.is_none(), "closed");
    }
}

#[tokio::test]
async fn the_filter_answers_any_method_and_logs_it() {
    let proxy = Proxy::start(File::to([]).prefix("/api.")).await;
    let reply = h1::call(proxy.address(), &get("/healthz", PROBE)).await;
    let names = ["content-length", "date", "server", "x-envoy-upstream-healthchecked-cluster"];
    assert_eq!((reply.first(), reply.names()), ("HTTP/1.1 200 OK", names.map(str::to_owned).into()));
    assert!(reply.head.contains("x-envoy-upstream-healthchecked-cluster: \r\n"), "no name is configured: {reply:?}");
    let post = format!("POST /healthz HTTP/1.1\r\nhost: edge\r\n{PROBE}content-length: 4\r\n\r\nbody");
    assert_eq!(h1::call(proxy.address(), &post).await.first(), "HTTP/1.1 200 OK");

    let client = Client::connect(proxy.address()).await;
    let probe = |method: &str| client.request(method, "/healthz").header("x-envoy-livenessprobe", "healthz");
    let answer = client.call(probe("GET"), b"").await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.header("x-envoy-upstream-healthchecked-cluster")), (200, ""));
    assert!(answer.headers.get("content-length").is_none(), "HTTP/2 says it otherwise");
    let answer = client.call(probe("POST"), b"body").await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.body()), (200, ""));

    let lines = proxy.log().lines(4).await;
    assert_eq!(lines[0].outcome(), "GET /healthz HTTP/1.1 200 - 0 0");
    assert_eq!(lines[1].outcome(), "POST /healthz HTTP/1.1 200 - 4 0");
    assert_eq!(lines[2].outcome(), "GET /healthz HTTP/2 200 - 0 0");
    assert_eq!(lines[3].outcome(), "POST /healthz HTTP/2 200 - 4 0");
    let absent: Vec<_> = lines.iter().map(|line| (line.service_time(), line.user_agent(), line.upstream())).collect();
    assert_eq!(absent, [("-", "-", "-"); 4]);
}

#[tokio::test]
async fn while_health_fails_probes_do_and_calls_say_so() {
    let app = App::echo().await;
    let proxy = Proxy::start(File::to([app.address()]).prefix("/api.")).await;
    let drain = proxy.server().resources().drain();
    drain.fail_health(true);
    let failing = "x-envoy-immediate-health-check-fail";

    let mut connection = Connection::open(proxy.address()).await;
    connection.write(get("/healthz", PROBE)).await;
    let reply = connection.next().await.expect("a reply");
    assert_eq!(reply.first(), "HTTP/1.1 503 Service Unavailable");
    assert_eq!((reply.fields(failing), reply.fields("connection")), (vec!["true"], vec!["close"]));
    assert!(connection.next().await.is_none(), "closed");

    let client = Client::connect(proxy.address()).await;
    let probe = client.request("GET", "/healthz").header("x-envoy-livenessprobe", "healthz");
    let answer = client.call(probe, b"").await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.header(failing)), (503, "true"));
    let answer = client.call(client.grpc("/api.Echo/Echo"), b"\0\0\0\0\0").await.expect("an answer");
    assert_eq!((answer.trailer("grpc-status"), answer.header(failing)), ("0", "true"), "calls go on, and say so");

    drain.fail_health(false);
    let Message { head, .. } = h1::call(proxy.address(), &get("/healthz", PROBE)).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains(failing), "{head}");
    let lines = proxy.log().lines(4).await;
    let outcomes: Vec<_> = lines.iter().map(crate::support::log::Line::outcome).collect();
    assert_eq!(
        outcomes,
        [
            "GET /healthz HTTP/1.1 503 LH 0 0",
            "GET /healthz HTTP/2 503 LH 0 0",
            "POST /api.Echo/Echo HTTP/2 200 - 5 5",
            "GET /healthz HTTP/1.1 200 - 0 0",
        ]
    );
}
