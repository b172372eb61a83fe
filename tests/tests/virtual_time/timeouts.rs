//! How long a request may take, and how long a stream or a connection may stand still.

use std::time::Duration;

use crate::{
    client::{END_STREAM, HEADERS, Raw, frame, head_of_get},
    world::{CHECKED, EdgeOptions, World, coarse, secs, sidecar_address},
};

const HOUR: u64 = 3600;

#[tokio::test(start_paused = true)]
async fn a_call_ends_fifteen_seconds_after_its_request() {
    let world = World::running([1], CHECKED).await;
    world.app(1).set_delay(secs(17));
    let client = world.client().await;
    let reply = client.echo().await.unwrap();
    assert_eq!((reply.status, reply.grpc_status(), reply.took), (200, Some(14), secs(15)));
    assert_eq!(reply.grpc_message(), "upstream request timeout");
    assert!(reply.trailers.is_empty() && reply.body.is_empty(), "trailers only");
    // Both hops have the same 15 s; whose ends first answers.
    let timeouts = |node: &crate::node::Node| node.counter("upstream_rq_timeout");
    assert!(timeouts(&world.edge()) + timeouts(&world.sidecar(1)) >= 1);

    let mut slow = client.open("Echo");
    tokio::time::sleep(secs(40)).await;
    slow.say("at last", true);
    let reply = slow.reply().await.unwrap();
    assert_eq!((reply.grpc_status(), reply.took), (Some(14), secs(55)), "an upload has all the time it needs");

    let reply = client.post("Echo").await.unwrap();
    assert_eq!((reply.status, reply.took), (504, secs(15)));
    assert_eq!(reply.body, b"upstream request timeout");

    world.app(1).set_delay(secs(14));
    let reply = client.echo().await.unwrap();
    assert_eq!((reply.grpc_status(), reply.took), (Some(0), secs(14)));

    tokio::time::sleep(secs(2)).await;
    let log = world.edge().log();
    let calls: Vec<&str> = log.iter().filter_map(|line| line.split(' ').nth(4)).collect();
    assert_eq!(calls, ["200", "200", "504", "200"], "{log:?}");
    assert_eq!(world.edge().gauge("upstream_rq_active"), 0);
    let clusters = world.edge_admin("GET", "/clusters").await;
    let counted =
        |name: &str| clusters.lines().find_map(|line| line.rsplit_once(&format!("::{name}::"))).map(|(_, n)| n);
    // Envoy counts a timeout as an error too.
    assert_eq!([counted("rq_timeout"), counted("rq_error"), counted("rq_success")], [Some("3"), Some("3"), Some("1")]);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_goes_on_is_cut_off_at_fifteen_seconds() {
    let world = World::running([1], CHECKED).await;
    let reply = world.client().await.unary("Drip").await.unwrap();
    assert_eq!((reply.status, reply.took), (200, secs(15)));
    assert!((15..=16).contains(&reply.body.len()), "{}", reply.body.len());
    assert!(reply.broken.is_some() && reply.grpc_status().is_none(), "{reply:?}");
    assert!(world.edge_admin("GET", "/clusters").await.contains("::rq_timeout::1\n"));
    tokio::time::sleep(secs(1)).await;
    assert_eq!((world.edge().gauge("upstream_rq_active"), world.sidecar(1).gauge("upstream_rq_active")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_both_directions_goes_on_for_as_long_as_something_moves() {
    let world = World::running([1], CHECKED).await;
    let mut chat = world.client().await.open("Chat");
    for _ in 0..20 {
        chat.say("still here", false);
        tokio::time::sleep(secs(200)).await;
    }
    chat.say("done", true);
    let reply = chat.reply().await.unwrap();
    assert_eq!((reply.grpc_status(), reply.took), (Some(0), secs(4000)));
    assert_eq!(reply.body.len(), 20 * 15 + 9);
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_which_nothing_moves_ends_after_five_minutes() {
    let world = World::running([1], CHECKED).await;
    let client = world.client().await;
    let silent = client.open("Chat").reply().await.unwrap();
    assert_eq!((silent.status, silent.took), (200, secs(300)));
    assert!(silent.broken.is_some(), "its response had begun");

    let unanswered = client.open("Echo").reply().await.unwrap();
    // Whose end is first, edge or sidecar, is left open: the sidecar's answer would come from upstream.
    assert_eq!((unanswered.status, unanswered.took), (200, secs(300)));
    assert_eq!((unanswered.grpc_status(), unanswered.grpc_message()), (Some(2), "stream timeout"), "a 408 in gRPC");

    let mut spoke = client.open("Chat");
    spoke.say("once", false);
    let spoke = spoke.reply().await.unwrap();
    assert!((secs(300)..=secs(375)).contains(&spoke.took), "found at a quarter of the time at most: {:?}", spoke.took);
    tokio::time::sleep(secs(2)).await;
    let log = world.edge().log();
    assert_eq!(log.iter().filter(|line| line.contains(" SI ")).count(), 3, "{log:?}");
    assert_eq!((world.edge().gauge("upstream_rq_active"), world.sidecar(1).gauge("upstream_rq_active")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_to_a_host_is_made_in_half_a_second_or_not_at_all() {
    let world = World::running([1], CHECKED).await;
    world.kit.network.black_hole(sidecar_address(1));
    let client = world.client().await;
    let begin = tokio::time::Instant::now();
    let reply = client.post("Echo").await.unwrap();
    assert_eq!((reply.status, begin.elapsed().as_millis() / 10), (503, 50));
    let reason = "upstream connect error or disconnect/reset before headers. reset reason: connection timeout";
    assert_eq!(String::from_utf8_lossy(&reply.body), reason);
    tokio::time::sleep(secs(2)).await;
    let log = world.edge().log();
    assert!(log[0].contains(" 503 UF "), "{log:?}");
    assert_eq!(world.edge().counter("upstream_cx_connect_timeout"), 1);
    world.kit.network.restore(sidecar_address(1));
    assert_eq!(client.echo().await.unwrap().grpc_status(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_of_a_client_is_closed_after_an_hour() {
    let world = World::running([1], EdgeOptions::default()).await;
    let (client, begin) = (world.client().await, world.begin);
    client.echo().await.unwrap();
    let mut http1 = world.raw().await;
    http1.get("/healthz", "x-envoy-livenessprobe: healthz\r\n").await;
    http1.until("\r\n\r\n").await;
    world.at(1000.0).await;
    client.echo().await.unwrap();
    let first = http1.rest().await;
    assert_eq!((first.as_str(), coarse(begin.elapsed())), ("", secs(HOUR)));
    assert!(!client.is_closed());
    world.at(4599.0).await;
    assert!(!client.is_closed());
    assert_eq!(world.when("the other one is closed", || client.is_closed()).await, secs(HOUR + 1000));
    assert_eq!(world.edge().stats().gauge_value("http.ingress_https.downstream_cx_active"), Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_to_a_host_is_closed_after_an_hour() {
    let world = World::running([1], EdgeOptions::default()).await;
    let edge = world.edge();
    let open = || world.kit.network.open_connections(sidecar_address(1));
    assert_eq!(open(), 1, "the health check's");
    world.client().await.echo().await.unwrap();
    assert_eq!((open(), edge.gauge("upstream_cx_active")), (2, 1));
    world.at(3599.0).await;
    assert_eq!((open(), edge.gauge("upstream_cx_active")), (2, 1));
    world.at(3601.0).await;
    assert_eq!((open(), edge.gauge("upstream_cx_active")), (1, 0));
    let closed = edge.counter("upstream_cx_destroy");
    assert_eq!(closed, 1);
    assert_eq!(world.client().await.echo().await.unwrap().grpc_status(), Some(0), "and another one is made");
    assert_eq!(edge.counter("upstream_cx_total"), 2);
}

/// When the edge closes a connection on which these bytes came, and what it says.
async fn closes(world: &World, bytes: &[u8]) -> (Duration, String) {
    let (mut raw, begin) = (world.raw().await, tokio::time::Instant::now());
    if !bytes.is_empty() {
        tokio::time::sleep(secs(3)).await;
        raw.write(bytes).await;
    }
    let said = raw.rest().await;
    (coarse(begin.elapsed()), said)
}

#[tokio::test(start_paused = true)]
async fn a_client_has_ten_seconds_to_say_what_it_wants() {
    let world = World::running([1], CHECKED).await;
    assert_eq!(closes(&world, b"").await, (secs(10), String::new()), "the first byte");
    assert_eq!(closes(&world, b"PRI * HTTP/2").await, (secs(10), String::new()), "the preface");
    let (at, said) = closes(&world, b"GET /healthz HTTP/1.1\r\nhost: e").await;
    assert!(said.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{said}");
    assert_eq!(at, secs(13), "the head, from its first byte");
    let mut raw = world.raw().await;
    raw.preface().await;
    let (begin, block) = (tokio::time::Instant::now(), head_of_get("/nowhere"));
    raw.write(&frame(HEADERS, END_STREAM, 1, &block[..4])).await;
    raw.rest().await;
    assert_eq!(coarse(begin.elapsed()), secs(10), "a header block without its continuation");
    drop(raw);
    tokio::time::sleep(secs(2)).await;
    let log = world.edge().log();
    assert!(log.len() == 1 && log[0].contains(" 408 "), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn so_it_is_behind_tls() {
    let world = World::running([1], EdgeOptions { tls: true, ..CHECKED }).await;
    assert_eq!(closes(&world, b"").await.0, secs(10), "the handshake");
    assert_eq!(closes(&world, b"\x16\x03\x01\x02\x00\x01").await.0, secs(10), "half of a hello");
    for alpn in [&[][..], &["h2"], &["http/1.1"]] {
        let io = crate::client::tls(world.dial().await.unwrap(), &world.certificate(), alpn).await.unwrap();
        let mut raw = Raw::over(io);
        let begin = tokio::time::Instant::now();
        raw.rest().await;
        assert_eq!(coarse(begin.elapsed()), secs(10), "the first byte after the handshake, ALPN {alpn:?}");
    }
    tokio::time::sleep(secs(1)).await;
    assert_eq!(world.edge().stats().gauge_value("http.ingress_https.downstream_cx_active"), Some(0));
}
