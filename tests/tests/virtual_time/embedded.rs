//! The mesh inside an application: the same files, taken piece by piece.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use meshlib::{
    base::{DrainTimes, ErrorKind, RequestInfo, Resources, resources::Network},
    http::Body,
    proxy::mesh::{Mesh, MeshService},
    testkit::{TestCertificate, Testkit},
};
use tokio::time::sleep;
use tower::{Service, ServiceExt, service_fn};

use crate::{
    client::Raw,
    node::raised,
    world::{
        CHAIN, CHECKED, EDGE_FILE, EdgeOptions, KEY, SIDECAR_FILE, World, edge_file, secs, sidecar_address, tasks,
    },
};

fn mesh(file: &str, resources: &Resources) -> Mesh {
    Mesh::builder().resources(resources.clone()).start_str("envoy.yaml", file).unwrap()
}

fn echo() -> Request<Full<Bytes>> {
    Request::post("http://echo/api.Echo/Echo")
        .header("content-type", "application/grpc")
        .body(Full::new(Bytes::from_static(b"\0\0\0\0\0")))
        .unwrap()
}

/// Who answered, and the trailer.
async fn answer<S>(service: &S) -> (String, String)
where
    S: Service<Request<Full<Bytes>>, Response = Response<Body>, Error: std::fmt::Debug> + Clone,
{
    let response = service.clone().oneshot(echo()).await.unwrap();
    let name = response.headers().get("hostname").map(|name| name.to_str().unwrap().to_owned());
    let head = response.headers().get("grpc-status").cloned();
    let body = response.into_body().collect().await.unwrap();
    let status = body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned()).or(head);
    (name.unwrap_or_default(), status.unwrap().to_str().unwrap().to_owned())
}

/// An application that answers with what it was asked.
fn application(
    name: &'static str,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
    service_fn(move |request: Request<Body>| {
        let path = request.uri().path().to_owned();
        std::future::ready(Ok(Response::builder().header("hostname", name).body(Body::from(path)).unwrap()))
    })
}

async fn gone(kit: &Testkit) {
    sleep(secs(2)).await;
    assert_eq!(raised(kit.resources.stats()), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_and_a_listener_without_its_socket() {
    let mut world = World::new(1);
    for pod in [1, 2] {
        world.start_pod(pod).await;
    }
    world.publish([1, 2]);
    let kit = world.edge_kit();
    let mesh = mesh(&edge_file(CHECKED), &kit.resources);
    assert_eq!(mesh.local_addrs().count(), 0);
    assert!(world.dial().await.is_err(), "nothing is bound");

    // At once: the first calls wait for the first resolution and the first checks.
    let cluster = mesh.cluster("echo-grpc").unwrap().service();
    let service: MeshService = mesh.service().unwrap();
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(answer(&cluster).await);
        answers.push(answer(&service).await);
    }
    answers.sort();
    let from = |pod: &str| (pod.to_owned(), "0".to_owned());
    assert_eq!(answers, [from("pod-1"), from("pod-1"), from("pod-2"), from("pod-2")]);

    // Only what went through the listener is in its log and in its stats.
    sleep(secs(2)).await;
    let log = kit.logs.lines("/dev/stdout");
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].contains("\"POST /api.Echo/Echo HTTP/1.1\" 200 - 5 5 "), "{log:?}");
    let count = |name: &str| kit.resources.stats().counter_value(name);
    assert_eq!(count("http.ingress_https.downstream_rq_total"), Some(2));
    assert_eq!(count("cluster.echo-grpc.upstream_rq_total"), Some(4));

    // Filters, and what is told of a request.
    let probe = Request::get("http://echo/healthz").header("x-envoy-livenessprobe", "healthz");
    let probe = service.clone().oneshot(probe.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    assert_eq!(probe.status(), 200);
    drop(probe);
    let lost = Request::get("http://echo/nowhere").body(Full::<Bytes>::default()).unwrap();
    let lost = service.clone().oneshot(lost).await.unwrap();
    let info = RequestInfo::of(lost.extensions()).unwrap();
    assert_eq!((lost.status().as_u16(), info.read(|record| record.flags.to_string())), (404, "NR".to_owned()));
    drop(lost);
    let there = service.clone().oneshot(echo()).await.unwrap();
    let host = RequestInfo::of(there.extensions()).unwrap().upstream_host().unwrap();
    assert!([1, 2].map(sidecar_address).contains(&host), "{host}");
    drop(there);

    let origin = Request::get("/nowhere").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(service.clone().oneshot(origin).await.unwrap().status(), 404, "a host is not asked for");

    // Names that are not there.
    let error = mesh.cluster("ecoh").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoCluster);
    assert_eq!(error.to_string(), "there is no cluster `ecoh`: there is `echo-grpc`");
    assert!(mesh.listener_service("0.0.0.0:443").is_ok());
    assert!(mesh.listener_service("ingress").unwrap_err().to_string().contains("`0.0.0.0:443`"));

    // The services keep the cluster alive; with the last of them it ends.
    drop(mesh);
    world.at(30.0).await;
    assert_eq!(answer(&service).await.1, "0");
    drop((cluster, service));
    gone(&kit).await;
    let checks = world.edge_checks(1).len();
    sleep(secs(60)).await;
    assert_eq!(world.edge_checks(1).len(), checks, "nobody checks any more");
    drop((world, kit));
    sleep(secs(2)).await;
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_listener_in_front_of_an_application() {
    let world = World::new(1);
    let kit = world.edge_kit();
    let provider = kit.resources.crypto_provider();
    let certificate = TestCertificate::new(&["edge.test"], provider, kit.resources.random()).unwrap();
    kit.files.write(CHAIN, certificate.chain_pem());
    kit.files.write(KEY, certificate.key_pem());
    let mesh = mesh(&edge_file(EdgeOptions { tls: true, ..CHECKED }), &kit.resources);
    world.publish([]);
    let address = mesh.serve_with("0.0.0.0:443", application("axum")).unwrap();
    assert_eq!(mesh.local_addr("0.0.0.0:443"), Some(address));
    let again = mesh.serve_with("0.0.0.0:443", application("other")).unwrap_err().to_string();
    assert!(again.contains("is served already"), "{again}");

    // TLS, the health-check filter, forwarded headers and the log are the file's; routes are the application's.
    let io = crate::client::tls(world.dial().await.unwrap(), certificate.der(), &["http/1.1"]).await.unwrap();
    let mut raw = Raw::over(io);
    raw.get("/any/path", "").await;
    let reply = raw.until("/any/path").await.to_ascii_lowercase();
    assert!(reply.starts_with("http/1.1 200") && reply.contains("hostname: axum\r\n"), "{reply}");
    assert!(reply.contains("server: envoy\r\n"), "{reply}");
    raw.get("/healthz", "x-envoy-livenessprobe: healthz\r\n").await;
    assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 200"));

    // The drain of the mesh is the drain of the application.
    mesh.drain(DrainTimes::default());
    raw.get("/healthz", "x-envoy-livenessprobe: healthz\r\nconnection: close\r\n").await;
    assert!(raw.rest().await.starts_with("HTTP/1.1 503"));
    mesh.finished().await;
    assert!(world.dial().await.is_err());
    sleep(secs(2)).await;
    assert_eq!(kit.logs.lines("/dev/stdout").len(), 3);
    drop(mesh);
    gone(&kit).await;
    drop((world, kit));
    sleep(secs(1)).await;
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_mesh_that_is_dropped_stops_everything_it_started() {
    fn is_shared(_: &(impl Send + Sync + 'static)) {}
    let world = World::new(1);
    world.publish([]);
    let kit = world.edge_kit();
    let forever = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>());
    let start = || {
        let mesh = mesh(&edge_file(CHECKED), &kit.resources);
        mesh.serve_with("0.0.0.0:443", forever).unwrap();
        mesh
    };
    let mesh = start();
    is_shared(&mesh);
    let mut raw = world.raw().await;
    raw.get("/", "").await;
    sleep(secs(1)).await;
    let active = || kit.resources.stats().gauge_value("http.ingress_https.downstream_rq_active");
    assert_eq!(active(), Some(1));
    drop(mesh);
    assert!(world.dial().await.is_err());
    let again = start();
    assert_eq!(raw.rest().await, "", "the open request was cut");
    assert_eq!(active(), Some(0));
    assert!(world.dial().await.is_ok(), "the port was free at once");
    drop(again);
    gone(&kit).await;
    drop((world, kit, raw));
    sleep(secs(1)).await;
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_a_service_needs_no_socket() {
    let kit = Testkit::seeded(1);
    let builder = || Mesh::builder().resources(kit.resources.clone()).local_service("echo-grpc", application("here"));
    let mesh = builder().start_str("sidecar.envoy.yaml", SIDECAR_FILE).unwrap();
    let service = mesh.service().unwrap();
    let response = service.clone().oneshot(echo()).await.unwrap();
    assert_eq!(response.headers()["hostname"], "here");
    let info = RequestInfo::of(response.extensions()).unwrap().clone();
    assert_eq!(info.read(|record| record.cluster.clone()).as_deref(), Some("echo-grpc"));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "/api.Echo/Echo");
    let other = service.oneshot(Request::get("http://echo/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(other.status(), 404, "the routes are the file's");
    assert!(mesh.cluster("echo-grpc").unwrap_err().to_string().contains("is a service of this process"));
    assert!(kit.resources.stats().snapshot().iter().all(|(name, _)| !name.contains("health_check")), "no cluster");

    // The file need not have the cluster.
    let file = SIDECAR_FILE
        .replace("  - name: echo-grpc", "  - name: other")
        .replace("cluster_name: echo", "cluster_name: other #");
    assert!(builder().start_str("sidecar.envoy.yaml", &file).is_ok());
    let missed = Mesh::builder().resources(kit.resources.clone()).start_str("sidecar.envoy.yaml", &file);
    assert!(missed.unwrap_err().to_string().contains("unknown cluster `echo-grpc`"));
    let unused = builder().local_service("ecoh", application("nowhere"));
    let unused = unused.start_str("sidecar.envoy.yaml", SIDECAR_FILE).unwrap_err().to_string();
    assert!(unused.contains("no route leads to the local service `ecoh`"), "{unused}");
}

#[tokio::test(start_paused = true)]
async fn an_application_takes_one_listener_and_the_file_has_the_rest() {
    let mut world = World::running([1], CHECKED).await;
    let kit = world.kit.at(crate::world::address(9));
    let second =
        "  - name: second\n    address: {socket_address: {address: 0.0.0.0, port_value: 8443}}\n    filter_chains:";
    let file = EDGE_FILE
        .replacen("  - address:", "  - name: first\n    address:", 1)
        .replace("# CHECKS", "no_traffic_interval: 10s");
    let chain = file.split("    filter_chains:\n").nth(1).unwrap().split("  clusters:").next().unwrap().to_owned();
    let file = file.replacen("  clusters:", &format!("{second}\n{chain}  clusters:"), 1);
    let mesh = mesh(&file, &kit.resources);
    assert!(mesh.service().unwrap_err().to_string().contains("`first`, `second`"));
    mesh.serve_with("first", application("own")).unwrap();
    let server = mesh.serve().await.unwrap();
    assert_eq!(server.local_addrs().map(|address| address.port()).collect::<Vec<_>>(), [443, 8443]);
    assert_eq!(server.config(), server.mesh().config());
    for (port, name) in [(443, "own"), (8443, "pod-1")] {
        let address = SocketAddr::new(crate::world::address(9), port);
        let io = world.client_network().connect(address).await.unwrap();
        let client = crate::client::Client::over(io);
        assert_eq!(client.echo().await.unwrap().hostname(), name);
    }
    world.admin(&kit.network, "POST", "/quitquitquit").await;
    let told = async {
        tokio::join!(server.finished(), server.finished());
        server.finished().await;
    };
    tokio::time::timeout(secs(1), told).await.expect("whoever waits is told, and whenever");
    server.stop();
    drop(server);
    gone(&kit).await;
    world.kill_edge().await;
}

#[test]
fn without_a_runtime_there_is_a_reason() {
    let kit = Testkit::seeded(1);
    let error = Mesh::builder().resources(kit.resources).start_str("sidecar.envoy.yaml", SIDECAR_FILE).unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}
