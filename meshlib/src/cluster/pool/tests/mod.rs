//! Pools and scripted hosts.

mod http2;
mod runtimes;

use std::{sync::atomic::Ordering, time::Duration};

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};

use super::*;
use crate::{
    base::{Error, ErrorKind, Stats},
    cluster::{
        circuit_breaker::CircuitBreakers,
        config::ClusterConfig,
        health::TrafficFlag,
        test_world::{Peer, Server, World, address, config, counter, gauge, host, settle},
    },
    http::Body,
};

struct Fixture {
    world: Arc<World>,
    server: Arc<Server>,
    stats: Stats,
    pool: Arc<HostPool>,
}

fn fixture(config: ClusterConfig, peer: impl FnOnce(&Arc<Server>) -> Peer) -> Fixture {
    let (world, server) = (World::new(), Server::new());
    world.set(address(1), peer(&server));
    let resources = world.resources();
    let breakers = CircuitBreakers::new("c", &config.circuit_breakers, resources.stats());
    let context = PoolContext::new(&config, breakers, TrafficFlag::new(), &resources);
    let pool = Arc::new(HostPool::new(host(1), context));
    Fixture { world, server, stats: resources.stats().clone(), pool }
}

fn http1() -> Fixture {
    fixture(config(false), Server::http1)
}

async fn lease(pool: &Arc<HostPool>) -> Result<Lease, Error> {
    match pool.checkout() {
        Some(lease) => Ok(lease),
        None => pool.wait().await,
    }
}

async fn exchange(pool: &Arc<HostPool>, path: &'static str) -> Result<(Response<Body>, Lease), Error> {
    let mut lease = lease(pool).await?;
    let request = Request::get(path).header("host", "h").body(Body::empty()).unwrap();
    let response = lease.exchange(request).await.map_err(|failed| failed.error)?;
    Ok((response, lease))
}

/// A whole exchange; answers the number of the connection, where the host says it.
async fn get(pool: &Arc<HostPool>, path: &'static str) -> Result<usize, Error> {
    let (response, mut lease) = exchange(pool, path).await?;
    let number = response.headers().get("connection-number").map_or(0, |n| n.to_str().unwrap().parse().unwrap());
    let body = response.into_body().collect().await?;
    assert_eq!(body.to_bytes(), "ok");
    lease.finish(true);
    Ok(number)
}

fn spawn_get(pool: &Arc<HostPool>, path: &'static str) -> JoinHandle<Result<usize, Error>> {
    let pool = pool.clone();
    tokio::spawn(async move { get(&pool, path).await })
}

/// Nothing is left of any request or connection.
fn assert_at_rest(f: &Fixture, connections: i64) {
    assert_eq!(gauge(&f.stats, "upstream_cx_active"), connections);
    assert_eq!(gauge(&f.stats, "upstream_rq_active"), 0);
    assert_eq!(gauge(&f.stats, "upstream_rq_pending_active"), 0);
    let host = f.pool.host.stats();
    assert_eq!(host.cx_active.load(Ordering::Relaxed), connections as u64);
    assert_eq!(host.rq_active.load(Ordering::Relaxed), 0);
    assert_eq!(host.rq_pending_active.load(Ordering::Relaxed), 0);
    assert_eq!(f.pool.context.breakers.level(Limited::PendingRequests), 0);
    assert_eq!(f.pool.context.breakers.level(Limited::Connections), connections as u32);
    assert_eq!(f.pool.connections(), connections as usize);
}

#[tokio::test]
async fn http1_connections_are_used_again_the_last_one_first() {
    let f = http1();
    for _ in 0..3 {
        assert_eq!(get(&f.pool, "/").await.unwrap(), 0);
    }
    let (one, other) = (spawn_get(&f.pool, "/wait"), spawn_get(&f.pool, "/wait"));
    settle().await;
    f.server.let_through(2);
    let numbers = [one.await.unwrap().unwrap(), other.await.unwrap().unwrap()];
    assert_eq!(numbers, [0, 1]);
    assert_eq!(get(&f.pool, "/").await.unwrap(), 1, "the last one used");
    assert_eq!(f.world.connects(), 2);
    assert_eq!(counter(&f.stats, "upstream_cx_http1_total"), 2);
    assert_eq!(counter(&f.stats, "upstream_rq_total"), 6);
    assert_at_rest(&f, 2);
}

#[tokio::test]
async fn an_http1_body_that_is_dropped_closes_its_connection() {
    let f = http1();
    let (response, lease) = exchange(&f.pool, "/").await.unwrap();
    drop((response, lease));
    settle().await;
    assert_at_rest(&f, 0);
    assert_eq!(f.server.open.load(Ordering::Relaxed), 0);
    assert_eq!(counter(&f.stats, "upstream_cx_destroy_local"), 1);
}

#[tokio::test]
async fn a_lease_that_was_not_used_goes_back() {
    let f = http1();
    drop(lease(&f.pool).await.unwrap());
    settle().await;
    assert_eq!(get(&f.pool, "/").await.unwrap(), 0);
    assert_at_rest(&f, 1);
}

#[tokio::test]
async fn a_connection_that_the_host_closes_is_forgotten() {
    for http2 in [false, true] {
        let f = fixture(config(http2), |server| if http2 { server.http2(10) } else { server.http1() });
        get(&f.pool, "/").await.unwrap();
        f.server.cut();
        settle().await;
        assert_at_rest(&f, 0);
        assert_eq!(counter(&f.stats, "upstream_cx_destroy_remote"), 1);
        get(&f.pool, "/").await.unwrap();
        assert_eq!(f.world.connects(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_after_their_time() {
    for http2 in [false, true] {
        let f = fixture(config(http2), |server| if http2 { server.http2(10) } else { server.http1() });
        get(&f.pool, "/").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1800)).await;
        get(&f.pool, "/").await.unwrap();
        tokio::time::sleep(Duration::from_secs(3599)).await;
        assert_at_rest(&f, 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        settle().await;
        assert_at_rest(&f, 0);
        assert_eq!(f.server.open.load(Ordering::Relaxed), 0, "http2: {http2}");
        assert_eq!(counter(&f.stats, "upstream_cx_idle_timeout"), 1);
        assert_eq!(f.world.connects(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_is_not_idle() {
    for http2 in [false, true] {
        let f = fixture(config(http2), |server| if http2 { server.http2(10) } else { server.http1() });
        let waiting = spawn_get(&f.pool, "/wait");
        tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
        f.server.let_through(1);
        waiting.await.unwrap().unwrap();
        assert_at_rest(&f, 1);
    }
}

#[tokio::test]
async fn those_who_wait_fail_together_when_the_connect_does() {
    for http2 in [false, true] {
        let f = fixture(config(http2), |_| Peer::Refuse);
        let waiting: Vec<_> = (0..5).map(|_| spawn_get(&f.pool, "/")).collect();
        for waiting in waiting {
            let error = waiting.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectFailure);
            assert_eq!(error.to_string(), "connecting to 10.0.0.1:80 failed: connection refused");
        }
        settle().await;
        assert_at_rest(&f, 0);
        assert_eq!(counter(&f.stats, "upstream_rq_pending_failure_eject"), 5);
        assert_eq!(counter(&f.stats, "upstream_cx_connect_fail"), counter(&f.stats, "upstream_cx_total"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connect_takes_no_longer_than_its_timeout() {
    let f = fixture(config(true), |_| Peer::Hang);
    let begun = Instant::now();
    let error = get(&f.pool, "/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
    assert_eq!(error.to_string(), "connecting to 10.0.0.1:80 failed: not done within 5s");
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    settle().await;
    assert_at_rest(&f, 0);
    assert_eq!(counter(&f.stats, "upstream_cx_connect_timeout"), 1);
}

#[tokio::test]
async fn a_request_that_goes_away_leaves_the_line_and_its_connect_to_others() {
    let f = http1();
    let waiting = spawn_get(&f.pool, "/");
    tokio::task::yield_now().await;
    assert_eq!(f.pool.lock().waiting.len(), 1);
    waiting.abort();
    settle().await;
    assert_eq!(f.pool.lock().waiting.len(), 0);
    assert_eq!(counter(&f.stats, "upstream_rq_cancelled"), 1);
    assert_eq!(get(&f.pool, "/").await.unwrap(), 0);
    assert_eq!(f.world.connects(), 1);
    assert_at_rest(&f, 1);
}

#[tokio::test]
async fn too_many_who_wait_are_refused() {
    let mut config = config(false);
    config.circuit_breakers.max_pending_requests = 2;
    let f = fixture(config, |_| Peer::Hang);
    let waiting = [spawn_get(&f.pool, "/"), spawn_get(&f.pool, "/")];
    settle().await;
    assert_eq!(get(&f.pool, "/").await.unwrap_err().kind(), ErrorKind::Overflow);
    assert_eq!(counter(&f.stats, "upstream_rq_pending_overflow"), 1);
    waiting.iter().for_each(JoinHandle::abort);
    settle().await;
    assert_eq!(gauge(&f.stats, "upstream_rq_pending_active"), 0);
}

#[tokio::test]
async fn at_the_limit_of_connections_requests_wait_for_one() {
    let mut config = config(false);
    config.circuit_breakers.max_connections = 1;
    let f = fixture(config, Server::http1);
    let one = spawn_get(&f.pool, "/wait");
    settle().await;
    let other = spawn_get(&f.pool, "/");
    settle().await;
    assert_eq!(f.world.connects(), 1);
    assert_eq!(counter(&f.stats, "upstream_cx_overflow"), 1);
    f.server.let_through(1);
    assert_eq!((one.await.unwrap().unwrap(), other.await.unwrap().unwrap()), (0, 0));
    assert_at_rest(&f, 1);
}

#[tokio::test]
async fn a_host_gets_its_first_connection_whatever_the_limit() {
    let mut config = config(false);
    config.circuit_breakers.max_connections = 0;
    let f = fixture(config, Server::http1);
    get(&f.pool, "/").await.unwrap();
    assert_at_rest(&f, 1);
}

#[tokio::test]
async fn a_pool_that_goes_closes_what_is_idle_and_lets_the_rest_end() {
    for http2 in [false, true] {
        let f = fixture(config(http2), |server| if http2 { server.http2(1) } else { server.http1() });
        let (idle, busy) = (spawn_get(&f.pool, "/wait"), spawn_get(&f.pool, "/wait"));
        settle().await;
        f.server.let_through(1);
        idle.await.unwrap().unwrap();
        assert_eq!(f.server.open.load(Ordering::Relaxed), 2);
        drop(f.pool);
        settle().await;
        assert!(!busy.is_finished());
        f.server.let_through(1);
        busy.await.unwrap().unwrap();
        settle().await;
        assert_eq!(f.server.open.load(Ordering::Relaxed), 0);
        assert_eq!(gauge(&f.stats, "upstream_cx_active"), 0);
    }
}

#[tokio::test]
async fn a_host_that_closes_under_a_request_is_counted_as_remote() {
    let f = http1();
    let waiting = spawn_get(&f.pool, "/wait");
    settle().await;
    f.server.cut();
    assert!(waiting.await.unwrap().is_err());
    settle().await;
    assert_at_rest(&f, 0);
    assert_eq!(counter(&f.stats, "upstream_cx_destroy_remote"), 1);
}

#[tokio::test]
async fn a_host_that_says_close_has_closed() {
    let f = fixture(config(false), |_| {
        Peer::Serve(Arc::new(move |mut io| {
            tokio::spawn(async move {
                let _ = io.read(&mut [0; 1024]).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                let _ = io.write_all(answer).await;
                let _ = io.read_to_end(&mut Vec::new()).await;
            });
        }))
    });
    let (response, mut lease) = exchange(&f.pool, "/").await.unwrap();
    response.into_body().collect().await.unwrap();
    lease.finish(true);
    settle().await;
    assert_at_rest(&f, 0);
    assert_eq!(counter(&f.stats, "upstream_cx_destroy_remote"), 1);
}
