//! Going away: who is told what, and when the last one is cut.

use std::time::Duration;

use meshlib::base::DrainTimes;
use tokio::time::sleep;

use crate::{
    client::{ACK, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, Raw, frame, head_of_get, tls},
    world::{CHECKED, EdgeOptions, World, coarse, secs},
};

const PROBE: &str = "x-envoy-livenessprobe: healthz\r\n";

/// A pod and an edge, which is told to go 10 s after the start. Times count from there.
pub(crate) async fn draining(tls: bool) -> World {
    let mut world = World::running([1], EdgeOptions { tls, ..CHECKED }).await;
    world.at(10.0).await;
    drain(&mut world);
    world
}

fn drain(world: &mut World) {
    world.begin = tokio::time::Instant::now();
    world.edge().server().drain(DrainTimes::default());
}

/// Waits until the server says that it is done, and has ended.
async fn finished(world: &World) -> Duration {
    world.sim.node("edge").ended().await;
    world.now()
}

/// Ends everything: nothing may be left.
pub(crate) async fn leaves_nothing(mut world: World) {
    world.sim.stop().await.unwrap_or_else(|left| panic!("{left}"));
}

#[tokio::test(start_paused = true)]
async fn health_fails_at_once_and_everything_else_goes_on_for_five_seconds() {
    let world = draining(false).await;
    let client = world.client().await;
    for at in [0.1, 4.9] {
        world.at(at).await;
        let mut probe = world.raw().await;
        probe.get("/healthz", PROBE).await;
        let answer = probe.rest().await.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 503 "), "{answer}");
        assert!(answer.contains("x-envoy-immediate-health-check-fail: true\r\n"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        let reply = client.echo().await.unwrap();
        assert_eq!(reply.grpc_status(), Some(0));
        assert_eq!(reply.headers["x-envoy-immediate-health-check-fail"], "true");
        assert_eq!(world.client().await.echo().await.unwrap().grpc_status(), Some(0), "new connections are taken");
        assert!(world.edge_admin("GET", "/ready").await.ends_with("DRAINING\n"));
    }
    world.at(5.0).await;
    assert_eq!(world.dial().await.err().expect("a closed port").kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(finished(&world).await, secs(5), "an idle client that answers the PING holds nothing up");
    drop(client);
    let resets = world.edge().stats().counter_value("http.ingress_https.downstream_rq_drain_reset");
    assert_eq!(resets, Some(0));
    leaves_nothing(world).await;
}

#[tokio::test(start_paused = true)]
async fn an_http2_client_is_told_twice() {
    let world = draining(false).await;
    let mut raw = world.raw().await;
    raw.preface().await;
    raw.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head_of_get("/nowhere"))).await;
    assert_eq!(raw.frame_of(HEADERS).await.unwrap().1, 1);
    let (_, stream, payload) = raw.frame_of(GOAWAY).await.unwrap();
    assert_eq!((world.now(), stream), (secs(5), 0));
    assert_eq!(payload[..8], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], "no last stream yet, no error");
    let (flags, _, question) = raw.frame_of(PING).await.unwrap();
    assert_eq!(flags, 0);
    // What was on its way meanwhile is still served.
    raw.write(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &head_of_get("/nowhere"))).await;
    assert_eq!(raw.frame_of(HEADERS).await.unwrap().1, 3);
    raw.write(&frame(PING, ACK, 0, &question)).await;
    let (_, _, payload) = raw.frame_of(GOAWAY).await.unwrap();
    assert_eq!(payload[..8], [0, 0, 0, 3, 0, 0, 0, 0], "now the last stream is known");
    assert!(raw.frame().await.is_none(), "and the connection is over");
    drop(raw);
    assert_eq!(finished(&world).await, secs(5));
    leaves_nothing(world).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_answers_the_ping_holds_nothing_up_for_long() {
    let world = draining(false).await;
    let mut raw = world.raw().await;
    raw.preface().await;
    let goaway = raw.frame_of(GOAWAY).await;
    assert_eq!((world.now(), goaway.is_some()), (secs(6), true), "it had a second for its first stream");
    while raw.frame().await.is_some() {}
    assert_eq!(world.now(), secs(11));
    drop(raw);
    assert_eq!(finished(&world).await, secs(11));
    leaves_nothing(world).await;
}

#[tokio::test(start_paused = true)]
async fn its_streams_are_served_to_their_end() {
    let mut world = World::running([1], CHECKED).await;
    world.app(1).set_delay(secs(14));
    let mut raw = world.raw().await;
    raw.preface().await;
    let mut head = head_of_get("/api.Echo/Echo");
    head.extend(b"\x00\x0ccontent-type\x10application/grpc");
    raw.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)).await;
    sleep(secs(1)).await;
    drain(&mut world);
    let answered = raw.frame_of(HEADERS).await.unwrap();
    assert_eq!((world.now(), answered.1), (secs(13), 1));
    let trailers = raw.frame_of(HEADERS).await.unwrap();
    assert_eq!((trailers.0 & END_STREAM, trailers.1), (END_STREAM, 1));
    assert!(raw.frame_of(RST_STREAM).await.is_none());
    assert_eq!(world.now(), secs(13), "nothing else is waited for");
    drop(raw);
    assert_eq!(finished(&world).await, secs(13));
    leaves_nothing(world).await;
}

#[tokio::test(start_paused = true)]
async fn http1_clients_are_told_with_their_answer_or_closed() {
    let mut world = World::running([1], CHECKED).await;
    world.app(1).set_delay(secs(10));
    let (mut idle, mut busy) = (world.raw().await, world.raw().await);
    idle.get("/nowhere", "").await;
    idle.until("\r\n\r\n").await;
    busy.get("/api.Echo/Echo", "").await;
    sleep(secs(1)).await;
    drain(&mut world);
    world.at(1.0).await;
    idle.get("/nowhere", "").await;
    let between = idle.until("\r\n\r\n").await.to_ascii_lowercase();
    assert!(!between.contains("connection: close"), "not before connections are told: {between}");
    assert_eq!((idle.rest().await, world.now()), (String::new(), secs(5)));
    let answer = busy.rest().await.to_ascii_lowercase();
    assert_eq!(world.now(), secs(9));
    assert!(answer.starts_with("http/1.1 200 ") && answer.contains("connection: close\r\n"), "{answer}");
    drop((idle, busy));
    assert_eq!(finished(&world).await, secs(9));
    leaves_nothing(world).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_connection_may_ask_its_first_question() {
    let world = draining(false).await;
    world.at(4.9).await;
    let (mut http1, http2, mut silent) = (world.raw().await, world.dial().await.unwrap(), world.raw().await);
    world.at(5.5).await;
    http1.get("/api.Echo/Echo", "").await;
    let answer = http1.rest().await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200 ") && answer.contains("connection: close\r\n"), "{answer}");
    let client = crate::client::Client::over(http2);
    assert_eq!(client.echo().await.unwrap().grpc_status(), Some(0));
    assert_eq!(world.now(), secs(5) + Duration::from_millis(500));
    assert_eq!((silent.rest().await, world.now()), (String::new(), secs(6)));
    drop((http1, silent));
    assert_eq!(finished(&world).await, secs(6));
    assert!(client.is_closed(), "it was told with the answer");
    drop(client);
    leaves_nothing(world).await;
}

#[tokio::test(start_paused = true)]
async fn so_it_may_behind_tls() {
    let world = draining(true).await;
    world.at(4.9).await;
    let (late, mut silent) = (world.dial().await.unwrap(), world.raw().await);
    world.at(5.5).await;
    let mut late = Raw::over(tls(late, &world.certificate(), &[]).await.unwrap());
    late.get("/api.Echo/Echo", "").await;
    let answer = late.rest().await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200 ") && answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!((silent.rest().await, world.now()), (String::new(), secs(6)), "a handshake that never begins");
    drop((late, silent));
    assert_eq!(finished(&world).await, secs(6));
    leaves_nothing(world).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_cut_twenty_five_seconds_after_the_signal() {
    let world = draining(false).await;
    let (client, mut http1) = (world.client().await, world.raw().await);
    let mut chat = client.open("Chat");
    chat.say("for ever", false);
    http1.write(b"POST /api.Echo/Chat HTTP/1.1\r\nhost: edge.test\r\ncontent-length: 9\r\n\r\nhal").await;
    world.at(24.9).await;
    assert_eq!(world.edge().gauge("upstream_rq_active"), 2);
    let (reply, ()) = tokio::join!(chat.reply(), async {
        assert_eq!(finished(&world).await, secs(25));
    });
    assert!(reply.as_ref().map_or(true, |reply| reply.broken.is_some()), "{reply:?}");
    http1.rest().await;
    assert_eq!(world.now(), secs(25));
    world.at(25.2).await;
    let edge = world.edge();
    let stats = edge.stats();
    assert_eq!(stats.gauge_value("http.ingress_https.downstream_rq_active"), Some(0));
    assert_eq!(stats.gauge_value("http.ingress_https.downstream_cx_active"), Some(0));
    assert_eq!(world.edge().gauge("upstream_rq_active"), 0);
    assert!(client.is_closed());
    world.at(27.0).await;
    let log = world.edge().log();
    assert_eq!(log.iter().filter(|line| line.contains(" 200 DC ")).count(), 2, "both are recorded: {log:?}");
    assert_eq!(stats.counter_value("http.ingress_https.downstream_rq_drain_reset"), Some(2));
    drop((client, http1));
    leaves_nothing(world).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_stops_at_once() {
    for at in [2, 7] {
        let world = draining(false).await;
        let client = world.client().await;
        let chat = client.open("Chat");
        world.at(at as f64).await;
        assert!(!client.is_closed());
        world.edge().server().stop();
        assert_eq!(finished(&world).await, secs(at));
        let reply = chat.reply().await;
        assert!(reply.as_ref().map_or(true, |reply| reply.broken.is_some()), "{reply:?}");
        assert_eq!(world.now(), secs(at));
        world.at(at as f64 + 0.2).await;
        assert!(client.is_closed() && world.dial().await.is_err());
        drop(client);
        leaves_nothing(world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_may_be_shorter() {
    let mut world = World::running([1], CHECKED).await;
    let client = world.client().await;
    let chat = client.open("Chat");
    world.begin = tokio::time::Instant::now();
    world.edge().server().drain(DrainTimes::within(secs(10)));
    world.edge().server().drain(DrainTimes::default());
    world.at(1.9).await;
    assert!(world.dial().await.is_ok());
    world.at(2.1).await;
    assert!(world.dial().await.is_err());
    assert_eq!(finished(&world).await, secs(10));
    drop((client, chat));
    world.at(10.2).await;
    leaves_nothing(world).await;
}

#[tokio::test(start_paused = true)]
async fn quitquitquit_ends_the_wait_at_once() {
    let world = World::running([1], CHECKED).await;
    let client = world.client().await;
    let chat = client.open("Chat");
    world.at(10.0).await;
    let begin = tokio::time::Instant::now();
    let answer = world.edge_admin("GET", "/quitquitquit").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let (answer, ended) = tokio::join!(world.edge_admin("POST", "/quitquitquit"), finished(&world));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!((coarse(begin.elapsed()), ended), (secs(0), secs(10)));
    drop((client, chat));
    leaves_nothing(world).await;
}
