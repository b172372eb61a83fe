//! Clusters as an application builds them, over a scripted network and name server, under a paused clock.

use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::{sync::watch, time::Instant};
use tower::ServiceExt;

use super::*;
use crate::{
    base::{ErrorKind, RequestInfo, resources::Rng},
    cluster::{
        ClusterService,
        balance::{PickContext, Picker},
        health::CustomCheck,
        host::Host,
        host_set::HostSet,
        test_world::{Peer, Server, World, address, settle},
    },
    discovery::{Endpoint, Watched},
    http::Body,
    testkit::ScriptedDns,
};

const NAME: &str = "echo.test";
const SECOND: Duration = Duration::from_secs(1);

/// Ten hosts that serve, and a name server that knows none of them.
struct Fixture {
    world: Arc<World>,
    server: Arc<Server>,
    dns: ScriptedDns,
    resources: Resources,
}

impl Fixture {
    fn new() -> Self {
        let (world, server, dns) = (World::new(), Server::new(), ScriptedDns::new());
        (1..=10).for_each(|last| world.set(address(last), server.http2(10)));
        let resources = world.resources().with_resolver(Arc::new(dns.clone()));
        Self { world, server, dns, resources }
    }

    fn publish(&self, hosts: &[u8]) {
        self.dns.set(NAME, hosts.iter().map(|last| address(*last).ip()));
    }

    fn builder(&self) -> ClusterBuilder<StrictDnsConfig> {
        Cluster::builder("c").strict_dns(NAME, 80).http2()
    }
}

async fn call(service: &ClusterService) -> Result<Response<Body>, Error> {
    service.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()).await
}

/// The last byte of the address of the host that answers.
async fn answered_by(service: &ClusterService) -> u8 {
    let response = call(service).await.unwrap();
    let host = RequestInfo::of(response.extensions()).unwrap().upstream_host().unwrap();
    response.into_body().collect().await.unwrap();
    (1..=10).find(|last| address(*last) == host).unwrap()
}

#[test]
fn a_builder_says_all_that_a_value_can() {
    let check = HealthCheckConfig::grpc(SECOND, 10 * SECOND, 2, 3);
    let limits = CircuitBreakersConfig { max_requests: 7, ..CircuitBreakersConfig::default() };
    let built = Cluster::builder("c")
        .panic_threshold(10.0)
        .strict_dns("a", 1)
        .and_dns("b", 2)
        .dns_refresh_rate(SECOND)
        .respect_dns_ttl()
        .dns_failure_refresh_rate(SECOND, 9 * SECOND)
        .dns_lookup_family(DnsLookupFamily::All)
        .http2()
        .round_robin()
        .health_check(check.clone())
        .connect_timeout(2 * SECOND)
        .idle_timeout(3 * SECOND)
        .warm_up(4 * SECOND)
        .circuit_breakers(limits)
        .ignore_health_on_host_removal(true)
        .connect_failover(false)
        .config();
    let mut dns = StrictDnsConfig::new(vec![DnsEndpoint::new("a", 1), DnsEndpoint::new("b", 2)]);
    (dns.refresh_rate, dns.respect_ttl, dns.lookup_family) = (SECOND, true, DnsLookupFamily::All);
    dns.failure_refresh = Some((SECOND, 9 * SECOND));
    let value = ClusterConfig::new("c", dns.into())
        .http2()
        .health_check(check)
        .connect_timeout(2 * SECOND)
        .idle_timeout(3 * SECOND)
        .warm_up(4 * SECOND)
        .circuit_breakers(limits)
        .panic_threshold(10.0)
        .ignore_health_on_host_removal(true)
        .connect_failover(false);
    assert_eq!(built, value);
    assert_ne!(built, Cluster::builder("c").addresses([]).config());
}

#[test]
fn a_cluster_needs_a_runtime_and_says_so() {
    let error = Cluster::builder("c").addresses([]).build(&crate::testkit::resources()).unwrap_err();
    assert_eq!(error.to_string(), "cluster `c` must be started on a tokio runtime");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let f = Fixture::new();
    let check = HealthCheckConfig::grpc(SECOND, SECOND, 1, 1);
    let error = Cluster::builder("c").addresses([]).health_check(check).build(&f.resources).unwrap_err();
    assert_eq!(error.to_string(), "cluster `c` must speak HTTP/2 for gRPC health checks");
    let (_sender, receiver) = watch::channel(Vec::new());
    let config = Cluster::builder("c").discover(Watched::new(receiver)).config();
    let _first = Cluster::start(config.clone(), &f.resources).unwrap();
    let error = Cluster::start(config, &f.resources).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("feeds a cluster already"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_new_pod_answers_within_a_refresh() {
    let f = Fixture::new();
    f.publish(&[1]);
    // The cluster itself is dropped: its data path keeps it running.
    let service = f.builder().build(&f.resources).unwrap().service();
    let begin = Instant::now();
    assert_eq!(answered_by(&service).await, 1);
    f.publish(&[1, 2]);
    while answered_by(&service).await != 2 {
        tokio::time::sleep(SECOND / 10).await;
    }
    assert!(begin.elapsed() <= 5 * SECOND + SECOND / 5, "{:?}: the next two calls", begin.elapsed());
    f.publish(&[2]);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!([answered_by(&service).await, answered_by(&service).await], [2, 2], "without checks it goes at once");
}

#[tokio::test(start_paused = true)]
async fn the_first_call_waits_for_the_first_answer_but_not_for_ever() {
    let f = Fixture::new();
    f.dns.hang(NAME);
    let begin = Instant::now();
    let cluster = f.builder().warm_up(3 * SECOND).build(&f.resources).unwrap();
    let error = call(&cluster.service()).await.unwrap_err();
    assert_eq!((error.kind(), begin.elapsed()), (ErrorKind::NoHealthyUpstream, 3 * SECOND));

    let (endpoints, watched) = watch::channel(Vec::new());
    let cluster = Cluster::builder("c").discover(Watched::new(watched)).http2().build(&f.resources).unwrap();
    let (service, begin) = (cluster.service(), Instant::now());
    let waiting = tokio::spawn(async move { answered_by(&service).await });
    tokio::time::sleep(2 * SECOND).await;
    endpoints.send_replace(vec![Endpoint::new(address(7))]);
    assert_eq!(waiting.await.unwrap(), 7);
    assert_eq!(begin.elapsed(), 2 * SECOND);
}

/// The hosts that were checked, and when, in seconds.
type Checks = Arc<Mutex<Vec<u64>>>;

/// A check that fails until it is told otherwise.
fn scripted(begin: Instant) -> (CustomCheck, Checks, Arc<AtomicBool>) {
    let (checks, well) = (Checks::default(), Arc::new(AtomicBool::new(false)));
    let (noted, told) = (checks.clone(), well.clone());
    let check = CustomCheck::new("scripted", move |_: Arc<Host>| {
        noted.lock().unwrap().push(begin.elapsed().as_secs());
        let well = told.load(Ordering::Relaxed);
        async move { if well { Ok(()) } else { Err(io::Error::other("not yet")) } }
    });
    (check, checks, well)
}

#[tokio::test(start_paused = true)]
async fn checks_go_at_their_interval_from_the_start() {
    let f = Fixture::new();
    f.publish(&[1]);
    let (check, checks, well) = scripted(Instant::now());
    let check = HealthCheckConfig::custom(SECOND, 10 * SECOND, 2, 2, check);
    let cluster = f.builder().health_check(check).panic_threshold(0.0).build(&f.resources).unwrap();
    cluster.warmed().await;
    let error = call(&cluster.service()).await.unwrap_err();
    assert_eq!(error.to_string(), "cluster \"c\" has no healthy upstream: 10.0.0.1:80 is /failed_active_hc");
    well.store(true, Ordering::Relaxed);
    tokio::time::sleep(25 * SECOND).await;
    assert_eq!(*checks.lock().unwrap(), [0, 10, 20], "though there was no connection");
    assert_eq!((cluster.hosts().load().healthy(), f.world.connects()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn grpc_checks_do_so_too() {
    let f = Fixture::new();
    f.publish(&[1]);
    f.world.set(address(1), Peer::Refuse);
    let check = HealthCheckConfig::grpc(SECOND, 10 * SECOND, 2, 2);
    let cluster = f.builder().health_check(check).build(&f.resources).unwrap();
    cluster.warmed().await;
    tokio::time::sleep(25 * SECOND).await;
    assert_eq!(f.world.connects(), 3, "at 0, 10 and 20 s");
}

/// Always the last host that may be picked.
#[derive(Debug)]
struct Last;

impl LoadBalancer for Last {
    fn name(&self) -> &str {
        "LAST"
    }

    fn picker(&self, _: Rng) -> Box<dyn Picker> {
        Box::new(Last)
    }
}

impl Picker for Last {
    fn update(&mut self, _: &HostSet) {}

    fn pick(&mut self, hosts: &HostSet, _: &PickContext<'_>) -> Option<usize> {
        hosts.eligible().last().copied()
    }
}

#[tokio::test]
async fn a_load_balancer_of_ones_own_picks() {
    let f = Fixture::new();
    f.publish(&[3, 5, 4]);
    let service = f.builder().load_balancer(Last).build(&f.resources).unwrap().service();
    for _ in 0..5 {
        assert_eq!(answered_by(&service).await, 4);
    }
    f.world.set(address(4), Peer::Refuse);
    f.server.cut();
    settle().await;
    assert_ne!(answered_by(&service).await, 4, "a dead pick is not the last word");
}

#[tokio::test]
async fn an_error_names_every_host_that_was_tried() {
    let f = Fixture::new();
    f.publish(&[1, 2]);
    (1..=2).for_each(|last| f.world.set(address(last), Peer::Refuse));
    let service = f.builder().build(&f.resources).unwrap().service();
    let error = call(&service).await.unwrap_err();
    let info = error.info().unwrap();
    let hosts: Vec<_> = info.attempts().iter().map(|attempt| attempt.host).collect();
    assert_eq!((hosts.len(), info.upstream_host()), (2, hosts.last().copied()));
    assert!(info.attempts().iter().all(|attempt| attempt.duration.is_some()));
    assert_eq!(info.read(|record| record.cluster.clone()).as_deref(), Some("c"));
    let tried = format!("; tried {} (ConnectFailure), {} (ConnectFailure)", hosts[0], hosts[1]);
    assert!(error.to_string().ends_with(&tried), "{error}");
}

#[tokio::test]
async fn every_response_has_the_record_and_so_has_an_error_in_its_body() {
    let f = Fixture::new();
    f.publish(&[1]);
    let service = f.builder().build(&f.resources).unwrap().service();
    let mut request = Request::get("/").body(Body::empty()).unwrap();
    request.extensions_mut().insert(RequestInfo::detached());
    let response = service.clone().oneshot(request).await.unwrap();
    let info = RequestInfo::of(response.extensions()).unwrap().clone();
    assert_eq!(info.attempts()[0].status, Some(StatusCode::OK), "the application's own, and on the response too");
    assert_eq!(info.flags().to_string(), "-");
    drop(response);

    let mut waiting = call(&service).await.unwrap();
    f.world.set(address(1), Peer::Refuse);
    f.server.cut();
    let error = loop {
        match waiting.body_mut().frame().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    // The answer may have been whole before the cut.
    if let Some(error) = error {
        assert_eq!(error.info().unwrap().upstream_host(), Some(address(1)));
    }
}

#[tokio::test]
async fn a_request_without_authority_gets_the_clusters() {
    let authority = |discovery: DiscoveryConfig, name: &str, uri: &str| {
        let f = Fixture::new();
        let cluster = Cluster::builder(name).discovery(discovery).build(&f.resources).unwrap();
        let mut request = Request::get(uri).body(()).unwrap();
        cluster.service().cluster().complete_authority(&mut request);
        request.uri().to_string()
    };
    let dns = || DiscoveryConfig::strict_dns("echo.test", 8786);
    assert_eq!(authority(dns(), "c", "/api.Echo/Echo?a"), "http://echo.test:8786/api.Echo/Echo?a");
    assert_eq!(authority(dns(), "c", "https://other/"), "https://other/");
    assert_eq!(authority(DiscoveryConfig::fixed([]), "c", "/"), "http://c/");
    assert_eq!(authority(DiscoveryConfig::fixed([]), "outbound|80||x", "/"), "http://localhost/");
}
