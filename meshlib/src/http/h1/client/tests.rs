//! The client against a host written by hand.

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

async fn connect() -> (H1Client, DuplexStream) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (client, connection) = handshake(Box::new(near)).await.unwrap();
    tokio::spawn(connection);
    (client, far)
}

/// What arrives until the text ends so.
async fn read_until(far: &mut DuplexStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut byte = [0];
        assert_eq!(far.read(&mut byte).await.unwrap(), 1, "closed after {text:?}");
        text.push(byte[0].into());
    }
    text
}

async fn written(request: Request<Body>, end: &str) -> String {
    let (mut client, mut far) = connect().await;
    let exchange = tokio::spawn(client.exchange(request));
    let text = read_until(&mut far, end).await;
    far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(exchange.await.unwrap().unwrap().status(), 204);
    text
}

fn stream(chunks: &[&'static str]) -> Body {
    let frames: Vec<_> =
        chunks.iter().map(|chunk| Ok::<_, Error>(Frame::data(Bytes::from_static(chunk.as_bytes())))).collect();
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

#[tokio::test]
async fn the_target_becomes_origin_form_and_the_authority_the_host() {
    let request = Request::get("http://user@a.example:81/b?c").version(Version::HTTP_2).header("host", "other");
    let text = written(request.body(Body::empty()).unwrap(), "\r\n\r\n").await;
    assert_eq!(text, "GET /b?c HTTP/1.1\r\nhost: a.example:81\r\n\r\n");
    let text = written(Request::options("*").header("host", "h").body(Body::empty()).unwrap(), "\r\n\r\n").await;
    assert_eq!(text, "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n");
    let text = written(Request::get("/").body(Body::empty()).unwrap(), "\r\n\r\n").await;
    assert_eq!(text, "GET / HTTP/1.1\r\nhost: \r\n\r\n");
}

#[tokio::test]
async fn cookie_crumbs_are_joined() {
    let request = Request::get("http://a/").header("cookie", "a=1").header("cookie", "b=2");
    let text = written(request.body(Body::empty()).unwrap(), "\r\n\r\n").await;
    assert!(text.contains("cookie: a=1; b=2\r\n"), "{text}");
    assert_eq!(text.matches("cookie").count(), 1);
}

#[tokio::test]
async fn a_get_keeps_a_body_of_unknown_length() {
    let text = written(Request::get("http://a/").body(stream(&["ab", "c"])).unwrap(), "0\r\n\r\n").await;
    assert!(text.contains("transfer-encoding: chunked\r\n"), "{text}");
    assert!(text.ends_with("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    let (mut client, mut far) = connect().await;
    for turn in 0..3 {
        assert!(client.ready().await);
        let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
        read_until(&mut far, "\r\n\r\n").await;
        assert!(!client.is_ready(), "busy");
        far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        let body = exchange.await.unwrap().unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "ok", "turn {turn}");
        assert!(client.is_ready(), "free as soon as the body has ended");
    }
    drop(far);
    // The connection's own task has to see it first.
    let seen = async {
        while !client.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), seen).await.unwrap();
    assert!(!client.ready().await);
}

#[tokio::test]
async fn a_request_that_was_not_written_comes_back() {
    let (mut client, far) = connect().await;
    assert!(client.ready().await);
    drop(far);
    let failed = client.exchange(Request::post("http://a/x").body(stream(&["all"])).unwrap()).await.unwrap_err();
    assert_eq!(failed.error.kind(), ErrorKind::UpstreamConnectionTermination);
    assert_eq!(failed.error.retry(), Retry::NotProcessed);
    let request = failed.request.unwrap();
    assert_eq!(request.uri(), "/x");
    assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), "all");
}

#[tokio::test]
async fn what_goes_wrong_has_a_kind() {
    let cases: [(&[u8], ErrorKind); 4] = [
        (b"", ErrorKind::UpstreamConnectionTermination),
        (b"HTTP/1.1 200", ErrorKind::UpstreamConnectionTermination),
        (b"SSH-2.0-OpenSSH\r\n", ErrorKind::UpstreamProtocol),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ErrorKind::UpstreamProtocol),
    ];
    for (answer, kind) in cases {
        let (mut client, mut far) = connect().await;
        let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
        read_until(&mut far, "\r\n\r\n").await;
        far.write_all(answer).await.unwrap();
        drop(far);
        let failed = exchange.await.unwrap().unwrap_err();
        assert_eq!(failed.error.kind(), kind, "{:?}", String::from_utf8_lossy(answer));
        assert!(failed.request.is_none());
    }
}

#[tokio::test]
async fn a_response_whose_end_readers_differ_over_is_refused() {
    for head in [
        "200 OK\r\ncontent-length: 2\r\ncontent-length: 2",
        "200 OK\r\ncontent-length: 2, 2",
        "200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked",
        "200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2",
        "200 OK\r\ntransfer-encoding: gzip",
        "200 OK\r\ntransfer-encoding: gzip, chunked",
        "200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "204 No Content\r\ncontent-length: 2",
        "204 No Content\r\ntransfer-encoding: chunked",
    ] {
        for method in ["GET", "HEAD"] {
            let (mut client, mut far) = connect().await;
            let request = Request::builder().method(method).uri("http://a/").body(Body::empty()).unwrap();
            let exchange = tokio::spawn(client.exchange(request));
            read_until(&mut far, "\r\n\r\n").await;
            far.write_all(format!("HTTP/1.1 {head}\r\n\r\n2\r\nok\r\n0\r\n\r\n").as_bytes()).await.unwrap();
            let failed = exchange.await.unwrap().unwrap_err();
            assert_eq!(failed.error.kind(), ErrorKind::UpstreamProtocol, "{method} {head}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_cut_short_fails() {
    let (mut client, mut far) = connect().await;
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
    drop(far);
    let error = exchange.await.unwrap().unwrap().into_body().collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UpstreamConnectionTermination);
}

#[tokio::test]
async fn connect_is_refused() {
    let (mut client, _far) = connect().await;
    let request = Request::connect("a:443").body(Body::empty()).unwrap();
    assert_eq!(client.exchange(request).await.unwrap_err().error.kind(), ErrorKind::DownstreamProtocol);
}
