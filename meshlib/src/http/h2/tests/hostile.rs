//! Peers that break rules, or keep to them in ways that hurt.

use http::HeaderMap;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};

use super::*;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

/// `POST http://echo/`, without a dynamic table: three fields of the static one, and a literal.
pub(super) const HEAD: &[u8] = b"\x83\x86\x84\x41\x04echo";

/// A client that writes frames by hand.
pub(super) struct Raw {
    pub(super) io: DuplexStream,
    drain: Drain,
    pub(super) server: JoinHandle<()>,
    finished: mpsc::UnboundedReceiver<(Record, u64, u64)>,
}

impl Raw {
    pub(super) async fn new(service: ArcService, options: ServerOptions) -> Self {
        Self::within(1 << 16, service, options).await
    }

    pub(super) async fn within(buffer: usize, service: ArcService, options: ServerOptions) -> Self {
        let (mut io, far) = tokio::io::duplex(buffer);
        let (finished_tx, finished) = mpsc::unbounded_channel();
        let (drain, handler) = (Drain::new(), TestHandler { service, finished: finished_tx });
        let served = drain.clone();
        let server = tokio::spawn(async move {
            let connection = Arc::new(ConnectionInfo::new(None, None));
            server::serve(far, connection, handler, &options, served).await;
        });
        io.write_all(PREFACE).await.unwrap();
        let mut raw = Self { io, drain, server, finished };
        raw.send(SETTINGS, 0, 0, b"").await;
        raw
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.io.write_all(&frame(kind, flags, stream, payload)).await.unwrap();
    }

    /// The next frame of this type; `None` when the connection ends first.
    pub(super) async fn next(&mut self, wanted: u8) -> Option<(u8, u32, Vec<u8>)> {
        loop {
            let mut head = [0; 9];
            self.io.read_exact(&mut head).await.ok()?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.io.read_exact(&mut payload).await.ok()?;
            if head[3] == wanted {
                return Some((head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload));
            }
        }
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn ignoring(body: fn() -> Body) -> ArcService {
    ArcService::new(tower::service_fn(move |_: Request<Body>| async move { Ok::<_, Error>(Response::new(body())) }))
}

/// Never answers; says when it was called.
fn counting() -> (ArcService, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let service = ArcService::new(tower::service_fn(move |_: Request<Body>| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<Response<Body>, Error>>()
    }));
    (service, calls)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_cannot_hold_a_connection_that_is_over() {
    let mut raw = Raw::within(1 << 10, echo(), ServerOptions::default()).await;
    // Each is answered, and nobody reads the answers.
    while tokio::time::timeout(Duration::from_secs(1), raw.send(PING, 0, 0, &[0; 8])).await.is_ok() {}
    let begin = Instant::now();
    raw.drain.enter(DrainPhase::Stopped);
    tokio::time::timeout(Duration::from_secs(60), raw.server).await.expect("it ends").unwrap();
    assert!(begin.elapsed() <= Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_reads_nothing_cannot_hold_a_connection_that_nobody_uses() {
    let (near, far) = tokio::io::duplex(16);
    let (client, connection) = client::handshake(Box::new(near), &Http2Options::upstream());
    let connection = tokio::spawn(connection);
    drop(client);
    let ended = tokio::time::timeout(Duration::from_secs(60), connection).await;
    ended.expect("it ends").unwrap().unwrap();
    drop(far);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_the_last_stream_though_the_shutdown_ping_is_never_answered() {
    let (service, _) = counting();
    let mut raw = Raw::new(service, ServerOptions::default()).await;
    raw.send(HEADERS, 5, 1, HEAD).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let begin = Instant::now();
    raw.drain.enter(DrainPhase::Draining);
    // Longer than the PING may take.
    tokio::time::sleep(Duration::from_secs(8)).await;
    raw.send(RST_STREAM, 0, 1, &[0, 0, 0, 8]).await;
    let Raw { server, mut io, .. } = raw;
    tokio::spawn(async move { io.read_to_end(&mut Vec::new()).await });
    tokio::time::timeout(Duration::from_secs(600), server).await.expect("it ends").unwrap();
    assert_eq!(begin.elapsed().as_secs(), 8);
}

#[tokio::test(start_paused = true)]
async fn without_a_headers_timeout_a_client_may_take_its_time() {
    let options = ServerOptions { request_headers_timeout: Duration::ZERO, ..ServerOptions::default() };
    let mut raw = Raw::new(echo(), options).await;
    raw.send(HEADERS, 5, 1, HEAD).await;
    assert_eq!(raw.next(HEADERS).await.unwrap().1, 1);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_not_completed_in_time_ends_the_connection() {
    for unfinished in [
        frame(HEADERS, 0, 1, HEAD),
        [frame(HEADERS, 0, 1, HEAD), frame(CONTINUATION, 0, 1, b"\x40\x01a\x01b")].concat(),
        frame(HEADERS, 4, 1, HEAD)[..12].to_vec(),
    ] {
        let mut raw = Raw::new(echo(), ServerOptions::default()).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let begin = Instant::now();
        raw.io.write_all(&unfinished).await.unwrap();
        assert!(raw.next(GOAWAY).await.is_some());
        assert_eq!(begin.elapsed().as_secs(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn heads_that_follow_each_other_have_each_their_own_time() {
    let mut raw = Raw::new(ignoring(Body::empty), ServerOptions::default()).await;
    let all: Vec<u8> = (0..30).flat_map(|index| frame(HEADERS, 5, 2 * index + 1, HEAD)).collect();
    // Always in the middle of one, a second at a time.
    let (first, rest) = all.split_at(15);
    raw.io.write_all(first).await.unwrap();
    for piece in rest.chunks(all.len() / 30) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        raw.io.write_all(piece).await.unwrap();
    }
    for index in 0..30 {
        assert_eq!(raw.next(HEADERS).await.unwrap().1, 2 * index + 1);
    }
}

#[tokio::test]
async fn a_request_that_was_given_up_before_its_turn_came_is_not_served() {
    let (service, calls) = counting();
    let mut raw = Raw::new(service, ServerOptions::default()).await;
    let both = |stream| [frame(HEADERS, 5, stream, HEAD), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
    let burst: Vec<u8> = (0..200).flat_map(|index| both(2 * index + 1)).collect();
    raw.io.write_all(&burst).await.unwrap();
    for _ in 0..200 {
        raw.finished.recv().await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    // And the connection goes on.
    raw.send(PING, 0, 0, &[0; 8]).await;
    assert!(raw.next(PING).await.is_some());
}

#[tokio::test]
async fn a_flooding_client_is_told_why_it_has_to_go() {
    let raw = Raw::new(echo(), ServerOptions::default()).await;
    let flood = frame(PING, 0, 0, &[0; 8]).repeat(10_000);
    let (mut read, mut write) = tokio::io::split(raw.io);
    let writing = tokio::spawn(async move {
        let _ = write.write_all(&flood).await;
        write
    });
    let mut all = Vec::new();
    let _ = read.read_to_end(&mut all).await;
    writing.await.unwrap();
    let calm = frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11]);
    assert!(all.windows(calm.len()).any(|window| window == calm), "no GOAWAY in {} bytes", all.len());
    raw.server.await.unwrap();
}

#[tokio::test]
async fn more_refused_streams_than_h2_counts_in_a_life_do_not_end_a_connection() {
    let (service, _) = counting();
    let mut options = ServerOptions::default();
    options.http2.max_concurrent_streams = 1;
    let mut raw = Raw::new(service, options).await;
    raw.send(HEADERS, 5, 1, HEAD).await;
    for index in 1..=2000 {
        raw.send(HEADERS, 5, 2 * index + 1, HEAD).await;
        let (_, stream, reason) = raw.next(RST_STREAM).await.expect("the connection goes on");
        assert_eq!((stream, &reason[..]), (2 * index + 1, &[0, 0, 0, 7][..]));
    }
}

#[tokio::test(start_paused = true)]
async fn the_record_of_a_stream_that_was_cut_comes_before_the_drain_is_over() {
    let (service, calls) = counting();
    let mut raw = Raw::new(service, ServerOptions::default()).await;
    raw.send(HEADERS, 5, 1, HEAD).await;
    while calls.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let drain = raw.drain.clone();
    drain.enter(DrainPhase::Draining);
    let finished = tokio::spawn(async move { drain.finished().await });
    drop(raw.io);
    finished.await.unwrap();
    assert!(raw.finished.try_recv().is_ok(), "written in time");
}

fn trailers(count: usize, size: usize) -> HeaderMap {
    let value: http::HeaderValue = "x".repeat(size).parse().unwrap();
    (0..count).map(|index| (format!("trailer-{index}").parse().unwrap(), value.clone())).collect()
}

fn with_trailers(trailers: HeaderMap) -> Body {
    let frames = [Ok::<_, Error>(Frame::data(Bytes::from_static(b"data"))), Ok(Frame::trailers(trailers))];
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

#[tokio::test]
async fn trailers_beyond_the_limit_fail_instead_of_being_cut() {
    // Small and many, few and large, one that is larger than anything h2 keeps; and what is within the limits.
    let cases = [
        (1, 100, true),
        (3, 16 << 10, true),
        (1, 59 << 10, true),
        (4, 16 << 10, false),
        (101, 10, false),
        (1, 61 << 10, false),
        (1, 170 << 10, false),
        (2, 100 << 10, false),
    ];
    for (count, size, whole) in cases {
        let expected = trailers(count, size);
        let answer = expected.clone();
        let service = ArcService::new(tower::service_fn(move |_: Request<Body>| {
            let answer = answer.clone();
            async move { Ok::<_, Error>(Response::new(with_trailers(answer))) }
        }));
        let pair = pair(service, ServerOptions::default()).await;
        let received = pair.client.exchange(post("")).await.unwrap().into_body().collect().await;
        if whole {
            assert_eq!(received.unwrap().trailers(), Some(&expected), "{count} x {size}");
        } else {
            assert_eq!(received.unwrap_err().kind(), crate::base::ErrorKind::UpstreamReset, "{count} x {size}");
        }
        // And of a request.
        let request = post_body(with_trailers(expected.clone()));
        let service = ArcService::new(tower::service_fn(|request: Request<Body>| async {
            let trailers = request.into_body().collect().await?.trailers().cloned().unwrap_or_default();
            Ok::<_, Error>(Response::new(Body::from(trailers.len().to_string())))
        }));
        let pair = super::pair(service, ServerOptions::default()).await;
        let response = pair.client.exchange(request).await.unwrap();
        assert_eq!(response.status().as_u16(), if whole { 200 } else { 431 }, "{count} x {size}");
    }
}

#[tokio::test]
async fn heads_beyond_the_limit_are_refused_and_recorded() {
    for (size, status) in [(59 << 10, 200), (61 << 10, 431), (150 << 10, 431)] {
        let mut pair = pair(ignoring(|| Body::from("x")), ServerOptions::default()).await;
        let mut request = post("");
        request.headers_mut().insert("large", "x".repeat(size).parse().unwrap());
        let response = pair.client.exchange(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{size}");
        drop(response);
        assert!(pair.finished.recv().await.is_some());
        let answer: HeaderMap = trailers(1, size);
        let service = ArcService::new(tower::service_fn(move |_: Request<Body>| {
            let mut response = Response::new(Body::empty());
            *response.headers_mut() = answer.clone();
            async move { Ok::<_, Error>(response) }
        }));
        let pair = super::pair(service, ServerOptions::default()).await;
        let answered = pair.client.exchange(post("")).await;
        match status {
            200 => assert!(answered.is_ok(), "{size}"),
            _ => {
                let kind = answered.unwrap_err().error.kind();
                assert_eq!(kind, crate::base::ErrorKind::UpstreamReset, "{size}");
            }
        }
    }
}

#[tokio::test]
async fn what_came_before_a_body_failed_arrives() {
    let service = ArcService::new(tower::service_fn(|_: Request<Body>| async {
        let frames =
            [Ok(Frame::data(Bytes::from_static(b"part"))), Err(Error::new(crate::base::ErrorKind::UpstreamReset))];
        Ok::<_, Error>(Response::new(Body::new(StreamBody::new(futures_util::stream::iter(frames)))))
    }));
    let mut pair = pair(service, ServerOptions::default()).await;
    let response = pair.client.exchange(post("")).await.expect("a head");
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "part");
    assert_eq!(body.frame().await.unwrap().unwrap_err().kind(), crate::base::ErrorKind::UpstreamReset);
    assert_eq!(pair.finished.recv().await.unwrap().0.flags, ResponseFlags::UPSTREAM_REMOTE_RESET);
}

#[tokio::test]
async fn a_body_that_must_not_be_there_is_left_out() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let service = ArcService::new(tower::service_fn(move |_: Request<Body>| async move {
            let response = Response::builder().status(status).header("content-length", "7");
            Ok::<_, Error>(response.body(Body::from("unasked")).unwrap())
        }));
        let mut pair = pair(service, ServerOptions::default()).await;
        let request = Request::builder().method(method).uri("http://echo/").body(Body::empty()).unwrap();
        let response = pair.client.exchange(request).await.unwrap();
        assert!(http_body::Body::is_end_stream(response.body()), "{method} {status}");
        assert_eq!(response.headers().contains_key("content-length"), status != 204, "{method} {status}");
        let (record, _, sent) = pair.finished.recv().await.unwrap();
        assert_eq!((record.flags, sent), (ResponseFlags::empty(), 0), "{method} {status}");
    }
}

/// `count` gRPC messages without content, each in a frame of its own.
fn small_messages(count: usize) -> Body {
    let frames = (0..count).map(|index| {
        let index = u32::try_from(index).unwrap().to_be_bytes();
        Ok::<_, Error>(Frame::data(Bytes::from([&[0], &index[..]].concat())))
    });
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

/// More than fit into a stream's window.
const MESSAGES: usize = 60_000;

async fn assert_small_messages(body: Body) {
    let all = body.collect().await.expect("the connection goes on").to_bytes();
    assert_eq!(all, small_messages(MESSAGES).collect().await.unwrap().to_bytes());
}

#[tokio::test]
async fn small_messages_that_nobody_reads_end_no_connection() {
    let service = ArcService::new(tower::service_fn(|request: Request<Body>| async move {
        let quick = request.uri().path() == "/quick";
        Ok::<_, Error>(Response::new(if quick { Body::from("quick") } else { small_messages(MESSAGES) }))
    }));
    let pair = pair(service, ServerOptions::default()).await;
    let mut stalled = Vec::new();
    for _ in 0..4 {
        stalled.push(pair.client.exchange(post("")).await.unwrap().into_body());
    }
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
    let quick = Request::get("http://echo/quick").body(Body::empty()).unwrap();
    let quick = pair.client.exchange(quick).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(quick.to_bytes(), "quick");
    for body in stalled {
        assert_small_messages(body).await;
    }
}

#[tokio::test]
async fn small_messages_of_a_client_wait_for_whoever_reads_them() {
    let (read, reading) = tokio::sync::watch::channel(false);
    let service = ArcService::new(tower::service_fn(move |request: Request<Body>| {
        let mut reading = reading.clone();
        async move {
            let _ = reading.wait_for(|reading| *reading).await;
            assert_small_messages(request.into_body()).await;
            Ok::<_, Error>(Response::new(Body::empty()))
        }
    }));
    let pair = pair(service, ServerOptions::default()).await;
    let calls: Vec<_> =
        (0..4).map(|_| tokio::spawn(pair.client.exchange(post_body(small_messages(MESSAGES))))).collect();
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
    read.send_replace(true);
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
}

/// However small an answer is, who gives it no window must not hold it for ever: a thousand streams would be 16 MiB.
#[tokio::test(start_paused = true)]
async fn a_small_answer_that_has_no_window_is_given_up() {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (finished_tx, mut finished) = mpsc::unbounded_channel();
    let handler = TestHandler { service: echo(), finished: finished_tx };
    let options = ServerOptions { stream_idle_timeout: Duration::from_secs(20), ..ServerOptions::default() };
    tokio::spawn(async move {
        let connection = Arc::new(ConnectionInfo::new(None, None));
        server::serve(far, connection, handler, &options, Drain::new()).await;
    });
    let (mut client, connection) =
        h2::client::Builder::new().initial_window_size(0).handshake::<_, Bytes>(near).await.unwrap();
    tokio::spawn(connection);
    // The server has to know the window first.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let begin = Instant::now();
    let request = Request::post("http://echo/").body(()).unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"hello"), true).unwrap();
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
    let (record, _, sent) = finished.recv().await.unwrap();
    assert_eq!((record.flags, sent), (ResponseFlags::STREAM_IDLE_TIMEOUT, 0));
    assert!((20..=25).contains(&begin.elapsed().as_secs()));
}
