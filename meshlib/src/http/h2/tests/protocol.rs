//! RFC 9113, rule by rule, by a client and a host that write frames by hand.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    hostile::{HEAD, HEADERS, PING, PREFACE, RST_STREAM, Raw, SETTINGS, frame},
    *,
};

const DATA: u8 = 0;
const PRIORITY: u8 = 2;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const NO_ERROR: u8 = 0;
const PROTOCOL_ERROR: u8 = 1;
const FLOW_CONTROL_ERROR: u8 = 3;
const STREAM_CLOSED: u8 = 5;
const FRAME_SIZE_ERROR: u8 = 6;
const COMPRESSION_ERROR: u8 = 9;

/// Reads a request to its end, and answers with what it said.
fn patient() -> ArcService {
    ArcService::new(tower::service_fn(|request: Request<Body>| async {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, Error>(Response::new(Body::from(body)))
    }))
}

fn head(stream: u32, fields: &[u8]) -> Vec<u8> {
    frame(HEADERS, 4, stream, fields)
}

/// `HEAD` and a content-length.
fn with_length(length: &str) -> Vec<u8> {
    [HEAD, b"\x0f\x0d", &[length.len() as u8], length.as_bytes()].concat()
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_connection_is_told_why() {
    let open = head(1, HEAD);
    let done = frame(HEADERS, 5, 1, HEAD);
    let cases: [(&str, u8, Vec<u8>); 24] = [
        ("DATA on stream 0", PROTOCOL_ERROR, frame(DATA, 0, 0, b"x")),
        ("DATA on an idle stream", PROTOCOL_ERROR, frame(DATA, 0, 1, b"x")),
        ("padding longer than its frame", PROTOCOL_ERROR, [open.clone(), frame(DATA, 8, 1, b"\x02x")].concat()),
        ("HEADERS on stream 0", PROTOCOL_ERROR, head(0, HEAD)),
        ("an even number", PROTOCOL_ERROR, head(2, HEAD)),
        ("a number that was left out", PROTOCOL_ERROR, [head(5, HEAD), head(3, HEAD)].concat()),
        ("HEADERS without their priority", FRAME_SIZE_ERROR, frame(HEADERS, 0x24, 1, b"\0\0\0")),
        (
            "a block that is not continued",
            PROTOCOL_ERROR,
            [frame(HEADERS, 0, 1, HEAD), frame(PING, 0, 0, &[0; 8])].concat(),
        ),
        ("CONTINUATION of nothing", PROTOCOL_ERROR, frame(CONTINUATION, 4, 1, b"")),
        ("no HPACK", COMPRESSION_ERROR, head(1, b"\x80")),
        ("RST_STREAM of an idle stream", PROTOCOL_ERROR, frame(RST_STREAM, 0, 1, &[0; 4])),
        ("RST_STREAM on stream 0", PROTOCOL_ERROR, frame(RST_STREAM, 0, 0, &[0; 4])),
        ("RST_STREAM cut", FRAME_SIZE_ERROR, [open.clone(), frame(RST_STREAM, 0, 1, &[0; 3])].concat()),
        ("PRIORITY on stream 0", PROTOCOL_ERROR, frame(PRIORITY, 0, 0, &[0; 5])),
        ("SETTINGS on a stream", PROTOCOL_ERROR, frame(SETTINGS, 0, 1, b"")),
        ("SETTINGS cut", FRAME_SIZE_ERROR, frame(SETTINGS, 0, 0, &[0; 5])),
        ("an acknowledgement with settings", FRAME_SIZE_ERROR, frame(SETTINGS, 1, 0, &[0; 6])),
        ("a window beyond the largest", FLOW_CONTROL_ERROR, frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0])),
        ("PING cut", FRAME_SIZE_ERROR, frame(PING, 0, 0, &[0; 7])),
        ("a promise", PROTOCOL_ERROR, frame(PUSH_PROMISE, 4, 1, &[0; 4])),
        ("WINDOW_UPDATE of nothing", PROTOCOL_ERROR, frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        (
            "the connection's window too large",
            FLOW_CONTROL_ERROR,
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        ),
        ("a frame that is too large", FRAME_SIZE_ERROR, [open, frame(DATA, 0, 1, &[0; 16385])].concat()),
        ("HEADERS after the end", STREAM_CLOSED, [done, frame(RST_STREAM, 0, 1, &[0; 4]), head(1, HEAD)].concat()),
    ];
    for (name, reason, bytes) in cases {
        let mut raw = Raw::new(patient(), ServerOptions::default()).await;
        raw.io.write_all(&bytes).await.unwrap();
        let (.., payload) = raw.next(GOAWAY).await.expect(name);
        assert_eq!(payload.get(7), Some(&reason), "{name}");
        raw.server.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_stream_leaves_the_others_alone() {
    let open = head(1, HEAD);
    let fields = |more: &[u8]| head(1, &[HEAD, more].concat());
    let cases: [(&str, u8, Vec<u8>); 16] = [
        ("DATA after the end", STREAM_CLOSED, [frame(HEADERS, 5, 1, HEAD), frame(DATA, 0, 1, b"x")].concat()),
        ("more than its length", PROTOCOL_ERROR, [head(1, &with_length("1")), frame(DATA, 0, 1, b"xy")].concat()),
        ("less than its length", PROTOCOL_ERROR, [head(1, &with_length("3")), frame(DATA, 1, 1, b"xy")].concat()),
        ("no body where one was announced", PROTOCOL_ERROR, frame(HEADERS, 5, 1, &with_length("1"))),
        ("no length", PROTOCOL_ERROR, head(1, &with_length("+1"))),
        ("trailers without an end", PROTOCOL_ERROR, [open.clone(), head(1, b"\0\x01a\x01b")].concat()),
        ("trailers with a method", PROTOCOL_ERROR, [open.clone(), frame(HEADERS, 5, 1, b"\x82")].concat()),
        (
            "a window that is too large",
            FLOW_CONTROL_ERROR,
            [open.clone(), frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff])].concat(),
        ),
        ("WINDOW_UPDATE of nothing", PROTOCOL_ERROR, [open, frame(WINDOW_UPDATE, 0, 1, &[0; 4])].concat()),
        ("no path", PROTOCOL_ERROR, head(1, b"\x83\x86")),
        ("two paths", PROTOCOL_ERROR, head(1, b"\x83\x86\x84\x84")),
        ("a pseudo-field behind a field", PROTOCOL_ERROR, head(1, b"\x83\x86\0\x01a\x01b\x84")),
        ("an unknown pseudo-field", PROTOCOL_ERROR, fields(b"\0\x02:a\x01b")),
        ("an uppercase name", PROTOCOL_ERROR, fields(b"\0\x01A\x01b")),
        ("a connection's field", PROTOCOL_ERROR, fields(b"\0\x0aconnection\x05close")),
        ("te", PROTOCOL_ERROR, fields(b"\0\x02te\x04gzip")),
    ];
    for (name, reason, bytes) in cases {
        let mut raw = Raw::new(patient(), ServerOptions::default()).await;
        raw.io.write_all(&bytes).await.unwrap();
        let (_, stream, payload) = raw.next(RST_STREAM).await.expect(name);
        assert_eq!((stream, payload.get(3)), (1, Some(&reason)), "{name}");
        raw.send(HEADERS, 5, 3, HEAD).await;
        assert_eq!(raw.next(HEADERS).await.expect(name).1, 3, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_allowed_is_taken() {
    let cases: [(&str, Vec<u8>); 8] = [
        (
            "padding",
            [frame(HEADERS, 0xc, 1, &[b"\x03", HEAD, b"\0\0\0"].concat()), frame(DATA, 9, 1, b"\x02xyz")].concat(),
        ),
        ("a priority", frame(HEADERS, 0x25, 1, &[b"\0\0\0\x07\x10", HEAD].concat())),
        (
            "a block in pieces",
            [
                frame(HEADERS, 1, 1, &HEAD[..3]),
                frame(CONTINUATION, 0, 1, &HEAD[3..5]),
                frame(CONTINUATION, 4, 1, &HEAD[5..]),
            ]
            .concat(),
        ),
        ("trailers", [head(1, HEAD), frame(HEADERS, 5, 1, b"\0\x01a\x01b")].concat()),
        ("an unknown frame", [frame(0x42, 0xff, 7, b"?"), frame(HEADERS, 5, 1, HEAD)].concat()),
        ("unknown settings", [frame(SETTINGS, 0, 0, &[0x7f, 1, 0, 0, 0, 1]), frame(HEADERS, 5, 1, HEAD)].concat()),
        ("its length", [head(1, &with_length("2")), frame(DATA, 0, 1, b"x"), frame(DATA, 1, 1, b"y")].concat()),
        ("numbers that were left out", [frame(HEADERS, 5, 99, HEAD), frame(PRIORITY, 0, 7, &[0; 5])].concat()),
    ];
    for (name, bytes) in cases {
        // However the bytes are cut.
        for size in [1, 7, usize::MAX] {
            let mut raw = Raw::new(patient(), ServerOptions::default()).await;
            for piece in bytes.chunks(size) {
                raw.io.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            let (.., block) = raw.next(HEADERS).await.expect(name);
            assert_eq!(block.first(), Some(&0x88), "{name}: 200");
        }
    }
}

/// Every way in which DATA may be of no use to anybody, many times what the connection's window holds.
#[tokio::test(start_paused = true)]
async fn a_client_that_waits_with_its_body_is_told_to_go_on_once_the_body_is_wanted() {
    let expecting = [HEAD, b"\0\x06expect\x0c100-continue"].concat();
    let service = ArcService::new(tower::service_fn(|request: Request<Body>| async {
        assert!(!request.headers().contains_key("expect"), "a host that answered too would be a second voice");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, Error>(Response::new(Body::from(body)))
    }));
    let begin = tokio::time::Instant::now();
    let mut raw = Raw::new(service, ServerOptions::default()).await;
    raw.io.write_all(&head(1, &expecting)).await.unwrap();
    let (.., interim) = raw.next(HEADERS).await.unwrap();
    assert_eq!(interim, b"\x08\x03100", "status 100, and nothing else");
    assert_eq!(begin.elapsed().as_secs(), 1, "not before");
    raw.send(DATA, 1, 1, b"here").await;
    let (.., response) = raw.next(HEADERS).await.unwrap();
    assert!(response.starts_with(b"\x88"), "status 200: {response:?}");
    let (.., data) = raw.next(DATA).await.unwrap();
    assert_eq!(data, b"here");
}

#[tokio::test(start_paused = true)]
async fn a_client_is_not_told_to_go_on_beside_its_answer() {
    // The upload is read when the response has begun: too late for another head before it.
    let service = ArcService::new(tower::service_fn(|request: Request<Body>| async {
        Ok::<_, Error>(Response::new(request.into_body()))
    }));
    let expecting = [HEAD, b"\0\x06expect\x0c100-continue"].concat();
    let mut raw = Raw::new(service, ServerOptions::default()).await;
    raw.io.write_all(&head(1, &expecting)).await.unwrap();
    let (.., response) = raw.next(HEADERS).await.unwrap();
    assert!(response.starts_with(b"\x88"), "status 200: {response:?}");
    let another = tokio::time::timeout(Duration::from_secs(1), raw.next(HEADERS)).await;
    assert!(another.is_err(), "{another:?}");
}

#[tokio::test(start_paused = true)]
async fn the_connections_window_comes_back_whatever_becomes_of_the_data() {
    type Case = fn(u32) -> Vec<u8>;
    let waste: [(&str, Case); 5] = [
        ("padding", |stream| {
            let padded = [&[200][..], &[0; 1000]].concat();
            [head(stream, HEAD), frame(DATA, 8, stream, &padded), frame(DATA, 1, stream, b"")].concat()
        }),
        ("reset by the client", |stream| {
            [head(stream, HEAD), frame(DATA, 0, stream, &[0; 1000]), frame(RST_STREAM, 0, stream, &[0; 4])].concat()
        }),
        ("after the end", |stream| [frame(HEADERS, 5, stream, HEAD), frame(DATA, 0, stream, &[0; 1000])].concat()),
        ("more than its length", |stream| {
            [head(stream, &with_length("1")), frame(DATA, 0, stream, &[0; 1000])].concat()
        }),
        ("read", |stream| [head(stream, HEAD), frame(DATA, 1, stream, &[0; 1000])].concat()),
    ];
    for (name, case) in waste {
        let mut options = ServerOptions::default();
        options.http2.initial_connection_window_size = 65_535;
        let mut raw = Raw::within(1 << 20, patient(), options).await;
        for index in 0..200 {
            raw.io.write_all(&case(2 * index + 1)).await.unwrap();
            // By now it was answered or reset, and what it used is given back.
            raw.send(PING, 0, 0, &[0; 8]).await;
            raw.next(PING).await.unwrap_or_else(|| panic!("{name}: the connection ended at stream {index}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_smaller_window_than_the_default_holds_for_streams_that_are_open() {
    let mut raw = Raw::within(1 << 20, echo(), ServerOptions::default()).await;
    raw.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 5]).await;
    raw.send(HEADERS, 4, 1, HEAD).await;
    raw.send(DATA, 1, 1, b"0123456789").await;
    assert_eq!(raw.next(DATA).await.unwrap().2, b"01234");
    // Now it has none; three more make up for two that are taken away.
    raw.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 3]).await;
    raw.send(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 3]).await;
    assert_eq!(raw.next(DATA).await.unwrap().2, b"5");
    raw.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0]).await;
    let (flags, _, rest) = raw.next(DATA).await.unwrap();
    assert_eq!((&rest[..], flags), (&b"6789"[..], 1));
}

/// A host that writes frames by hand, after the client's preface and SETTINGS.
async fn host(options: Http2Options) -> (H2Client, ByHand) {
    let (near, mut io) = tokio::io::duplex(1 << 20);
    let (client, connection) = client::handshake(Box::new(near), &options);
    let connection = tokio::spawn(connection);
    let mut preface = [0; 24];
    io.read_exact(&mut preface).await.unwrap();
    assert_eq!(preface, PREFACE);
    io.write_all(&frame(SETTINGS, 0, 0, b"")).await.unwrap();
    (client, ByHand { io, connection })
}

struct ByHand {
    io: DuplexStream,
    connection: tokio::task::JoinHandle<Result<(), Error>>,
}

#[tokio::test(start_paused = true)]
async fn a_response_is_what_follows_the_informational_ones() {
    let (client, mut host) = host(Http2Options::upstream()).await;
    let head_request = Request::head("http://echo/").body(Body::empty()).unwrap();
    let (get, head_only, nothing) =
        (client.exchange(post("")), client.exchange(head_request), client.exchange(post("")));
    let early = b"\x08\x03103"; // :status 103
    let length = b"\x88\x0f\x0d\x012"; // 200, content-length: 2
    let answers = [
        frame(HEADERS, 4, 1, early),
        frame(HEADERS, 4, 1, length),
        frame(DATA, 0, 1, b"o"),
        frame(DATA, 1, 1, b"k"),
        frame(HEADERS, 5, 3, length),
        frame(HEADERS, 5, 5, b"\x89"), // 204
    ];
    host.io.write_all(&answers.concat()).await.unwrap();
    let get = get.await.unwrap();
    assert_eq!(get.status(), StatusCode::OK);
    assert_eq!(get.into_body().collect().await.unwrap().to_bytes(), "ok");
    assert_eq!(head_only.await.unwrap().headers()["content-length"], "2");
    assert_eq!(nothing.await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(client.active_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_body_cannot_have_one() {
    let (client, mut host) = host(Http2Options::upstream()).await;
    let head_only = client.exchange(Request::head("http://echo/").body(Body::empty()).unwrap());
    let nothing = client.exchange(post(""));
    for (stream, status) in [(1, b"\x88"), (3, b"\x89")] {
        let smuggled = [frame(HEADERS, 4, stream, status), frame(DATA, 1, stream, b"HTTP/1.1 200 OK")];
        host.io.write_all(&smuggled.concat()).await.unwrap();
    }
    for call in [head_only, nothing] {
        let failed = match call.await {
            Ok(response) => response.into_body().collect().await.unwrap_err(),
            Err(failed) => failed.error,
        };
        assert_eq!(failed.kind(), crate::base::ErrorKind::UpstreamProtocol);
    }
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_http_1_does_not_leave() {
    let service = ArcService::new(tower::service_fn(|request: Request<Body>| async move {
        let mut response = Response::new(Body::from(format!("{:?}", request.headers())));
        response.headers_mut().insert("connection", "close".parse().unwrap());
        Ok::<_, Error>(response)
    }));
    let pair = pair(service, ServerOptions::default()).await;
    let mut request = post("");
    for (name, value) in [("connection", "close"), ("te", "gzip"), ("upgrade", "h2c"), ("kept", "1")] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let response = pair.client.exchange(request).await.unwrap();
    assert!(response.headers().get("connection").is_none());
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "{\"kept\": \"1\"}");
}

#[tokio::test(start_paused = true)]
async fn what_a_goaway_excludes_was_not_processed_and_the_rest_goes_on() {
    let (client, mut host) = host(Http2Options::upstream()).await;
    let (first, second) = (client.exchange(post("a")), client.exchange(post("b")));
    host.io.write_all(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, NO_ERROR])).await.unwrap();
    let refused = second.await.unwrap_err();
    assert_eq!(refused.error.retry(), crate::base::Retry::NotProcessed);
    assert_eq!(refused.request.unwrap().into_body().collect().await.unwrap().to_bytes(), "b");
    assert!(client.is_closed());
    let late = client.exchange(post("c")).await.unwrap_err();
    assert!(late.request.is_some());
    host.io.write_all(&frame(HEADERS, 5, 1, b"\x88")).await.unwrap();
    assert_eq!(first.await.unwrap().status(), StatusCode::OK);
    // And the connection ends by itself.
    host.connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_goaway_excludes_comes_back_in_order() {
    let (client, mut host) = host(Http2Options::upstream()).await;
    let order: Arc<Mutex<Vec<u32>>> = Arc::default();
    let calls: Vec<_> = (0..50)
        .map(|index| {
            let (call, order) = (client.exchange(post("a")), order.clone());
            tokio::spawn(async move {
                call.await.unwrap_err();
                order.lock().unwrap().push(index);
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    host.io.write_all(&frame(GOAWAY, 0, 0, &[0; 8])).await.unwrap();
    for call in calls {
        call.await.unwrap();
    }
    assert!(order.lock().unwrap().is_sorted(), "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_complete_survives_the_reset_that_follows_it() {
    let (client, mut host) = host(Http2Options::upstream()).await;
    let (_feed, body) = channel();
    let call = client.exchange(post_body(body));
    let answer = [
        frame(HEADERS, 4, 1, b"\x88"),
        frame(DATA, 0, 1, b"enough"),
        frame(HEADERS, 5, 1, b"\0\x01a\x01b"),
        frame(RST_STREAM, 0, 1, &[0, 0, 0, NO_ERROR]),
    ];
    host.io.write_all(&answer.concat()).await.unwrap();
    let whole = call.await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["a"], "b");
    assert_eq!(whole.to_bytes(), "enough");
}

/// As when they have all timed out, and the host is just as slow with all of its answers.
#[tokio::test(start_paused = true)]
async fn answers_to_calls_that_were_given_up_do_no_harm_however_many() {
    let (client, mut host) = host(Http2Options::upstream()).await;
    host.io.write_all(&frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0x10, 0])).await.unwrap();
    while client.max_streams() < 1000 {
        tokio::task::yield_now().await;
    }
    let given_up: Vec<_> = (0..1000).map(|_| client.exchange(post("a"))).collect();
    drop(given_up);
    let last = client.exchange(post("b"));
    for stream in (1..2001).step_by(2) {
        let answer =
            [frame(HEADERS, 4, stream, b"\x88"), frame(DATA, 0, stream, b"late"), frame(HEADERS, 5, stream, b"")];
        host.io.write_all(&answer.concat()).await.unwrap();
    }
    host.io.write_all(&frame(HEADERS, 5, 2001, b"\x88")).await.unwrap();
    assert_eq!(last.await.unwrap().status(), StatusCode::OK);
    assert!(!client.is_closed());
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_hosts_connection_ends_its_calls() {
    for (name, bytes) in [
        ("a response on an idle stream", frame(HEADERS, 5, 7, b"\x88")),
        ("a promise", frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2, 0x88])),
        ("HTTP/1.1", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
    ] {
        let (client, mut host) = host(Http2Options::upstream()).await;
        let call = client.exchange(post("a"));
        tokio::time::sleep(Duration::from_millis(1)).await;
        host.io.write_all(&bytes).await.unwrap();
        let failed = call.await.expect_err(name);
        assert_eq!(failed.error.kind(), crate::base::ErrorKind::UpstreamProtocol, "{name}");
        assert!(failed.request.is_none(), "{name}: it may have been processed");
        assert!(host.connection.await.unwrap().is_err(), "{name}");
    }
}
