use std::pin::Pin;

use http::{Request, Response, request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadBuf},
    time::Instant,
};

use super::*;
use crate::{
    base::{DrainPhase, Error, RequestInfo, info::TlsInfo},
    http::Body,
    testkit::Pipe,
};

/// Says which version it was asked in.
#[derive(Clone)]
struct Versions;

impl Handler for Versions {
    fn begin(&self, _: &Arc<ConnectionInfo>) -> RequestInfo {
        RequestInfo::detached()
    }

    async fn call(&self, request: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::new(Body::from(format!("{:?}", request.version())))
    }

    fn refuse(&self, _: Option<&request::Parts>, error: Error, _: &RequestInfo) -> Response<Body> {
        Response::builder().status(error.status()).body(Body::empty()).unwrap()
    }
}

fn start(tls: Option<TlsInfo>, codec: CodecType) -> (Pipe, Drain) {
    let (client, io) = Pipe::pair();
    let connection = ConnectionInfo::new(None, None);
    let connection = Arc::new(tls.into_iter().fold(connection, ConnectionInfo::with_tls));
    let options = Arc::new(ServerOptions { codec, ..ServerOptions::default() });
    let drain = Drain::new();
    tokio::spawn(serve_connection(Box::new(io), connection, Versions, options, drain.clone()));
    (client, drain)
}

fn alpn(protocol: &[u8]) -> Option<TlsInfo> {
    Some(TlsInfo::new(None, Some(protocol.to_vec()), None))
}

async fn http1(mut client: Pipe) -> String {
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn http2(client: Pipe) -> String {
    let (mut sender, connection) = h2::client::handshake(client).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://a/").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut answer = Vec::new();
    while let Some(data) = body.data().await {
        answer.extend_from_slice(&data.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_bytes_choose_the_codec() {
    for tls in [None, Some(TlsInfo::default()), alpn(b"unheard of")] {
        assert!(http1(start(tls.clone(), CodecType::Auto).0).await.ends_with("HTTP/1.1"));
        assert_eq!(http2(start(tls, CodecType::Auto).0).await, "HTTP/2.0");
    }
}

#[tokio::test(start_paused = true)]
async fn alpn_and_configuration_choose_before_a_byte_is_read() {
    assert!(http1(start(alpn(b"http/1.1"), CodecType::Auto).0).await.ends_with("HTTP/1.1"));
    assert_eq!(http2(start(alpn(b"h2"), CodecType::Auto).0).await, "HTTP/2.0");
    assert!(http1(start(alpn(b"h2"), CodecType::Http1).0).await.ends_with("HTTP/1.1"));
    assert_eq!(http2(start(None, CodecType::Http2).0).await, "HTTP/2.0");
}

#[tokio::test(start_paused = true)]
async fn silence_is_closed_and_so_is_half_a_preface() {
    for sent in [&b""[..], &PREFACE[..5]] {
        let begin = Instant::now();
        let (mut client, drain) = start(None, CodecType::Auto);
        client.write_all(sent).await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(drain.connections(), 1);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"");
        assert_eq!(begin.elapsed().as_secs(), 10);
        tokio::task::yield_now().await;
        assert_eq!(drain.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_gives_a_new_connection_one_second() {
    for tls in [None, alpn(b"http/1.1"), alpn(b"h2")] {
        let begin = Instant::now();
        let (mut client, drain) = start(tls, CodecType::Auto);
        tokio::task::yield_now().await;
        drain.enter(DrainPhase::Draining);
        // HTTP/2's settings, perhaps.
        client.read_to_end(&mut Vec::new()).await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), 1);
    }
    let (client, drain) = start(None, CodecType::Auto);
    drain.enter(DrainPhase::Draining);
    tokio::task::yield_now().await;
    assert!(http1(client).await.ends_with("HTTP/1.1"));
}

/// Gives one byte a time, and counts them.
struct Dribble<'a>(&'a [u8], usize);

impl AsyncRead for Dribble<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        if let Some((byte, rest)) = self.0.split_first() {
            buf.put_slice(&[*byte]);
            (self.0, self.1) = (rest, self.1 + 1);
        }
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn the_first_differing_byte_decides() {
    let preface = [&PREFACE[..], b"more"].concat();
    for (sent, sniffed, needed) in [
        (&b"GET / HTTP/1.1"[..], Sniffed::Http1, 1),
        (b"POST / HTTP/1.1", Sniffed::Http1, 2),
        (b"PRI * HTTP/1.1", Sniffed::Http1, 12),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", Sniffed::Http1, 24),
        (b"PRI", Sniffed::Http1, 3),
        (&preface, Sniffed::Http2, 24),
    ] {
        let (found, io) = sniff(Dribble(sent, 0)).await.unwrap();
        assert_eq!(found, sniffed, "{}", sent.escape_ascii());
        let (prefix, rest) = io.into_parts();
        assert_eq!((rest.1, &prefix[..]), (needed, &sent[..needed]));
        let mut all = Vec::new();
        Rewind::new(prefix, rest).read_to_end(&mut all).await.unwrap();
        assert_eq!(all, sent);
    }
    let error = sniff(Dribble(b"", 0)).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn never_more_than_the_preface_is_read() {
    let preface = [&PREFACE[..], b"and the first frames"].concat();
    let (_, io) = sniff(&preface[..]).await.unwrap();
    assert_eq!(io.into_parts().1, b"and the first frames");
}

/// An idle connection is little more than its task, so what that holds is most of what it costs. Whoever makes it
/// larger has a reason, and raises the number here; a local that lives across an await belongs into a box otherwise.
#[tokio::test]
async fn the_futures_of_a_connection_are_small() {
    let io = || -> BoxIo { Box::new(tokio::io::duplex(1).0) };
    let connection = Arc::new(ConnectionInfo::new(None, None));
    let options = Arc::new(ServerOptions::default());
    let http1 = h1::server::serve(io(), connection.clone(), Versions, &options, Drain::new());
    assert!(size_of_val(&http1) <= 1344, "HTTP/1: {}", size_of_val(&http1));
    let http2 = crate::http::h2::server::serve(io(), connection.clone(), Versions, &options, Drain::new());
    assert!(size_of_val(&http2) <= 2624, "HTTP/2: {}", size_of_val(&http2));
    let either = serve_connection(io(), connection, Versions, options.clone(), Drain::new());
    assert!(size_of_val(&either) <= 672, "before the codec is known: {}", size_of_val(&either));
}
