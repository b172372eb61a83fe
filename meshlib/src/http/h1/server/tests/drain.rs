use super::*;
use crate::base::{DrainPhase, DrainTimes};

async fn slow(_: Request<Body>, _: RequestInfo) -> Response<Body> {
    tokio::time::sleep(Duration::from_secs(10)).await;
    Response::new(Body::from("hello"))
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_when_told_to_go() {
    let mut peer = start(hello);
    peer.send(GET).await;
    peer.until("hello").await;
    let begin = Instant::now();
    peer.drain.start(DrainTimes::default());
    tokio::time::sleep(Duration::from_secs(4)).await;
    peer.send(GET).await;
    assert!(!peer.until("hello").await.contains("connection: close"), "health fails, connections stay");
    assert_eq!(peer.rest().await, "");
    assert_eq!(seconds(begin), 5.0);
}

#[tokio::test(start_paused = true)]
async fn a_request_under_way_ends_with_connection_close() {
    let mut peer = start(slow);
    peer.send(GET).await;
    settle().await;
    peer.drain.enter(DrainPhase::Draining);
    let answer = peer.rest().await;
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("hello"), "{answer}");
    assert_eq!(peer.records.take(), [line(200, "-", 0, 5)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_head_is_under_way_is_still_served() {
    for before in [&[][..], GET] {
        let mut peer = start(hello);
        peer.send(before).await;
        settle().await;
        peer.send(&GET[..10]).await;
        settle().await;
        peer.drain.enter(DrainPhase::Draining);
        tokio::time::sleep(Duration::from_secs(2)).await;
        peer.send(&GET[10..]).await;
        let answer = peer.rest().await;
        assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("hello"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_new_may_ask_once() {
    let mut peer = start(hello);
    peer.drain.enter(DrainPhase::Draining);
    settle().await;
    peer.send(GET).await;
    let answer = peer.rest().await;
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("hello"), "{answer}");

    let begin = Instant::now();
    let mut silent = start(hello);
    silent.drain.enter(DrainPhase::Draining);
    assert_eq!(silent.rest().await, "");
    assert_eq!(seconds(begin), 1.0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_drain_cuts() {
    let mut peer = start(never);
    peer.send(GET).await;
    settle().await;
    let begin = Instant::now();
    peer.drain.start(DrainTimes::default());
    assert_eq!(peer.rest().await, "");
    assert_eq!(seconds(begin), 25.0);
    assert_eq!(peer.records.take(), [(None, "DC".to_owned(), 0, 0)]);
}
