//! The whole data path against scripted hosts.

mod failures;

use std::{sync::atomic::Ordering, time::Duration};

use http::StatusCode;
use http_body_util::BodyExt;
use tokio::{task::JoinHandle, time::Instant};
use tower::ServiceExt;

use super::*;
use crate::{
    base::{Retry, Stats, info::Record},
    cluster::{
        config::ClusterConfig,
        health::TrafficFlag,
        host::{HealthFlags, Host},
        host_set::{HostSet, HostSetCell},
        test_world::{Peer, Server, World, address, config, counter, gauge, host, settle, shared},
        warm_up::WarmUp,
    },
};

struct Fixture {
    world: Arc<World>,
    server: Arc<Server>,
    stats: Stats,
    hosts: Vec<Arc<Host>>,
    service: ClusterService,
}

/// Hosts 1 to `hosts`, all served alike.
fn fixture(config: ClusterConfig, hosts: u8, peer: impl Fn(&Arc<Server>) -> Peer) -> Fixture {
    let (world, server) = (World::new(), Server::new());
    (1..=hosts).for_each(|last| world.set(address(last), peer(&server)));
    let resources = world.resources();
    let hosts: Vec<_> = (1..=hosts).map(host).collect();
    let service = ClusterService::new(shared(config, hosts.clone(), &resources), &resources);
    Fixture { world, server, stats: resources.stats().clone(), hosts, service }
}

fn request(path: &'static str) -> Request<Body> {
    Request::get(path).header("host", "h").body(Body::empty()).unwrap()
}

fn record(response: &Result<Response<Body>, Error>) -> Record {
    let info = match response {
        Ok(response) => RequestInfo::of(response.extensions()),
        Err(error) => error.info(),
    };
    info.unwrap().read(Record::clone)
}

async fn read(response: Result<Response<Body>, Error>) -> Result<StatusCode, Error> {
    let response = response?;
    let status = response.status();
    response.into_body().collect().await?;
    Ok(status)
}

fn spawn(service: &ClusterService, path: &'static str) -> JoinHandle<Result<StatusCode, Error>> {
    let service = service.clone();
    tokio::spawn(async move { read(service.oneshot(request(path)).await).await })
}

fn assert_at_rest(f: &Fixture) {
    for name in ["upstream_rq_active", "upstream_rq_pending_active"] {
        assert_eq!(gauge(&f.stats, name), 0, "{name}");
    }
    for of in [Limited::Requests, Limited::PendingRequests, Limited::Retries] {
        assert_eq!(f.service.cluster().circuit_breakers().level(of), 0, "{of:?}");
    }
    for host in &f.hosts {
        assert_eq!(host.stats().rq_active.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn a_request_leaves_a_record() {
    for http2 in [false, true] {
        let f = fixture(config(http2), 2, |server| if http2 { server.http2(10) } else { server.http1() });
        let response = f.service.clone().oneshot(request("/")).await;
        let record = record(&response);
        assert_eq!(record.cluster.as_deref(), Some("c"));
        assert_eq!(record.attempts.len(), 1);
        let attempt = &record.attempts[0];
        assert!([address(1), address(2)].contains(&attempt.host));
        assert_eq!((attempt.status, attempt.error), (Some(StatusCode::OK), None));
        assert!(attempt.duration.is_some() && !record.panic && record.flags.is_empty());
        assert_eq!(gauge(&f.stats, "upstream_rq_active"), 1, "until the body has ended");
        assert!(f.service.cluster().has_traffic());
        read(response).await.unwrap();
        assert_at_rest(&f);
        for (name, value) in [("upstream_rq_200", 1), ("upstream_rq_2xx", 1), ("upstream_rq_completed", 1)] {
            assert_eq!(counter(&f.stats, name), value);
        }
        let success: u64 = f.hosts.iter().map(|host| host.stats().rq_success.load(Ordering::Relaxed)).sum();
        assert_eq!(success, 1);
    }
}

#[tokio::test]
async fn a_record_that_came_with_the_request_is_kept() {
    let f = fixture(config(false), 1, Server::http1);
    let info = RequestInfo::detached();
    let mut request = request("/");
    request.extensions_mut().insert(info.clone());
    let response = f.service.clone().oneshot(request).await.unwrap();
    assert_eq!(RequestInfo::of(response.extensions()).unwrap().upstream_host(), Some(address(1)));
    assert_eq!(info.upstream_host(), Some(address(1)));

    // A server keeps its own record.
    let (started, epoch) = (tokio::time::Instant::now(), std::time::SystemTime::UNIX_EPOCH);
    let connection = Arc::new(crate::base::ConnectionInfo::new(None, None));
    let info = RequestInfo::served(connection, started, epoch, Default::default());
    let mut request = self::request("/");
    request.extensions_mut().insert(info.clone());
    let response = f.service.clone().oneshot(request).await.unwrap();
    assert!(RequestInfo::of(response.extensions()).is_none());
    assert_eq!(info.upstream_host(), Some(address(1)));
}

#[tokio::test]
async fn foreign_bodies_pass_in_both_ways_of_calling() {
    let f = fixture(config(true), 1, |server| server.http2(10));
    let foreign = Request::post("/").header("host", "h").body(http_body_util::Full::new(Bytes::from("hello"))).unwrap();
    let response = f.service.clone().oneshot(foreign).await;
    assert_eq!(read(response).await.unwrap(), StatusCode::OK);
    assert_eq!(read(HttpService::call(&f.service, request("/")).await).await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn no_host_is_no_healthy_upstream() {
    let f = fixture(config(false), 0, Server::http1);
    let response = f.service.clone().oneshot(request("/")).await;
    assert_eq!(record(&response).flags.to_string(), "UH");
    assert_eq!(response.unwrap_err().kind(), ErrorKind::NoHealthyUpstream);
    assert_eq!(counter(&f.stats, "upstream_cx_none_healthy"), 1);
    assert_eq!(counter(&f.stats, "upstream_rq_503"), 1);
    assert_at_rest(&f);
}

#[tokio::test]
async fn panic_is_counted_and_recorded() {
    let f = fixture(config(false), 1, Server::http1);
    f.hosts[0].set_health(HealthFlags::FAILED_ACTIVE_HC, true);
    f.service.cluster().hosts().publish(HostSet::new(f.hosts.clone(), 50.0));
    let response = f.service.clone().oneshot(request("/")).await;
    assert!(record(&response).panic);
    assert_eq!(counter(&f.stats, "lb_healthy_panic"), 1);
}

#[tokio::test(start_paused = true)]
async fn first_calls_wait_until_the_cluster_is_warm_but_not_for_ever() {
    for finish in [true, false] {
        let (world, server) = (World::new(), Server::new());
        world.set(address(1), server.http1());
        let resources = world.resources();
        let cell = HostSetCell::new(HostSet::new(Vec::new(), 50.0));
        let warm_up = WarmUp::new(Duration::from_secs(5));
        let cluster =
            Arc::new(ClusterShared::new(config(false), cell.clone(), warm_up.clone(), TrafficFlag::new(), &resources));
        let service = ClusterService::new(cluster, &resources);
        let begun = Instant::now();
        let call = spawn(&service, "/");
        tokio::time::sleep(Duration::from_secs(1)).await;
        if finish {
            cell.publish(HostSet::new(vec![host(1)], 50.0));
            warm_up.finish();
            assert_eq!(call.await.unwrap().unwrap(), StatusCode::OK);
            assert_eq!(begun.elapsed(), Duration::from_secs(1));
        } else {
            assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::NoHealthyUpstream);
            assert_eq!(begun.elapsed(), Duration::from_secs(5));
        }
    }
}

#[tokio::test]
async fn requests_above_the_limit_are_refused_at_once() {
    let mut config = config(true);
    config.circuit_breakers.max_requests = 1;
    let f = fixture(config, 1, |server| server.http2(10));
    let held = f.service.clone().oneshot(request("/")).await.unwrap();
    let response = f.service.clone().oneshot(request("/")).await;
    assert_eq!(record(&response).flags.to_string(), "UO");
    assert_eq!(counter(&f.stats, "upstream_rq_pending_overflow"), 1);
    assert_eq!(gauge(&f.stats, "circuit_breakers.default.rq_open"), 1);
    drop(held);
    read(f.service.clone().oneshot(request("/")).await).await.unwrap();
    assert_at_rest(&f);
}

#[tokio::test]
async fn grpc_outcomes_are_counted_by_their_status() {
    let f = fixture(config(true), 1, |server| server.http2(10));
    // Not found is the caller's matter, unavailable the server's, no status at all a failure.
    for (status, success, error) in [(Some("0"), 1, 0), (Some("5"), 2, 0), (Some("14"), 2, 1), (None, 2, 2)] {
        let mut request = request("/");
        request.headers_mut().insert("content-type", "application/grpc+proto".parse().unwrap());
        if let Some(status) = status {
            request.headers_mut().insert("want-status", status.parse().unwrap());
        }
        read(f.service.clone().oneshot(request).await).await.unwrap();
        let stats = f.hosts[0].stats();
        let counted = (stats.rq_success.load(Ordering::Relaxed), stats.rq_error.load(Ordering::Relaxed));
        assert_eq!(counted, (success, error), "{status:?}");
    }
}

#[tokio::test]
async fn a_request_that_goes_away_leaves_nothing_behind() {
    for http2 in [false, true] {
        let f = fixture(config(http2), 1, |server| if http2 { server.http2(10) } else { server.http1() });
        let waiting = spawn(&f.service, "/wait");
        settle().await;
        assert_eq!(gauge(&f.stats, "upstream_rq_active"), 1);
        waiting.abort();
        settle().await;
        assert_at_rest(&f);
    }
}

#[tokio::test]
async fn the_connections_of_a_host_that_went_are_closed() {
    let f = fixture(config(true), 2, |server| server.http2(10));
    for _ in 0..2 {
        read(f.service.clone().oneshot(request("/")).await).await.unwrap();
    }
    assert_eq!(f.server.open.load(Ordering::Relaxed), 2);
    f.service.cluster().hosts().publish(HostSet::new(f.hosts[..1].to_vec(), 50.0));
    settle().await;
    assert_eq!(f.server.open.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_future_of_a_request_stays_small() {
    let f = fixture(config(true), 1, |server| server.http2(10));
    let size = std::mem::size_of_val(&f.service.0.clone().respond(request("/")));
    assert!(size <= 1024, "{size} bytes are moved to the heap for each request");
}

/// Many threads on one data path, requests that go away included: nothing hangs, nothing is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_data_path_may_be_shared_by_threads() {
    for http2 in [false, true] {
        let f = fixture(config(http2), 3, |server| if http2 { server.http2(3) } else { server.http1() });
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..400 {
            let service = f.service.clone();
            let call = async move { read(service.oneshot(request("/")).await).await };
            if number % 5 == 0 {
                tasks.spawn(async move {
                    let mut call = std::pin::pin!(call);
                    // Polled a few times, then dropped.
                    for _ in 0..number % 7 {
                        if futures_util::poll!(&mut call).is_ready() {
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                    Ok(StatusCode::OK)
                });
            } else {
                tasks.spawn(call);
            }
        }
        let all = async {
            while let Some(call) = tasks.join_next().await {
                assert_eq!(call.unwrap().unwrap(), StatusCode::OK);
            }
            while gauge(&f.stats, "upstream_rq_active") > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
        assert_at_rest(&f);
        assert!(f.server.most.load(Ordering::Relaxed) <= 3);
    }
}
