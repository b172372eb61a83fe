use super::*;

/// Sends what must be refused; the whole answer.
async fn refused(request: impl AsRef<[u8]>) -> (String, Vec<Line>) {
    let mut peer = start(hello);
    peer.send(request).await;
    let answer = peer.rest().await;
    drop(peer.client);
    peer.server.await.unwrap();
    (answer, peer.records.take())
}

#[tokio::test(start_paused = true)]
async fn http_1_0_must_upgrade() {
    let (answer, records) = refused("GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n").await;
    assert!(answer.contains(" 426 Upgrade Required\r\n"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].0, Some(426));
}

#[tokio::test(start_paused = true)]
async fn malformed_heads_are_answered_by_the_handler_and_recorded() {
    for malformed in [
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET / HTTP/3.7\r\nhost: a\r\n\r\n",
        "G@T / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
    ] {
        let (answer, records) = refused(malformed).await;
        let expected = "HTTP/1.1 400 Bad Request\r\nserver: test\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
                        content-length: 11\r\nconnection: close\r\n\r\nBad Request";
        assert_eq!(answer, expected, "to {malformed:?}");
        assert_eq!(records, [line(400, "DPE", 0, 11)], "of {malformed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_service_can_see_is_refused_the_same() {
    for malformed in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    ] {
        let (answer, records) = refused(malformed).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("\r\n\r\nBad Request"), "{answer}");
        assert_eq!(records, [line(400, "DPE", 0, 11)], "of {malformed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn heads_beyond_the_limits_are_431() {
    let fields = (0..101).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let large = format!("x: {}\r\n", "y".repeat(61 << 10));
    for beyond in [fields, large] {
        let (answer, records) = refused(format!("GET / HTTP/1.1\r\nhost: a\r\n{beyond}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1);
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].0, records[0].1.as_str()), (Some(431), "DPE"));
    }
}

#[tokio::test(start_paused = true)]
async fn heads_within_the_limits_pass() {
    let fields = (0..99).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let large = format!("x: {}\r\n", "y".repeat(59 << 10));
    for within in [fields, large] {
        let mut peer = start(hello);
        peer.send(format!("GET / HTTP/1.1\r\nhost: a\r\n{within}\r\n")).await;
        assert!(peer.until("hello").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_head_after_good_requests_ends_the_connection_in_order() {
    let (answer, records) = refused([GET, GET, b"junk\r\n\r\n"].concat()).await;
    let statuses: Vec<_> =
        answer.match_indices("HTTP/1.1 ").filter_map(|(at, _)| answer.get(at + 9..at + 12)).collect();
    assert_eq!(statuses, ["200", "200", "400"]);
    assert_eq!(records, [line(200, "-", 0, 5), line(200, "-", 0, 5), line(400, "DPE", 0, 11)]);
}

/// The handler's own 4xx must not be taken for hyper's.
#[tokio::test(start_paused = true)]
async fn the_handlers_own_answers_pass() {
    async fn not_found(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::builder().status(404).body(Body::from("none")).unwrap()
    }
    let mut peer = start(not_found);
    for _ in 0..2 {
        peer.send(GET).await;
        assert!(peer.until("none").await.starts_with("HTTP/1.1 404 Not Found\r\n"));
    }
    async fn empty(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::builder().status(429).body(Body::empty()).unwrap()
    }
    let mut peer = start(empty);
    for _ in 0..2 {
        peer.send(GET).await;
        assert!(peer.until("\r\n\r\n").await.starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
    }
}
