//! What must never reach a host: a second request inside a first, a field inside a value, two answers to one question.

use meshlib::proxy::server::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, address, block, frame, get, http2, proxy,
    text_host, within,
};

/// Everything the proxy answers to these bytes.
async fn text(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address(server)).await.expect("a connection");
    stream.write_all(bytes).await.expect("written");
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    let _ = within("the end of the connection", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const SECOND: &str = "GET /smuggled HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn no_second_request_comes_out_of_a_body() {
    // Head, body, and the refusal, where it is refused. What breaks off in the body may have begun at the host.
    let cases = [
        ("content-length: 4\r\ntransfer-encoding: chunked", "0\r\n\r\n", None),
        ("transfer-encoding: chunked\r\ncontent-length: 4", "0\r\n\r\n", None),
        ("content-length: 0\r\ncontent-length: 5", "hello", Some(400)),
        ("content-length: 5, 5", "hello", Some(400)),
        ("content-length: +5", "hello", Some(400)),
        ("content-length: 0x5", "hello", Some(400)),
        ("transfer-encoding: identity", "", Some(400)),
        ("transfer-encoding: gzip, chunked", "0\r\n\r\n", Some(400)),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", "0\r\n\r\n", Some(400)),
        ("transfer-encoding: xchunked", "0\r\n\r\n", Some(400)),
        ("transfer-encoding : chunked", "0\r\n\r\n", Some(400)),
        ("transfer-encoding: \u{b}chunked", "0\r\n\r\n", Some(400)),
        ("transfer-encoding: chunked", "0x5\r\nhello\r\n0\r\n\r\n", Some(400)),
        ("transfer-encoding: chunked", "5\nhello\r\n0\r\n\r\n", Some(400)),
        ("transfer-encoding: chunked", "5\r\nhelloX\r\n0\r\n\r\n", Some(400)),
        ("connection: upgrade\r\nupgrade: foo", "", Some(403)),
        ("x-a: b\rtransfer-encoding: chunked", "0\r\n\r\n", Some(400)),
        ("x-a: b\r\n transfer-encoding: chunked", "0\r\n\r\n", Some(400)),
    ];
    let (host, heads) = text_host().await;
    let server = proxy(host, false).await;
    for (head, body, refused) in cases {
        let bytes = format!("POST /first HTTP/1.1\r\nhost: h\r\n{head}\r\n\r\n{body}{SECOND}");
        let answer = text(&server, bytes.as_bytes()).await;
        let heads = std::mem::take(&mut *heads.lock().unwrap());
        if let Some(status) = refused {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}: {answer}");
        }
        assert!(!heads.iter().any(|head| head.contains("smuggled")), "{head:?}: {heads:?}");
        // Whoever reads the length reads the same message.
        assert!(heads.iter().all(|head| !head.contains("chunked") || !head.contains("content-length")), "{heads:?}");
    }
}

/// The status that HTTP/2 answers to these fields, if it is an answer.
async fn fields(server: &Server, fields: &[(&str, &str)]) -> Option<u8> {
    let (mut frames, writer) = http2(server).await;
    writer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))).await;
    loop {
        let next = within("an answer", frames.next()).await?;
        match next.kind {
            // `:status` of the static table: 200, 204, 206, 304, 400, 404, 500.
            HEADERS => return Some(next.payload[0] & 0x7f),
            RST_STREAM | GOAWAY => return None,
            _ => {}
        }
    }
}

#[tokio::test]
async fn nothing_of_http2_becomes_a_line_of_http1() {
    let base = [(":method", "GET"), (":scheme", "http"), (":path", "/x"), (":authority", "h")];
    let with = |name: &'static str, value: &'static str| {
        base.map(|(base, old)| if base == name { (base, value) } else { (base, old) }).to_vec()
    };
    let and = |name: &'static str, value: &'static str| [&base[..], &[(name, value)]].concat();
    let refused = [
        with(":path", ""),
        with(":path", "x"),
        with(":path", "?x"),
        with(":path", "*"),
        with(":path", "http://evil/x"),
        with(":path", "/x y"),
        with(":path", "/x HTTP/1.1\r\nevil: 1"),
        with(":path", "/\0"),
        with(":method", "GET /evil HTTP/1.1\r\nx:"),
        with(":method", ""),
        with(":scheme", "http\r\n"),
        with(":authority", "a/b"),
        with(":authority", "a b"),
        with(":authority", "a\r\nx: y"),
        with(":authority", "user@h"),
        with(":authority", ""),
        and("transfer-encoding", "chunked"),
        and("connection", "close"),
        and("upgrade", "foo"),
        and("keep-alive", "x"),
        and("proxy-connection", "x"),
        and("te", "gzip"),
        and("content-length", "5"),
        and("x-a", "b\r\nevil: 1"),
        and("x-a", "b\nevil: 1"),
        and("x-a", "b\rc"),
        and("x-a", "b\0c"),
        and("X-Upper", "a"),
        and("a b", "c"),
        and("a:b", "c"),
        and("", "c"),
        and("a\r\nevil", "c"),
        and(":method", "PUT"),
        [&base[..], &[("content-length", "0"), ("content-length", "0")]].concat(),
        [&base[..], &[(":late", "x")]].concat(),
    ];
    let (host, heads) = text_host().await;
    let server = proxy(host, false).await;
    for case in refused {
        let status = fields(&server, &case).await;
        assert!(matches!(status, None | Some(12)), "{case:?}: {status:?}");
        assert!(heads.lock().unwrap().is_empty(), "{case:?}: {heads:?}");
    }
    // What is legal and dangerous is made harmless.
    let legal = [&base[..], &[("host", "evil"), ("te", "trailers"), ("cookie", "a=1"), ("cookie", "b=2")]].concat();
    assert_eq!(fields(&server, &legal).await, Some(8));
    let head = heads.lock().unwrap().pop().unwrap();
    assert!(head.starts_with("GET /x HTTP/1.1\r\n") && head.contains("\r\nhost: h\r\n"), "{head}");
    assert!(!head.contains("evil") && head.contains("\r\ncookie: a=1; b=2\r\n"), "{head}");
}

#[tokio::test]
async fn a_length_that_is_not_kept_fails_the_request_alone() {
    let (host, heads) = text_host().await;
    let server = proxy(host, false).await;
    let (mut frames, writer) = http2(&server).await;
    let head = |length| {
        let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "h")];
        block(&[&fields[..], &[("content-length", length)]].concat())
    };
    for (stream, length, body) in [(1, "2", &b"hello"[..]), (3, "9", b"hello")] {
        writer.send(frame(HEADERS, END_HEADERS, stream, &head(length))).await;
        writer.send(frame(DATA, END_STREAM, stream, body)).await;
        let reset = frames.find(RST_STREAM).await.expect("the connection goes on");
        assert_eq!(reset.stream, stream);
    }
    writer.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, &get("/next"))).await;
    assert_eq!(frames.find(HEADERS).await.expect("an answer").stream, 5);
    let last = heads.lock().unwrap().last().cloned().unwrap();
    assert!(last.starts_with("GET /next HTTP/1.1\r\n"), "{last}");
}

#[tokio::test]
async fn a_connect_with_a_length_fails_alone() {
    let (host, _) = text_host().await;
    let server = proxy(host, false).await;
    let (mut frames, writer) = http2(&server).await;
    let connect = block(&[(":method", "CONNECT"), (":authority", "h:443"), ("content-length", "1")]);
    writer.send(frame(HEADERS, END_HEADERS, 1, &connect)).await;
    writer.send(frame(PING, 0, 0, &[0; 8])).await;
    assert!(frames.find(PING).await.is_some(), "the connection goes on");
    writer.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, &get("/next"))).await;
    while frames.find(HEADERS).await.expect("an answer").stream != 3 {}
}
