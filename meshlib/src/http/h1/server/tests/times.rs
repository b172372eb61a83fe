use std::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

use tokio::io::{AsyncWrite, ReadBuf};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_after_10_seconds() {
    let begin = Instant::now();
    let mut peer = start(hello);
    assert_eq!(peer.rest().await, "");
    assert_eq!(seconds(begin), 10.0);
    assert_eq!(peer.records.take(), []);
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_is_answered_408() {
    let mut peer = start(hello);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let begin = Instant::now();
    for byte in &GET[..9] {
        peer.send([*byte]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(peer.rest().await.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    assert_eq!(seconds(begin), 10.0);
    assert_eq!(peer.records.take()[0].0, Some(408));
}

#[tokio::test(start_paused = true)]
async fn each_head_has_its_own_time() {
    let mut peer = start(hello);
    for _ in 0..3 {
        peer.send(&GET[..7]).await;
        tokio::time::sleep(Duration::from_secs(9)).await;
        peer.send(&GET[7..]).await;
        peer.until("hello").await;
    }
    let begin = Instant::now();
    peer.send(&GET[..7]).await;
    assert!(peer.rest().await.starts_with("HTTP/1.1 408"));
    assert_eq!(seconds(begin), 10.0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_for_an_hour() {
    let mut peer = start(hello);
    peer.send(GET).await;
    peer.until("hello").await;
    tokio::time::sleep(Duration::from_secs(3599)).await;
    peer.send(GET).await;
    peer.until("hello").await;
    let begin = Instant::now();
    assert_eq!(peer.rest().await, "");
    assert_eq!(seconds(begin), 3600.0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_504() {
    let begin = Instant::now();
    let mut peer = start(never);
    peer.send(GET).await;
    let answer = peer.rest().await;
    assert!(answer.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("stream timeout"), "{answer}");
    assert_eq!(seconds(begin), 300.0);
    assert_eq!(peer.records.take(), [line(504, "SI", 0, 14)]);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stands_still_is_408() {
    async fn sink(request: Request<Body>, _: RequestInfo) -> Response<Body> {
        let _ = http_body_util::BodyExt::collect(request.into_body()).await;
        Response::default()
    }
    let begin = Instant::now();
    let mut peer = start(sink);
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345").await;
    tokio::time::sleep(Duration::from_secs(299)).await;
    peer.send("6").await; // counts as movement
    assert!(peer.rest().await.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    assert_eq!(seconds(begin), 599.0);
    assert_eq!(peer.records.take(), [line(408, "SI", 6, 14)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut() {
    async fn large(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::new(Body::from("x".repeat(1 << 20)))
    }
    let begin = Instant::now();
    let mut peer = start(large);
    peer.send(GET).await;
    peer.finish().await;
    assert_eq!(seconds(begin), 300.0);
    let records = peer.records.take();
    assert_eq!((records.len(), records[0].0), (1, Some(200)));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_stands_still_is_cut_and_flagged() {
    async fn stuck(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::new(Body::new(bodies::Stuck(Some("some"))))
    }
    let begin = Instant::now();
    let mut peer = start(stuck);
    peer.send(GET).await;
    peer.until("4\r\nsome\r\n").await;
    assert_eq!(peer.rest().await, "");
    assert_eq!(seconds(begin), 300.0);
    assert_eq!(peer.records.take(), [line(200, "SI", 0, 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_rests_is_asked_again() {
    let mut peer = start(hello);
    for pause in [2, 1800, 1] {
        peer.send(GET).await;
        assert!(peer.until("hello").await.starts_with("HTTP/1.1 200"));
        tokio::time::advance(Duration::from_secs(pause)).await;
        settle().await;
    }
    // A head in pieces, the first of which ends the rest.
    tokio::time::advance(Duration::from_secs(5)).await;
    settle().await;
    for piece in GET.chunks(7) {
        peer.send(piece).await;
        settle().await;
    }
    assert!(peer.until("hello").await.starts_with("HTTP/1.1 200"));
    assert_eq!(peer.records.take().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_ends_the_rest_has_its_own_time() {
    let mut peer = start(hello);
    peer.send(GET).await;
    peer.until("hello").await;
    tokio::time::advance(Duration::from_secs(60)).await;
    settle().await;
    peer.send(b"GET / ").await;
    let begin = Instant::now();
    assert!(peer.rest().await.starts_with("HTTP/1.1 408"));
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn who_rests_is_closed_by_a_drain_and_by_the_client() {
    let mut peer = start(hello);
    peer.send(GET).await;
    peer.until("hello").await;
    tokio::time::advance(Duration::from_secs(60)).await;
    settle().await;
    peer.drain.enter(crate::base::DrainPhase::Draining);
    assert_eq!(peer.rest().await, "");

    let mut peer = start(hello);
    peer.send(GET).await;
    peer.until("hello").await;
    tokio::time::advance(Duration::from_secs(60)).await;
    settle().await;
    drop(peer.client);
    peer.server.await.unwrap();
    assert_eq!(peer.records.take().len(), 1);
}

/// Notes how many bytes its reader has room for.
struct Room(Pipe, Arc<AtomicUsize>);

impl AsyncRead for Room {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        self.1.store(buf.remaining(), Ordering::Relaxed);
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Room {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_rests_has_no_buffers() {
    let (client, io) = Pipe::pair();
    let room = Arc::new(AtomicUsize::new(0));
    let mut peer = start_on(Room(io, room.clone()), client, ServerOptions::default(), hello);
    let room = || room.load(Ordering::Relaxed);
    for _ in 0..2 {
        peer.send(GET).await;
        peer.until("hello").await;
        settle().await;
        assert!(room() >= 8192, "hyper's: {}", room());
        tokio::time::advance(Duration::from_secs(2)).await;
        settle().await;
        assert!(room() <= 64, "at rest: {}", room());
    }
}
