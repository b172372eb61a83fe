//! Streams, and what happens when they run out.

use std::sync::atomic::Ordering;

use super::{assert_at_rest, exchange, fixture, get, settle, spawn_get};
use crate::{
    base::ErrorKind,
    cluster::test_world::{config, counter},
};

#[tokio::test]
async fn http2_opens_another_connection_when_streams_run_out() {
    let f = fixture(config(true), |server| server.http2(10));
    let waiting: Vec<_> = (0..45).map(|_| spawn_get(&f.pool, "/wait")).collect();
    settle().await;
    assert_eq!(f.server.requests.load(Ordering::Relaxed), 45, "all are under way");
    f.server.let_through(45);
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
    assert_eq!(f.server.most.load(Ordering::Relaxed), 10, "the host's limit");
    assert_eq!(f.world.connects(), 5);
    assert_eq!(counter(&f.stats, "upstream_cx_http2_total"), 5);
    assert_at_rest(&f, 5);
}

#[tokio::test]
async fn http2_streams_are_given_to_those_who_wait_as_they_end() {
    let mut config = config(true);
    config.circuit_breakers.max_connections = 1;
    let f = fixture(config, |server| server.http2(2));
    let waiting: Vec<_> = (0..6).map(|_| spawn_get(&f.pool, "/wait")).collect();
    settle().await;
    assert_eq!(f.server.requests.load(Ordering::Relaxed), 2);
    for done in 1..=4 {
        f.server.let_through(1);
        settle().await;
        assert_eq!(f.server.requests.load(Ordering::Relaxed), 2 + done);
    }
    f.server.let_through(2);
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
    assert!(counter(&f.stats, "upstream_cx_overflow") > 0);
    assert_at_rest(&f, 1);
}

#[tokio::test]
async fn a_host_that_takes_no_streams_costs_one_connection() {
    let f = fixture(config(true), |server| server.http2(0));
    // The first one goes out before the host has said so, and waits for it to change its mind.
    let first = spawn_get(&f.pool, "/");
    for _ in 0..3 {
        let waiting = [spawn_get(&f.pool, "/"), spawn_get(&f.pool, "/")];
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::UpstreamRefusedStream);
        }
    }
    first.abort();
    assert_eq!(f.world.connects(), 1);
}

#[tokio::test]
async fn after_goaway_the_next_request_gets_a_new_connection_and_the_old_one_ends() {
    let f = fixture(config(true), |server| server.http2(10));
    let slow = spawn_get(&f.pool, "/wait");
    settle().await;
    get(&f.pool, "/goaway").await.unwrap();
    settle().await;
    get(&f.pool, "/").await.unwrap();
    assert_eq!(f.world.connects(), 2);
    f.server.let_through(1);
    slow.await.unwrap().unwrap();
    settle().await;
    assert_at_rest(&f, 1);
}

#[tokio::test]
async fn requests_that_follow_a_cancelled_stream_are_not_refused() {
    let mut config = config(true);
    config.circuit_breakers.max_connections = 1;
    let f = fixture(config, |server| server.http2(1));
    get(&f.pool, "/").await.unwrap();
    let held = exchange(&f.pool, "/").await.unwrap();
    let waiting = [spawn_get(&f.pool, "/"), spawn_get(&f.pool, "/")];
    settle().await;
    // Its reset is not written yet when the next stream is opened.
    drop(held);
    get(&f.pool, "/").await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
    assert_eq!(f.server.most.load(Ordering::Relaxed), 1);
    assert_at_rest(&f, 1);
}
