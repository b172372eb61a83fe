//! Both ends of an HTTP/2 connection, over a pipe.

mod hostile;
mod protocol;
mod replay;
mod size;
mod stalled;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::mpsc,
    time::Instant,
};

use super::{client, client::H2Client, server};
use crate::{
    base::{
        ConnectionInfo, Drain, DrainPhase, DrainTimes, Error, RequestInfo, ResponseFlags,
        info::{FinishObserver, FinishObservers, Record},
    },
    http::{
        ArcService, Body,
        handler::Handler,
        options::{Http2Options, ServerOptions},
    },
};

/// Hands every request to a service, and reports every record that is closed.
#[derive(Clone)]
struct TestHandler {
    service: ArcService,
    finished: mpsc::UnboundedSender<(Record, u64, u64)>,
}

struct Report(mpsc::UnboundedSender<(Record, u64, u64)>);

impl FinishObserver for Report {
    fn on_finish(&self, info: &RequestInfo, record: &Record) {
        let _ = self.0.send((record.clone(), info.bytes_received(), info.bytes_sent()));
    }
}

impl Handler for TestHandler {
    fn begin(&self, connection: &Arc<ConnectionInfo>) -> RequestInfo {
        let report: Arc<dyn FinishObserver> = Arc::new(Report(self.finished.clone()));
        let observers = FinishObservers::new([report]);
        RequestInfo::served(connection.clone(), Instant::now(), SystemTime::UNIX_EPOCH, observers)
    }

    async fn call(&self, mut request: Request<Body>, info: RequestInfo) -> Response<Body> {
        info.capture_request(&request);
        request.extensions_mut().insert(info.clone());
        match self.service.call(request).await {
            Ok(response) => response,
            Err(error) => self.refuse(None, error, &info),
        }
    }

    fn refuse(&self, _: Option<&request::Parts>, error: Error, info: &RequestInfo) -> Response<Body> {
        info.update(|record| record.flags |= error.flags());
        let mut response = Response::new(Body::empty());
        *response.status_mut() = error.status();
        response
    }
}

/// Counts the writes that carry anything.
struct CountWrites(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for CountWrites {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for CountWrites {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

struct Pair {
    client: H2Client,
    finished: mpsc::UnboundedReceiver<(Record, u64, u64)>,
    drain: Drain,
    connection: tokio::task::JoinHandle<Result<(), Error>>,
    writes: [Arc<AtomicUsize>; 2],
}

async fn pair(service: ArcService, options: ServerOptions) -> Pair {
    let (near, far) = tokio::io::duplex(1 << 20);
    let writes = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let (near, far) = (CountWrites(near, writes[0].clone()), CountWrites(far, writes[1].clone()));
    let (finished_tx, finished) = mpsc::unbounded_channel();
    let (drain, handler) = (Drain::new(), TestHandler { service, finished: finished_tx });
    let served = drain.clone();
    tokio::spawn(async move {
        let connection = Arc::new(ConnectionInfo::new(None, None));
        server::serve(far, connection, handler, &options, served).await;
    });
    let (client, connection) = client::handshake(Box::new(near), &Http2Options::upstream());
    Pair { client, finished, drain, connection: tokio::spawn(connection), writes }
}

fn echo() -> ArcService {
    ArcService::new(tower::service_fn(|request: Request<Body>| async {
        Ok::<_, Error>(Response::new(request.into_body()))
    }))
}

fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("http://echo/api.Echo/Echo").body(body.into()).unwrap()
}

/// A body fed by a channel.
fn channel() -> (mpsc::Sender<Bytes>, Body) {
    struct Fed(mpsc::Receiver<Bytes>);
    impl http_body::Body for Fed {
        type Data = Bytes;
        type Error = Error;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Error>>> {
            self.0.poll_recv(cx).map(|data| data.map(|data| Ok(http_body::Frame::data(data))))
        }
    }
    let (feed, fed) = mpsc::channel(1);
    (feed, Body::new(Fed(fed)))
}

#[tokio::test]
async fn a_request_goes_out_and_its_echo_comes_back() {
    let mut pair = pair(echo(), ServerOptions::default()).await;
    let response = pair.client.exchange(post("hello")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    let (record, received, sent) = pair.finished.recv().await.unwrap();
    assert_eq!((record.flags, received, sent), (ResponseFlags::empty(), 5, 5));
    assert_eq!(record.authority.unwrap(), "echo");
    assert_eq!(pair.client.active_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn ten_streams_of_1_kib_leave_in_at_most_two_writes_a_side() {
    let pair = pair(echo(), ServerOptions::default()).await;
    let warm = pair.client.exchange(post("x")).await.unwrap();
    warm.into_body().collect().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let before = pair.writes.clone().map(|writes| writes.load(Ordering::Relaxed));
    let payload = Bytes::from(vec![7; 1024]);
    let calls = (0..10).map(|_| pair.client.exchange(post(payload.clone())));
    for response in futures_util::future::join_all(calls).await {
        assert_eq!(response.unwrap().into_body().collect().await.unwrap().to_bytes().len(), 1024);
    }
    for (side, (before, writes)) in before.iter().zip(&pair.writes).enumerate() {
        let writes = writes.load(Ordering::Relaxed) - before;
        assert!(writes <= 2, "side {side}: {writes} writes");
    }
}

#[tokio::test(start_paused = true)]
async fn many_streams_that_have_more_to_send_than_there_is_room_for_all_get_their_turn() {
    let pair = pair(echo(), ServerOptions::default()).await;
    let payload = Bytes::from(vec![7; 100 << 10]);
    let calls = (0..50).map(|_| async {
        let response = pair.client.exchange(post(payload.clone())).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes().len()
    });
    let all = futures_util::future::join_all(calls);
    let lengths = tokio::time::timeout(Duration::from_secs(1), all).await.expect("nobody waits for ever");
    assert!(lengths.iter().all(|length| *length == payload.len()));
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_nobody_polls_holds_up_nobody_else() {
    let pair = pair(ignoring_body(), ServerOptions::default()).await;
    let large = || post(Bytes::from(vec![7; 200 << 10]));
    // Both have begun, and wait for room; one is never polled again.
    let mut forgotten = pair.client.exchange(large());
    assert!(futures_util::FutureExt::now_or_never(&mut forgotten).is_none());
    let others = (0..20).map(|_| pair.client.exchange(large()));
    let all = tokio::time::timeout(Duration::from_secs(1), futures_util::future::join_all(others));
    assert!(all.await.expect("nobody waits for ever").iter().all(Result::is_ok));
    drop(forgotten);
}

/// Reads a request to its end, and answers with nothing.
fn ignoring_body() -> ArcService {
    ArcService::new(tower::service_fn(|request: Request<Body>| async {
        request.into_body().collect().await?;
        Ok::<_, Error>(Response::new(Body::empty()))
    }))
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_is_one_write() {
    let pair = pair(echo(), ServerOptions::default()).await;
    pair.client.exchange(post("x")).await.unwrap().into_body().collect().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let before = pair.writes[0].load(Ordering::Relaxed);
    let response = pair.client.exchange(post(Bytes::from(vec![7; 1024]))).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(pair.writes[0].load(Ordering::Relaxed) - before, 1);
}

#[tokio::test]
async fn a_bidi_stream_answers_before_the_upload_ends() {
    let pair = pair(echo(), ServerOptions::default()).await;
    let (feed, body) = channel();
    let response = pair.client.exchange(post_body(body));
    feed.send(Bytes::from("ping")).await.unwrap();
    let mut answer = response.await.unwrap().into_body();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "ping");
    feed.send(Bytes::from("pong")).await.unwrap();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "pong");
    drop(feed);
    assert!(answer.frame().await.is_none());
}

fn post_body(body: Body) -> Request<Body> {
    Request::post("http://echo/").body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_cancels_it_on_the_other_side() {
    let (dropped_tx, mut dropped) = mpsc::unbounded_channel();
    let never = ArcService::new(tower::service_fn(move |_: Request<Body>| {
        let guard = Dropped(dropped_tx.clone());
        async move {
            let _guard = guard;
            std::future::pending::<Result<Response<Body>, Error>>().await
        }
    }));
    let mut pair = pair(never, ServerOptions::default()).await;
    let begin = Instant::now();
    let call = pair.client.exchange(post("x"));
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    dropped.recv().await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(60));
    let (record, ..) = pair.finished.recv().await.unwrap();
    assert_eq!(record.flags, ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION);
}

struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stands_still_is_ended() {
    let pair = pair(echo(), ServerOptions::default()).await;
    let (_feed, body) = channel();
    let begin = Instant::now();
    let mut pair_finished = pair.finished;
    let response = pair.client.exchange(post_body(body)).await.unwrap();
    let failed = response.into_body().collect().await.unwrap_err();
    let waited = begin.elapsed().as_secs();
    assert!((300..=375).contains(&waited), "{waited} s");
    assert_eq!(failed.side(), crate::base::Side::Upstream);
    assert_eq!(pair_finished.recv().await.unwrap().0.flags, ResponseFlags::STREAM_IDLE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn draining_says_goaway_and_lets_streams_finish() {
    let mut pair = pair(echo(), ServerOptions::default()).await;
    let (feed, body) = channel();
    let response = pair.client.exchange(post_body(body));
    feed.send(Bytes::from("before")).await.unwrap();
    let mut answer = response.await.unwrap().into_body();
    answer.frame().await.unwrap().unwrap();
    pair.drain.start(DrainTimes::default());
    pair.drain.reached(DrainPhase::Draining).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(pair.client.is_closed(), "GOAWAY has arrived");
    let refused = pair.client.exchange(post("late")).await.unwrap_err();
    assert!(refused.request.is_some(), "it can be sent elsewhere");
    feed.send(Bytes::from("after")).await.unwrap();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "after");
    drop(feed);
    assert!(answer.frame().await.is_none());
    assert_eq!(pair.finished.recv().await.unwrap().0.flags, ResponseFlags::empty());
    pair.connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_hard_stop_is_cut() {
    let pair = pair(echo(), ServerOptions::default()).await;
    let (feed, body) = channel();
    let response = pair.client.exchange(post_body(body));
    feed.send(Bytes::from("x")).await.unwrap();
    let mut answer = response.await.unwrap().into_body();
    answer.frame().await.unwrap().unwrap();
    let begin = Instant::now();
    pair.drain.start(DrainTimes::default());
    assert!(answer.frame().await.is_none_or(|frame| frame.is_err()));
    assert_eq!(begin.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_answers_the_shutdown_ping_cannot_hold_the_connection() {
    let (mut client, far) = tokio::io::duplex(1 << 16);
    let (finished, _) = mpsc::unbounded_channel();
    let (drain, handler) = (Drain::new(), TestHandler { service: echo(), finished });
    let served = drain.clone();
    let server = tokio::spawn(async move {
        let connection = Arc::new(ConnectionInfo::new(None, None));
        server::serve(far, connection, handler, &ServerOptions::default(), served).await;
    });
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    tokio::io::AsyncWriteExt::write_all(&mut client, preface).await.unwrap();
    let begin = Instant::now();
    drain.start(DrainTimes::default());
    server.await.unwrap();
    // 5 s of accepting, 1 s for a first stream, 5 s for the PING, 1 s to read the last GOAWAY.
    assert_eq!(begin.elapsed().as_secs(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_speaks_is_dropped_after_ten_seconds() {
    let (_client, far) = tokio::io::duplex(1024);
    let (finished, _) = mpsc::unbounded_channel();
    let handler = TestHandler { service: echo(), finished };
    let begin = Instant::now();
    let connection = Arc::new(ConnectionInfo::new(None, None));
    server::serve(far, connection, handler, &ServerOptions::default(), Drain::new()).await;
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn more_than_a_hundred_headers_are_refused() {
    let mut pair = pair(echo(), ServerOptions::default()).await;
    let mut request = post("");
    for index in 0..101 {
        request.headers_mut().append("cookie", format!("crumb={index}").parse().unwrap());
    }
    let response = pair.client.exchange(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let (record, ..) = pair.finished.recv().await.unwrap();
    assert_eq!(record.flags, ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR);
}

#[tokio::test]
async fn a_stalled_reader_bounds_what_the_sender_may_send() {
    let sent = Arc::new(Mutex::new(0usize));
    let counted = sent.clone();
    let endless = ArcService::new(tower::service_fn(move |_: Request<Body>| {
        let counted = counted.clone();
        async move {
            let frames = futures_util::stream::repeat_with(move || {
                *counted.lock().unwrap() += 16 << 10;
                Ok::<_, Error>(http_body::Frame::data(Bytes::from_static(&[0; 16 << 10])))
            });
            Ok::<_, Error>(Response::new(Body::new(http_body_util::StreamBody::new(frames))))
        }
    }));
    let pair = pair(endless, ServerOptions::default()).await;
    let response = pair.client.exchange(post("")).await.unwrap();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let window = Http2Options::upstream().initial_stream_window_size as usize;
    let sent = *sent.lock().unwrap();
    assert!(sent <= window + (64 << 10) + (32 << 10), "{sent} bytes for a window of {window}");
    drop(response);
}
