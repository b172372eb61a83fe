use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, Limited};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{
    base::{ErrorKind, task::AbortOnDropHandle},
    http::h1::client,
};

/// Some data, then nothing more, ever.
pub(super) struct Stuck(pub(super) Option<&'static str>);

impl http_body::Body for Stuck {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0
            .take()
            .map_or(Poll::Pending, |data| Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data.as_bytes()))))))
    }
}

/// Some data, then an error.
struct Broken(Option<&'static str>);

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(Some(match self.0.take() {
            Some(data) => Ok(Frame::data(Bytes::from_static(data.as_bytes()))),
            None => Err(Error::new(ErrorKind::UpstreamReset)),
        }))
    }
}

async fn echo(request: Request<Body>, _: RequestInfo) -> Response<Body> {
    match request.into_body().collect().await {
        Ok(body) => {
            assert!(body.trailers().is_none());
            Response::new(Body::from(body.to_bytes()))
        }
        Err(error) => {
            Response::builder().status(error.status()).body(Body::from(format!("{:?}", error.kind()))).unwrap()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn chunked_uploads_are_counted_and_their_trailers_dropped() {
    let mut peer = start(echo);
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    peer.send("6;x=y\r\n world\r\n0\r\nx-trailer: dropped\r\n\r\n").await;
    peer.until("hello world").await;
    assert_eq!(peer.records.take(), [line(200, "-", 11, 11)]);
    peer.send(GET).await;
    peer.until("\r\n\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn malformed_chunks_are_the_clients_mistake() {
    let mut peer = start(echo);
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await;
    let answer = peer.rest().await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("DownstreamProtocol"), "{answer}");
    assert!(answer.contains("connection: close"));
}

#[tokio::test(start_paused = true)]
async fn the_client_is_told_to_continue_when_its_body_is_wanted() {
    async fn counted(request: Request<Body>, info: RequestInfo) -> Response<Body> {
        assert!(!request.headers().contains_key("expect"));
        echo(request, info).await
    }
    let mut peer = start(counted);
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert_eq!(peer.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send("ok").await;
    assert!(peer.until("\r\n\r\nok").await.starts_with("HTTP/1.1 200"));

    let mut peer = start(hello);
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert!(peer.rest().await.starts_with("HTTP/1.1 200"), "nobody wanted the body");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_unread_upload_arrives() {
    async fn too_large(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::builder().status(413).body(Body::from("too large")).unwrap()
    }
    let mut peer = start(too_large);
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 900000\r\n\r\n").await;
    // More than the connection holds: somebody must read it, or the answer is lost in a reset.
    peer.send(vec![0; 900_000]).await;
    let answer = peer.rest().await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("too large"), "{answer}");
    assert!(answer.contains("connection: close"));
    assert_eq!(peer.records.take(), [line(413, "-", 0, 9)]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_response_is_cut_after_what_came_before() {
    async fn broken(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::new(Body::new(Broken(Some("some"))))
    }
    let mut peer = start(broken);
    peer.send(GET).await;
    let answer = peer.rest().await;
    assert!(answer.ends_with("\r\n\r\n4\r\nsome\r\n"), "no last chunk, so that the client knows: {answer}");
    assert_eq!(peer.records.take(), [line(200, "UR", 0, 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_response_shorter_than_its_length_is_cut() {
    async fn short(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        let body = http_body_util::Full::new(Bytes::from_static(b"abc"));
        Response::builder().header("content-length", "5").body(Body::new(body)).unwrap()
    }
    let mut peer = start(short);
    peer.send([GET, GET].concat()).await;
    let answer = peer.rest().await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert_eq!(peer.records.take(), [line(200, "-", 0, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_response_longer_than_its_length_is_truncated() {
    async fn long(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        let body = http_body_util::Full::new(Bytes::from_static(b"abcdef"));
        Response::builder().header("content-length", "3").body(Body::new(body)).unwrap()
    }
    let mut peer = start(long);
    peer.send(GET).await;
    peer.until("\r\n\r\nabc").await;
    peer.send(GET).await;
    assert!(peer.until("\r\n\r\nabc").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn an_upload_goes_on_beside_the_response() {
    /// Answers at once, with a body that repeats the upload as it comes.
    async fn bidi(request: Request<Body>, _: RequestInfo) -> Response<Body> {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let mut upload = request.into_body();
        tokio::spawn(async move {
            while let Some(Ok(frame)) = upload.frame().await {
                let Ok(data) = frame.into_data() else { continue };
                if sender.send(data).await.is_err() {
                    return;
                }
            }
        });
        Response::new(Body::new(Channel(receiver)))
    }
    struct Channel(tokio::sync::mpsc::Receiver<Bytes>);
    impl http_body::Body for Channel {
        type Data = Bytes;
        type Error = Error;
        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            self.0.poll_recv(cx).map(|data| data.map(|data| Ok(Frame::data(data))))
        }
    }
    let mut peer = start(bidi);
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    peer.until("\r\n\r\n").await;
    for _ in 0..3 {
        peer.send("4\r\nping\r\n").await;
        peer.until("4\r\nping\r\n").await;
    }
    peer.send("0\r\n\r\n").await;
    peer.until("0\r\n\r\n").await;
    assert_eq!(peer.records.take(), [line(200, "-", 12, 12)]);
    peer.send(GET).await;
    peer.until("0\r\n\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_ends_with_its_response() {
    /// A response, and what ends with it.
    struct With(Body, #[expect(dead_code, reason = "dropped with the body")] AbortOnDropHandle<()>);
    impl http_body::Body for With {
        type Data = Bytes;
        type Error = Error;
        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            Pin::new(&mut self.0).poll_frame(cx)
        }
        fn is_end_stream(&self) -> bool {
            self.0.is_end_stream()
        }
        fn size_hint(&self) -> http_body::SizeHint {
            self.0.size_hint()
        }
    }
    async fn early(request: Request<Body>, _: RequestInfo) -> Response<Body> {
        let mut upload = request.into_body();
        let pump = AbortOnDropHandle::spawn(async move { while upload.frame().await.is_some() {} });
        Response::new(Body::new(With("enough".into(), pump)))
    }
    let mut peer = start(early);
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nsome").await;
    assert!(peer.rest().await.ends_with("\r\n\r\nenough"));
    assert_eq!(peer.records.take()[0].1, "-");
}

/// Data, then trailers, as a gRPC response has them.
struct Trailing(Vec<Frame<Bytes>>);

impl http_body::Body for Trailing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.0.pop().map(Ok))
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_reach_only_who_asked_for_them() {
    async fn trailing(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let body = Trailing(vec![Frame::trailers(trailers), Frame::data("some".into())]);
        Response::builder().header("trailer", "grpc-status").body(Body::new(body)).unwrap()
    }
    let mut peer = start(trailing);
    for (asks, end) in [("te: trailers\r\n", "0\r\ngrpc-status: 0\r\n\r\n"), ("", "some\r\n0\r\n\r\n")] {
        peer.send(format!("GET / HTTP/1.1\r\nhost: a\r\n{asks}\r\n")).await;
        peer.until(end).await;
    }
    assert_eq!(peer.records.take(), vec![line(200, "-", 0, 4); 2]);
}

/// What is proxied from here to a host that has answered already.
async fn response_after_a_failed_upload(limit: usize, last: &str) {
    let (near, mut host) = tokio::io::duplex(1 << 16);
    let (client, connection) = client::handshake(Box::new(near));
    tokio::spawn(connection);
    let client = Arc::new(client);
    let mut peer = start(move |request, info| {
        let client = client.clone();
        async move {
            let mut request = request.map(|body| Body::new(Limited::new(body, limit)));
            request.extensions_mut().insert(info);
            client.exchange(request).await.map_err(|failed| failed.error).unwrap()
        }
    });
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nping\r\n").await;
    let mut read = Vec::new();
    while !read.ends_with(b"4\r\nping\r\n") {
        read.push(host.read_u8().await.unwrap());
    }
    host.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    peer.until("\r\n\r\n").await;
    peer.send(last).await;
    let end = tokio::time::timeout(Duration::from_secs(10), peer.rest()).await;
    assert!(end.is_ok(), "the response goes on, though the connection to the host is closed");
}

#[tokio::test]
async fn a_proxied_response_ends_with_its_upload() {
    response_after_a_failed_upload(6, "4\r\nping\r\n").await;
    response_after_a_failed_upload(1 << 20, "no size\r\n").await;
}
