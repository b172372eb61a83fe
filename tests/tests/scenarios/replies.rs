//! What the proxy answers by itself, in HTTP/1.1, HTTP/2 and gRPC, and how it logs it: Envoy's statuses, texts and
//! flags.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use meshlib_examples::demo::Loopback;
#[cfg(target_os = "linux")]
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{
    app::App,
    eventually,
    file::File,
    h1,
    h2::{Answer, Client},
    proxy::Proxy,
};

/// One local reply.
struct Reply {
    status: u16,
    flags: &'static str,
    text: &'static str,
    grpc_status: &'static str,
    /// What the reply carries beyond its text.
    overloaded: bool,
}

impl Reply {
    const fn unavailable(flags: &'static str, text: &'static str) -> Self {
        Self { status: 503, flags, text, grpc_status: "14", overloaded: false }
    }

    /// Asks in all three ways; the log says the same of each.
    async fn check(&self, proxy: &Proxy) {
        self.check_h1(&h1::call(proxy.address(), "GET /api.Echo/Echo HTTP/1.1\r\nhost: a.test\r\n\r\n").await);
        let client = Client::connect(proxy.address()).await;
        self.check_h2(&client.call(client.request("GET", "/api.Echo/Echo"), b"").await.expect("an answer"));
        let grpc = client.call(client.grpc("/api.Echo/Echo"), b"\0\0\0\0\x06\x0a\x04echo").await;
        self.check_grpc(&grpc.expect("an answer"));
        let lines = proxy.log().lines(3).await;
        let Self { status, flags, .. } = self;
        let sent = self.text.len();
        assert_eq!(lines[0].outcome(), format!("GET /api.Echo/Echo HTTP/1.1 {status} {flags} 0 {sent}"));
        assert_eq!(lines[1].outcome(), format!("GET /api.Echo/Echo HTTP/2 {status} {flags} 0 {sent}"));
        let received = lines[2].outcome();
        let received = received.split(' ').nth(5).expect("bytes received");
        assert!(received == "11" || received == "0", "{received}: as far as it had come");
        assert_eq!(lines[2].outcome(), format!("POST /api.Echo/Echo HTTP/2 200 {flags} {received} 0"));
        assert!(lines.iter().all(|line| line.service_time() == "-"), "{lines:?}");
    }

    fn check_h1(&self, reply: &h1::Message) {
        assert!(reply.first().starts_with(&format!("HTTP/1.1 {} ", self.status)), "{reply:?}");
        assert_eq!(reply.body, self.text);
        let length = self.text.len().to_string();
        assert_eq!(reply.fields("content-length"), [length.as_str()]);
        assert_eq!(reply.fields("server"), ["envoy"]);
        let mut names = vec!["content-length", "date", "server"];
        if !self.text.is_empty() {
            names.insert(1, "content-type");
            assert_eq!(reply.fields("content-type"), ["text/plain"]);
        }
        if self.overloaded {
            names.push("x-envoy-overloaded");
        }
        assert_eq!(reply.names(), names);
    }

    fn check_h2(&self, reply: &Answer) {
        assert_eq!(reply.status, self.status);
        assert_eq!(reply.body(), self.text);
        assert_eq!(reply.header("server"), "envoy");
        assert_eq!(reply.header("content-type"), if self.text.is_empty() { "" } else { "text/plain" });
        assert_eq!(reply.header("x-envoy-overloaded"), if self.overloaded { "true" } else { "" });
        assert!(reply.trailers.is_empty());
    }

    /// Trailers-only: the status is in the headers, which end the stream.
    fn check_grpc(&self, reply: &Answer) {
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), "application/grpc");
        assert_eq!(reply.header("grpc-status"), self.grpc_status);
        let message = (!self.text.is_empty()).then_some(self.text);
        assert_eq!(reply.headers.get("grpc-message").map(|message| message.to_str().expect("text")), message);
        assert_eq!(reply.header("server"), "envoy");
        assert_eq!(reply.header("x-envoy-overloaded"), if self.overloaded { "true" } else { "" });
        assert!(reply.body.is_empty() && reply.trailers.is_empty());
    }
}

#[tokio::test]
async fn no_route() {
    let proxy = Proxy::start(File::to([]).prefix("/other/")).await;
    let reply = Reply { status: 404, flags: "NR", text: "", grpc_status: "12", overloaded: false };
    reply.check(&proxy).await;
}

#[tokio::test]
async fn no_host() {
    let proxy = Proxy::start(File::to([])).await;
    Reply::unavailable("UH", "no healthy upstream").check(&proxy).await;
}

#[tokio::test]
async fn a_host_that_refuses_connections() {
    let reserved = Loopback::reserve(&[IpAddr::V4(Ipv4Addr::LOCALHOST)]).expect("a port");
    let text = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
    assert_eq!(text.len(), 98);
    let reply = Reply::unavailable("UF", text);
    reply.check(&Proxy::start(File::to(reserved.addresses())).await).await;
    reply.check(&Proxy::start(File::http1_to(reserved.addresses())).await).await;
}

/// A port whose queue of connections is full: whoever connects waits.
#[cfg(target_os = "linux")]
async fn black_hole() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let listener = socket.listen(1).expect("it listens");
    let (address, mut queue) = (listener.local_addr().expect("an address"), Vec::new());
    while let Ok(queued) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queue.push(queued.expect("a connection"));
        assert!(queue.len() < 100, "the queue never fills");
    }
    (listener, queue)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_host_that_does_not_answer_at_all() {
    let (listener, _queue) = black_hole().await;
    let proxy = Proxy::start(File::to([listener.local_addr().expect("an address")])).await;
    let text = "upstream connect error or disconnect/reset before headers. reset reason: connection timeout";
    Reply::unavailable("UF", text).check(&proxy).await;
    let lines = proxy.log().lines(3).await;
    assert!(lines.iter().all(|line| (500..5000).contains(&line.duration())), "connect_timeout is 0.5 s: {lines:?}");
}

#[tokio::test]
async fn a_host_that_resets_streams() {
    let app = App::start(|mut exchange| async move { exchange.respond.send_reset(h2::Reason::INTERNAL_ERROR) }).await;
    let text = "upstream connect error or disconnect/reset before headers. reset reason: remote reset";
    assert_eq!(text.len(), 85);
    Reply::unavailable("UR", text).check(&Proxy::start(File::to([app.address()])).await).await;
}

#[tokio::test]
async fn a_host_that_closes_its_connection() {
    let app = h1::TextApp::start(|_| String::new()).await;
    let text = "upstream connect error or disconnect/reset before headers. reset reason: connection termination";
    Reply::unavailable("UC", text).check(&Proxy::start(File::http1_to([app.address()])).await).await;
}

#[tokio::test]
async fn a_host_that_does_not_speak_http() {
    let app = h1::TextApp::start(|_| "SSH-2.0-OpenSSH\r\n\r\n".to_owned()).await;
    let text = "upstream connect error or disconnect/reset before headers. reset reason: protocol error";
    let reply = Reply { status: 502, ..Reply::unavailable("UPE", text) };
    reply.check(&Proxy::start(File::http1_to([app.address()])).await).await;
    reply.check(&Proxy::start(File::to([app.address()])).await).await;
}

#[tokio::test]
async fn a_host_that_takes_too_long() {
    let app = App::start(|mut exchange| async move { exchange.gone().await }).await;
    let proxy = Proxy::start(File::to([app.address()]).route("timeout: 0.2s")).await;
    let text = "upstream request timeout";
    let reply = Reply { status: 504, flags: "UT", text, grpc_status: "14", overloaded: false };
    reply.check(&proxy).await;
    assert_eq!(proxy.counter("cluster.app.upstream_rq_timeout"), 3);
    let lines = proxy.log().lines(3).await;
    assert!(lines.iter().all(|line| (200..5000).contains(&line.duration())), "{lines:?}");
}

#[tokio::test]
async fn a_full_circuit_breaker() {
    let app = App::start(|mut exchange| async move { exchange.gone().await }).await;
    let limits = "circuit_breakers: {thresholds: [{max_requests: 1}]}";
    let proxy = Proxy::start(File::to([app.address()]).cluster(limits)).await;
    let client = Client::connect(proxy.address()).await;
    let first = client.begin(client.request("POST", "/first")).await;
    eventually("the first is under way", || !app.requests().is_empty()).await;
    let text = "upstream connect error or disconnect/reset before headers. reset reason: overflow";
    let reply = Reply { overloaded: true, ..Reply::unavailable("UO", text) };
    reply.check(&proxy).await;
    assert_eq!(proxy.counter("cluster.app.upstream_rq_pending_overflow"), 3);
    assert_eq!(proxy.gauge("cluster.app.circuit_breakers.default.rq_open"), 1);
    drop(first);
    eventually("there is room again", || proxy.gauge("cluster.app.circuit_breakers.default.rq_open") == 0).await;
}
