//! The client against a host written by hand.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::timeout,
};

use super::*;
use crate::{
    base::{Error, ErrorKind, Retry},
    http::{Body, Failed, block},
};

async fn connect() -> (H1Client, DuplexStream) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (client, connection) = handshake(Box::new(near));
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
    let (client, mut far) = connect().await;
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
    assert_eq!(text, "OPTIONS * HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n");
    let text = written(Request::get("/").body(Body::empty()).unwrap(), "\r\n\r\n").await;
    assert_eq!(text, "GET / HTTP/1.1\r\nhost: \r\n\r\n");
}

#[tokio::test]
async fn a_request_that_might_have_a_body_says_that_it_has_none() {
    for (method, says) in [
        ("GET", false),
        ("HEAD", false),
        ("DELETE", false),
        ("TRACE", false),
        ("POST", true),
        ("PUT", true),
        ("X", true),
    ] {
        let request = Request::builder().method(method).uri("http://a/").body(Body::empty()).unwrap();
        let text = written(request, "\r\n\r\n").await;
        assert_eq!(text.contains("content-length: 0\r\n"), says, "{text}");
    }
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
    timeout(Duration::from_secs(10), seen).await.unwrap();
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
    assert_eq!(request.uri(), "http://a/x", "as it was");
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
        let (client, mut far) = connect().await;
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
            let (client, mut far) = connect().await;
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
async fn a_body_that_is_cut_short_or_in_no_chunks_fails() {
    for message in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
    ] {
        let (client, mut far) = connect().await;
        let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
        read_until(&mut far, "\r\n\r\n").await;
        far.write_all(message).await.unwrap();
        drop(far);
        let error = exchange.await.unwrap().unwrap().into_body().collect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UpstreamProtocol, "{:?}", String::from_utf8_lossy(message));
    }
}

#[tokio::test]
async fn connect_is_refused() {
    let (client, _far) = connect().await;
    let request = Request::connect("a:443").body(Body::empty()).unwrap();
    assert_eq!(client.exchange(request).await.unwrap_err().error.kind(), ErrorKind::DownstreamProtocol);
}

/// The response to a GET, answered by these bytes; then the host closes.
async fn answered(answer: &[u8]) -> Result<Response<Body>, Failed> {
    let (client, mut far) = connect().await;
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    far.write_all(answer).await.unwrap();
    drop(far);
    exchange.await.unwrap()
}

/// Reads what the exchange writes, answers, and says whether the connection is free afterwards.
async fn is_free_after(answer: &[u8]) -> bool {
    let (client, mut far) = connect().await;
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    far.write_all(answer).await.unwrap();
    let body = exchange.await.unwrap().unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "ok");
    assert_eq!(client.is_ready(), !client.is_closed(), "nothing in between");
    client.is_ready()
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_is_whole() {
    let response = answered(b"HTTP/1.0 200 OK\r\n\r\nhalf and half").await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "half and half");
}

#[tokio::test]
async fn trailers_come_after_the_body() {
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n";
    let body = answered(answer).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), "ok");
}

#[tokio::test]
async fn answers_of_1xx_are_overlooked_but_not_for_ever() {
    let few = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    let response = answered(format!("{few}HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
    assert_eq!(response.unwrap().status(), 404);
    let (client, mut far) = connect().await;
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    for _ in 0..16 {
        // One after the other: how they come in pieces makes no difference.
        far.write_all(few.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(exchange.await.unwrap().unwrap_err().error.kind(), ErrorKind::UpstreamProtocol);
}

#[tokio::test]
async fn a_connection_is_used_again_only_where_both_sides_know_where_the_response_ended() {
    for (answer, is_free) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", true),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", false),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive, close\r\ncontent-length: 2\r\n\r\nok", false),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", false),
    ] {
        assert_eq!(is_free_after(answer.as_bytes()).await, is_free, "{answer}");
    }
}

#[tokio::test]
async fn what_a_host_says_unasked_is_nobodys_answer() {
    let (mut client, mut far) = connect().await;
    assert!(client.ready().await);
    far.write_all(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let failed = client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()).await.unwrap_err();
    assert_eq!(failed.error.retry(), Retry::NotProcessed);
    assert!(failed.request.is_some() && client.is_closed());
}

#[tokio::test]
async fn whatever_is_given_up_in_the_middle_closes_the_connection() {
    // The exchange, before the response's head.
    let (client, mut far) = connect().await;
    let mut exchange = Box::pin(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    assert!(futures_util::poll!(&mut exchange).is_pending());
    drop(exchange);
    assert!(client.is_closed());
    // The response, before its end.
    let (other, mut host) = connect().await;
    let exchange = tokio::spawn(other.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    host.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await.unwrap();
    drop(exchange.await.unwrap().unwrap());
    assert!(other.is_closed());
    for end in [&mut far, &mut host] {
        end.read_to_end(&mut Vec::new()).await.unwrap(); // the host sees it
    }
}

#[tokio::test]
async fn the_last_handle_closes_a_connection_that_is_free_at_once_and_another_when_it_is() {
    let (client, mut far) = connect().await;
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    drop(client);
    far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    let body = exchange.await.unwrap().unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "ok");
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
}

/// A body that comes through a channel.
fn fed() -> (UnboundedSender<Result<&'static str, Error>>, Body) {
    let (sender, mut receiver) = unbounded_channel::<Result<&'static str, Error>>();
    let frame = |word: Result<&'static str, Error>| word.map(|word| Frame::data(Bytes::from(word)));
    let words = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|word| word.map(frame)));
    (sender, Body::new(StreamBody::new(words)))
}

#[tokio::test]
async fn a_body_goes_on_while_the_response_does() {
    let (client, mut far) = connect().await;
    let (sender, body) = fed();
    let exchange = tokio::spawn(client.exchange(Request::post("http://a/").body(body).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    far.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let mut response = exchange.await.unwrap().unwrap().into_body();
    for word in ["ping", "pong"] {
        sender.send(Ok(word)).unwrap();
        read_until(&mut far, &format!("4\r\n{word}\r\n")).await;
        far.write_all(format!("4\r\n{word}\r\n").as_bytes()).await.unwrap();
        assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), word);
    }
    drop(sender);
    read_until(&mut far, "0\r\n\r\n").await;
    far.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(response.frame().await.is_none());
    assert!(client.is_ready());
}

#[tokio::test]
async fn a_body_is_as_long_as_its_head_says_or_fails() {
    for (length, chunks) in [("3", ["ab", ""]), ("3", ["ab", "cd"])] {
        let (client, mut far) = connect().await;
        let request = Request::post("http://a/").header("content-length", length).body(stream(&chunks)).unwrap();
        let failed = client.exchange(request).await.unwrap_err();
        assert_eq!(failed.error.kind(), ErrorKind::DownstreamProtocol, "{chunks:?}");
        let mut written = String::new();
        far.read_to_string(&mut written).await.unwrap();
        assert!(!written.ends_with("abcd"), "{written}");
    }
    let request = Request::post("http://a/").header("content-length", "3").body(stream(&["a", "bc"])).unwrap();
    let text = written(request, "abc").await;
    assert!(text.contains("content-length: 3\r\n") && !text.contains("chunked"), "{text}");
}

#[tokio::test]
async fn what_comes_after_a_bodys_length_is_noticed() {
    let post = |body| Request::post("http://a/").header("content-length", "3").body(body).unwrap();
    let (client, _far) = connect().await;
    let failed = client.exchange(post(stream(&["abc", "d"]))).await.unwrap_err();
    assert_eq!(failed.error.kind(), ErrorKind::DownstreamProtocol);
    assert!(client.is_closed());
    // One that does not say that it has ended is not waited for.
    let (sender, body) = fed();
    sender.send(Ok("abc")).unwrap();
    assert!(written(post(body), "abc").await.contains("content-length: 3\r\n"));
}

#[tokio::test]
async fn a_host_that_refuses_the_rest_of_a_body_is_heard() {
    let (near, far) = tokio::io::duplex(1 << 10);
    let (client, connection) = handshake(Box::new(near));
    tokio::spawn(connection);
    let (mut far_reads, mut far_writes) = tokio::io::split(far);
    let body = Body::new(StreamBody::new(futures_util::stream::repeat_with(|| {
        Ok::<_, Error>(Frame::data(Bytes::from_static(&[b'x'; 4096])))
    })));
    let exchange = tokio::spawn(client.exchange(Request::post("http://a/").body(body).unwrap()));
    far_reads.read_exact(&mut [0; 2000]).await.unwrap();
    let answer = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n";
    far_writes.write_all(answer).await.unwrap();
    assert_eq!(exchange.await.unwrap().unwrap().status(), 413);
    assert!(client.is_closed(), "with half of a request on it");
}

const LONG: Duration = Duration::from_secs(10);

/// The upload is a task of its own, as nobody else offers to pump it: the reader has to hear of its end.
#[tokio::test]
async fn a_response_ends_when_its_upload_fails_in_another_task() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    let (client, connection) = handshake(Box::new(near));
    tokio::spawn(connection);
    let (sender, body) = fed();
    let exchange = tokio::spawn(client.exchange(Request::post("http://a/").body(body).unwrap()));
    assert_ne!(far.read(&mut [0; 1024]).await.unwrap(), 0);
    far.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let mut response = exchange.await.unwrap().unwrap().into_body();
    let mut frame = Box::pin(response.frame());
    assert!(futures_util::poll!(&mut frame).is_pending());
    sender.send(Err(Error::new(ErrorKind::DownstreamTermination))).unwrap();
    let error = timeout(LONG, frame).await.expect("the reader was woken").unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DownstreamTermination, "the host is not to blame");
    assert!(client.is_closed());
}

#[tokio::test]
async fn an_exchange_ends_with_the_task_of_its_connection() {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let (client, connection) = handshake(Box::new(near));
    let driver = tokio::spawn(connection);
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    driver.abort();
    assert!(timeout(LONG, exchange).await.expect("the exchange was woken").unwrap().is_err());
}

#[tokio::test]
async fn what_was_said_unasked_is_seen_by_a_task_without_a_budget_too() {
    for unasked in [&b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"[..], b""] {
        let (client, mut far) = connect().await;
        far.write_all(unasked).await.unwrap();
        if unasked.is_empty() {
            far.shutdown().await.unwrap();
        }
        while tokio::task::coop::has_budget_remaining() {
            let _ = futures_util::FutureExt::now_or_never(tokio::task::consume_budget());
        }
        let exchange = client.exchange(Request::get("http://a/").body(Body::empty()).unwrap());
        let failed = exchange.await.map(|response| response.status()).expect_err("another's answer");
        assert_eq!(failed.error.retry(), Retry::NotProcessed, "{unasked:?}");
    }
}

#[tokio::test]
async fn a_target_begins_with_a_slash() {
    let text = written(Request::get("http://a.example?x=1").body(Body::empty()).unwrap(), "\r\n\r\n").await;
    assert!(text.starts_with("GET /?x=1 HTTP/1.1\r\n"), "{text}");
}

#[tokio::test]
async fn values_may_be_empty() {
    let response = answered(b"HTTP/1.1 200 OK\r\nx:\r\ny: \r\nz:\t \r\ncontent-length: 0\r\n\r\n").await.unwrap();
    for name in ["x", "y", "z"] {
        assert_eq!(response.headers()[name], "");
    }
}

/// Byte by byte, and with empty lines before it.
#[tokio::test]
async fn a_response_may_come_as_slowly_as_it_likes() {
    let (client, mut far) = connect().await;
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    let answer = b"\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: 1\r\n\r\n";
    let writing = async {
        for byte in answer {
            far.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let reading = async { exchange.await.unwrap().unwrap().into_body().collect().await.unwrap() };
    let (body, ()) = tokio::join!(reading, writing);
    assert_eq!(body.trailers().unwrap()["x"], "1");
    assert_eq!(body.to_bytes(), "ok");
    assert!(client.is_ready());
}

#[tokio::test]
async fn empty_lines_have_an_end() {
    let (client, mut far) = connect().await;
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    far.write_all(&[b'\n'; 4096]).await.unwrap();
    let failed = timeout(LONG, exchange).await.expect("refused").unwrap().unwrap_err();
    assert_eq!(failed.error.kind(), ErrorKind::UpstreamProtocol);
}

/// Some applications keep the pieces of a body: they must not keep what the pieces were read into.
#[tokio::test]
async fn small_pieces_keep_little_memory() {
    let (client, mut far) = connect().await;
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    far.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let mut body = exchange.await.unwrap().unwrap().into_body();
    // A fast beginning: much is read at once.
    let large = [&b"40000\r\n"[..], &[b'x'; 0x40000], b"\r\n"].concat();
    let fast = tokio::spawn(async move {
        for _ in 0..8 {
            far.write_all(&large).await.unwrap();
        }
        far
    });
    let mut left = 8 * 0x40000;
    while left > 0 {
        left -= body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    let mut far = fast.await.unwrap();
    let mut kept = Vec::new();
    for _ in 0..50 {
        far.write_all(b"1\r\nx\r\n").await.unwrap();
        kept.push(body.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    drop(body);
    let room: usize = kept.into_iter().map(|piece| piece.try_into_mut().expect("its own").capacity()).sum();
    assert!(room < 50 * 100, "50 bytes keep {room}");
}

#[tokio::test]
async fn who_gives_up_before_the_host_closes_is_the_one_who_closed() {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let (client, connection) = handshake(Box::new(near));
    let driver = tokio::spawn(connection);
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    far.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\n").await.unwrap();
    drop(exchange.await.unwrap().unwrap());
    assert_eq!(driver.await.unwrap(), Side::Internal);
}

/// However its last data is held when it is given back.
#[tokio::test]
async fn a_block_that_grew_for_a_stream_is_not_kept() {
    const LENGTH: usize = 258_048 + 262_144 - 8192;
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let (client, connection) = handshake(Box::new(near));
    tokio::spawn(connection);
    let exchange = tokio::spawn(client.exchange(Request::get("http://a/").body(Body::empty()).unwrap()));
    read_until(&mut far, "\r\n\r\n").await;
    far.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n").as_bytes()).await.unwrap();
    let response = exchange.await.unwrap().unwrap();
    far.write_all(&vec![7; LENGTH]).await.unwrap();
    let mut body = response.into_body();
    let mut largest = 0;
    while let Some(frame) = body.frame().await {
        largest = largest.max(frame.unwrap().into_data().unwrap().len());
    }
    assert!(largest > 100_000, "it grew");
    let spare: Vec<_> = (0..20).map(|_| block::take()).collect();
    for mut block in spare {
        assert!(!block.try_reclaim(64 << 10), "a spare block of more than 64 KiB");
    }
}

#[tokio::test]
async fn a_body_of_no_length_that_has_not_ended_keeps_no_connection_busy() {
    let (client, mut far) = connect().await;
    let (_sender, body) = fed();
    let request = Request::post("http://a/").header("content-length", "0").body(body).unwrap();
    let exchange = tokio::spawn(client.exchange(request));
    read_until(&mut far, "\r\n\r\n").await;
    far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    exchange.await.unwrap().unwrap();
    assert!(client.is_ready());
}
