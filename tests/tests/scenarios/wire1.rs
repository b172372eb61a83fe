//! HTTP/1.1 on the wire, at both ends of the proxy.

use http::Response;

use crate::support::{
    app::App,
    eventually,
    file::File,
    h1::{self, Connection, TextApp},
    h2::{Client, text},
    proxy::Proxy,
};

const GET: &str = "GET /a HTTP/1.1\r\nhost: a.test\r\n\r\n";

#[tokio::test]
async fn a_connection_is_kept_and_so_is_the_applications() {
    let app = TextApp::echo().await;
    let proxy = Proxy::start(File::http1_to([app.address()])).await;
    let mut connection = Connection::open(proxy.address()).await;
    for _ in 0..5 {
        connection.write("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\nhello").await;
        let response = connection.next().await.expect("a response");
        assert_eq!((response.first(), response.body.as_str()), ("HTTP/1.1 200 OK", "hello"));
        assert!(response.fields("connection").is_empty());
    }
    assert_eq!(app.connections(), 1);
    assert_eq!(proxy.counter("http.ingress.downstream_cx_total"), 1);
    connection.write("GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").await;
    let last = connection.next().await.expect("a response");
    assert_eq!(last.fields("connection"), ["close"]);
    assert!(connection.next().await.is_none(), "closed");
    assert_eq!(app.connections(), 1, "that was the client's wish, not ours towards the application");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let app = App::start(|exchange| async move {
        let path = exchange.head.uri.path().to_owned();
        // The first answer is the slowest.
        let turns = if path == "/1" { 1000 } else { 0 };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        exchange.answer(Response::builder(), path.into(), None);
    })
    .await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let mut connection = Connection::open(proxy.address()).await;
    let requests: String = (1..=5).map(|at| format!("GET /{at} HTTP/1.1\r\nhost: a.test\r\n\r\n")).collect();
    connection.write(requests).await;
    for at in 1..=5 {
        assert_eq!(connection.next().await.expect("a response").body, format!("/{at}"));
    }
}

#[tokio::test]
async fn uploads_in_chunks_arrive_whole() {
    let (text_app, app) = (TextApp::echo().await, App::echo().await);
    for file in [File::http1_to([text_app.address()]), File::to([app.address()])] {
        let proxy = Proxy::start(file).await;
        let mut connection = Connection::open(proxy.address()).await;
        connection.write("POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel").await;
        connection.write("lo\r\n1;extension=1\r\n!\r\n0\r\ntrailer: dropped\r\n\r\n").await;
        assert_eq!(connection.next().await.expect("a response").body, "hello!");
        connection.write(GET).await;
        assert_eq!(connection.next().await.expect("a response").first(), "HTTP/1.1 200 OK", "nothing was left over");
    }
    let upload = &text_app.requests()[0];
    assert_eq!((upload.fields("transfer-encoding"), upload.fields("content-length")), (vec!["chunked"], vec![]));
}

#[tokio::test]
async fn a_known_length_stays_known() {
    let (text_app, app) = (TextApp::echo().await, App::echo().await);
    for file in [File::http1_to([text_app.address()]), File::to([app.address()])] {
        let proxy = Proxy::start(file).await;
        let request = "PUT / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(h1::call(proxy.address(), request).await.body, "hello");
    }
    let upload = text_app.request();
    assert_eq!((upload.fields("content-length"), upload.fields("transfer-encoding")), (vec!["5"], vec![]));
    assert_eq!(text(&app.request().headers, "content-length"), "5");
}

#[tokio::test]
async fn head_has_the_headers_alone() {
    let app = TextApp::start(|_| "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_owned()).await;
    let proxy = Proxy::start(File::http1_to([app.address()])).await;
    let mut connection = Connection::open(proxy.address()).await;
    for _ in 0..2 {
        connection.write("HEAD / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        let head = connection.head().await.expect("a head");
        assert!(head.contains("content-length: 5\r\n"), "{head}");
    }
    let client = Client::connect(proxy.address()).await;
    let answer = client.call(client.request("HEAD", "/"), b"").await.expect("an answer");
    assert_eq!((answer.header("content-length"), answer.body()), ("5", ""));
    assert_eq!(app.connections(), 1, "the application's connection was good for more");
}

#[tokio::test]
async fn expect_is_answered_here() {
    let app = TextApp::echo().await;
    let proxy = Proxy::start(File::http1_to([app.address()])).await;
    let mut connection = Connection::open(proxy.address()).await;
    connection.write("PUT / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n").await;
    assert_eq!(connection.head().await.expect("a head"), "HTTP/1.1 100 Continue\r\n");
    connection.write("hello").await;
    assert_eq!(connection.next().await.expect("a response").body, "hello");
    assert!(app.request().fields("expect").is_empty());
}

#[tokio::test]
async fn a_head_that_dawdles_is_a_408() {
    let proxy = Proxy::start(File::to([]).manager("request_headers_timeout: 0.3s")).await;
    let mut connection = Connection::open(proxy.address()).await;
    connection.write("GET / HTTP/1.1\r\nhost: ").await;
    let reply = connection.next().await.expect("a reply");
    assert_eq!(reply.first(), "HTTP/1.1 408 Request Timeout");
    assert_eq!(reply.fields("connection"), ["close"]);
    assert!(connection.next().await.is_none(), "closed");
    // One that says nothing at all is only closed: in which protocol would it be answered?
    let mut silent = Connection::open(proxy.address()).await;
    assert_eq!(silent.read_to_end().await, "");
}

#[tokio::test]
async fn what_is_not_http_1_1_is_refused() {
    let proxy = Proxy::start(File::to([])).await;
    for (request, status) in [
        ("NONSENSE\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a.test\r\nno colon\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a.test\r\nhost: b.test\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: gzip\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.0\r\nhost: a.test\r\n\r\n", "426 Upgrade Required"),
        ("GET /\r\n\r\n", "400 Bad Request"),
    ] {
        let mut connection = Connection::open(proxy.address()).await;
        connection.write(request).await;
        let reply = connection.next().await.expect("a reply");
        assert!(reply.first().ends_with(status), "{request:?}: {reply:?}");
        assert_eq!(reply.fields("server"), ["envoy"], "{request:?}");
        assert_eq!(reply.fields("connection"), ["close"], "{request:?}");
        assert!(connection.next().await.is_none(), "{request:?}: closed");
    }
    assert_eq!(proxy.log().lines(8).await.len(), 8, "each of them is logged");
    assert_eq!(proxy.counter("http.ingress.downstream_rq_4xx"), 8, "and counted");
}

#[tokio::test]
async fn a_large_head_is_a_431() {
    let proxy = Proxy::start(File::to([])).await;
    let many: String = (0..101).map(|at| format!("x-{at}: 1\r\n")).collect();
    for fields in [format!("x: {}\r\n", "v".repeat(61 << 10)), many] {
        let mut connection = Connection::open(proxy.address()).await;
        connection.write(format!("GET / HTTP/1.1\r\nhost: a.test\r\n{fields}\r\n")).await;
        let reply = connection.next().await.expect("a reply");
        assert_eq!(reply.first(), "HTTP/1.1 431 Request Header Fields Too Large");
    }
}

/// An application that ends its connection after each response, or without telling.
#[tokio::test]
async fn an_applications_connection_that_ended_is_not_used_again() {
    let app =
        TextApp::start(|_| "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok".to_owned()).await;
    let proxy = Proxy::start(File::http1_to([app.address()])).await;
    let mut connection = Connection::open(proxy.address()).await;
    for at in 1..=3 {
        connection.write(GET).await;
        let response = connection.next().await.expect("a response");
        assert_eq!((response.body.as_str(), response.fields("connection")), ("ok", vec![]));
        assert_eq!(app.connections(), at);
    }
    eventually("they are closed", || proxy.gauge("cluster.app.upstream_cx_active") == 0).await;
}

/// A response without a length ends with its connection; the client still sees where it ends.
#[tokio::test]
async fn a_response_that_ends_with_its_connection_passes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it").await;
        }
    });
    let proxy = Proxy::start(File::http1_to([address])).await;
    assert_eq!(h1::call(proxy.address(), GET).await.body, "all of it");
    let client = Client::connect(proxy.address()).await;
    assert_eq!(client.call(client.request("GET", "/"), b"").await.expect("an answer").body(), "all of it");
}
