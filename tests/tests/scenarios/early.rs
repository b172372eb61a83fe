//! Ends that come early: answers before the upload is through, responses that break off.

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Response};

use crate::support::{
    app::{App, Exchange, header},
    eventually,
    file::File,
    h1::{Connection, TextApp},
    h2::{Client, send_some},
    proxy::{Chain, Proxy},
    within,
};

const ECHO: &[u8] = b"\0\0\0\0\x06\x0a\x04echo";

fn grpc() -> http::response::Builder {
    Response::builder().header("content-type", "application/grpc")
}

/// Answers at once, and never reads the upload.
async fn answer_early(exchange: Exchange) {
    match exchange.head.uri.path() {
        "/head" => exchange.answer(grpc().header("grpc-status", "8"), Bytes::new(), None),
        _ => {
            let trailers = HeaderMap::from_iter([header("grpc-status", "8")]);
            exchange.answer(grpc(), Bytes::from_static(ECHO), Some(trailers));
        }
    }
}

/// The client is still sending when the application has said all it has to say.
#[tokio::test]
async fn an_answer_before_the_end_of_the_upload_arrives_whole() {
    let app = App::start(answer_early).await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    for path in ["/head", "/trailers"] {
        let mut call = client.begin(client.grpc(path)).await;
        call.body.send_data(Bytes::from_static(ECHO), false).expect("data");
        let answer = call.response.answer().await.expect("an answer");
        let status = if path == "/head" { answer.header("grpc-status") } else { answer.trailer("grpc-status") };
        assert_eq!(status, "8", "{path}");
        // Whoever goes on is told to stop.
        let stopped = async {
            let mut data = Bytes::from(vec![b'x'; 1 << 20]);
            while !data.is_empty() && send_some(&mut call.body, &mut data).await.is_ok() {}
            futures_util::future::poll_fn(|cx| call.body.poll_reset(cx)).await.ok()
        };
        let reason = within("the upload is stopped", stopped).await;
        assert_eq!(reason, Some(Reason::NO_ERROR), "{path}");
    }
    eventually("nothing is left", || chain.sidecar.gauge("cluster.app.upstream_rq_active") == 0).await;
    let lines = chain.edge.log().lines(2).await;
    let outcomes: Vec<_> = lines.iter().map(crate::support::log::Line::outcome).collect();
    assert!(outcomes.iter().all(|outcome| outcome.contains(" 200 - ")), "{outcomes:?}");
}

#[tokio::test]
async fn so_it_does_over_http_1() {
    let app = App::start(answer_early).await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    for path in ["/head", "/trailers"] {
        let mut connection = Connection::open(proxy.address()).await;
        connection.write(format!("POST {path} HTTP/1.1\r\nhost: a.test\r\ncontent-length: 1000000\r\n\r\nsome")).await;
        let answer = connection.next().await.expect("an answer");
        assert_eq!(answer.first(), "HTTP/1.1 200 OK");
        assert_eq!(answer.body.as_bytes(), if path == "/head" { b"" } else { ECHO });
    }
}

/// Sends a message, and breaks off once the client has asked for it.
async fn break_off(exchange: Exchange) {
    let Exchange { head, body: mut upload, mut respond } = exchange;
    let response = grpc().body(()).expect("a response");
    let mut body = respond.send_response(response, false).expect("it is wanted");
    body.send_data(Bytes::from_static(ECHO), false).expect("data");
    upload.data().await.expect("data").expect("data");
    body.send_reset(if head.uri.path() == "/cancel" { Reason::CANCEL } else { Reason::INTERNAL_ERROR });
}

/// The status cannot be taken back: the client's stream is reset.
#[tokio::test]
async fn a_response_that_breaks_off_breaks_off() {
    let app = App::start(break_off).await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    for path in ["/internal", "/cancel"] {
        let mut call = client.begin(client.grpc(path)).await;
        let mut body = call.response.head().await.expect("a head").into_body();
        assert_eq!(within("a message", body.data()).await.expect("data").expect("data"), ECHO);
        call.body.send_data(Bytes::from_static(b"go"), false).expect("data");
        let failed = within("the reset", body.data()).await.expect("no end").expect_err("it broke off");
        assert!(failed.is_remote() && failed.reason() == Some(Reason::INTERNAL_ERROR), "{failed}");
    }
    let lines = proxy.log().lines(2).await;
    assert_eq!(lines[0].outcome(), "POST /internal HTTP/2 200 UR 2 11");
    assert_eq!(lines[1].outcome(), "POST /cancel HTTP/2 200 UR 2 11");

    let mut connection = Connection::open(proxy.address()).await;
    connection.write("PUT / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 9\r\n\r\n").await;
    connection.head().await.expect("a head");
    connection.write("go").await;
    let text = connection.read_to_end().await;
    let text = text.to_ascii_lowercase();
    assert!(text.starts_with("b\r\n") && !text.ends_with("0\r\n\r\n"), "closed without an end: {text:?}");
}

#[tokio::test]
async fn a_response_of_http_1_that_breaks_off_breaks_off() {
    let app = TextApp::closing(|_| "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_owned()).await;
    let proxy = Proxy::start(File::http1_to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    let failed = client.call(client.request("GET", "/"), b"").await.expect_err("it broke off");
    assert_eq!(failed.reason(), Some(Reason::INTERNAL_ERROR));
    let line = proxy.log().line().await;
    assert_eq!(line.outcome(), "GET / HTTP/2 200 UPE 0 4");
}
