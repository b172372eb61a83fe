//! Peers that do not read, and what may not come of it: ends that wait for each other, tasks that run in vain,
//! connections that nobody ends.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    hostile::{HEAD, HEADERS, Raw, frame},
    *,
};

/// Answers with a header of the request.
fn mirror() -> ArcService {
    ArcService::new(tower::service_fn(|request: Request<Body>| async move {
        let mut response = Response::new(Body::empty());
        response.headers_mut().extend(
            request.headers().get("large").map(|value| (http::HeaderName::from_static("large"), value.clone())),
        );
        Ok::<_, Error>(response)
    }))
}

#[tokio::test]
async fn both_ends_may_have_more_heads_to_say_than_the_pipe_takes() {
    let pair = pair(mirror(), ServerOptions::default()).await;
    pair.client.exchange(post("")).await.unwrap();
    let calls = (0..1000).map(|index| {
        let mut request = post("");
        request.headers_mut().insert("large", format!("{index:04}{}", "x".repeat(4000)).parse().unwrap());
        pair.client.exchange(request)
    });
    let all = timeout(Duration::from_secs(30), futures_util::future::join_all(calls)).await;
    assert!(all.expect("nobody waits for ever").iter().all(Result::is_ok));
}

/// Asks for large heads and reads none, until nothing more is taken.
async fn ask_and_do_not_read(io: &mut DuplexStream) {
    // A literal of 200 bytes.
    let large = [HEAD, b"\0\x05large\x7f\x49", &[b'x'; 200]].concat();
    for index in 0.. {
        let asked = frame(HEADERS, 5, 2 * index + 1, &large);
        if timeout(Duration::from_millis(100), io.write_all(&asked)).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_without_having_read_its_answers_is_let_go() {
    let Raw { mut io, server, .. } = Raw::within(1 << 12, mirror(), ServerOptions::default()).await;
    ask_and_do_not_read(&mut io).await;
    drop(io);
    let begin = Instant::now();
    timeout(Duration::from_secs(60), server).await.expect("it ends").unwrap();
    assert!(begin.elapsed() <= Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_over_does_not_run_in_vain() {
    let (mut io, far) = tokio::io::duplex(1 << 12);
    let (drain, polls) = (Drain::new(), Arc::new(AtomicUsize::new(0)));
    let (served, counted) = (drain.clone(), polls.clone());
    let (finished, _) = mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        let (connection, options) = (Arc::new(ConnectionInfo::new(None, None)), ServerOptions::default());
        let handler = TestHandler { service: mirror(), finished };
        let mut serving = std::pin::pin!(server::serve(far, connection, handler, &options, served));
        std::future::poll_fn(|cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            serving.as_mut().poll(cx)
        })
        .await;
    });
    io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    ask_and_do_not_read(&mut io).await;
    drain.enter(DrainPhase::Stopped);
    // So much that it is not held up any more, and the socket is full again.
    let mut some = vec![0; 1 << 10];
    for _ in 0..32 {
        let _ = timeout(Duration::from_millis(1), io.read(&mut some)).await;
    }
    let before = polls.load(Ordering::Relaxed);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let in_vain = polls.load(Ordering::Relaxed) - before;
    assert!(in_vain < 20, "{in_vain} times");
    drop(io);
    server.await.unwrap();
}
