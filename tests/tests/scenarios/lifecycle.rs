//! A mesh in a program that has a runtime of its own, of either kind, and threads without one.

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::Barrier,
    time::Duration,
};

use futures_util::FutureExt;
use http::{Request, Response};
use meshlib::{
    base::{DrainPhase, DrainTimes, stats::StatValue},
    http::Body,
    proxy::mesh::Mesh,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
};
use tower::service_fn;

const FILE: &str = "
static_resources:
  listeners:
  - name: ingress
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.http_connection_manager
        config:
          stat_prefix: ingress
          route_config:
            virtual_hosts:
            - {name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: own}}]}
          http_filters: [{name: envoy.router}]
";

fn runtimes() -> [Runtime; 2] {
    let two = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    [Builder::new_current_thread().enable_all().build().unwrap(), two]
}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("hello")))
}

/// Made on the runtime; what comes then is called from wherever the test is.
fn mesh(runtime: &Runtime) -> Mesh {
    let builder = Mesh::builder().local_service("own", service_fn(hello));
    runtime.block_on(async { builder.start_str("envoy.yaml", FILE) }).unwrap()
}

async fn get(from: SocketAddr) -> String {
    let mut client = TcpStream::connect(from).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: own\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut reply = String::new();
    client.read_to_string(&mut reply).await.unwrap();
    reply
}

fn raised(mesh: &Mesh) -> Vec<String> {
    let raised = |(name, value)| matches!(value, StatValue::Gauge(1..)).then_some(name);
    mesh.resources().stats().snapshot().into_iter().filter_map(raised).collect()
}

#[test]
fn any_thread_serves_drains_and_drops_it() {
    for runtime in runtimes() {
        let mesh = mesh(&runtime);
        let address = mesh.serve_with("ingress", service_fn(hello)).unwrap();
        assert!(runtime.block_on(get(address)).ends_with("\r\n\r\nhello"));
        mesh.drain(DrainTimes::new(Duration::ZERO, Duration::from_secs(5)));
        runtime.block_on(mesh.finished());
        assert!(runtime.block_on(TcpStream::connect(address)).is_err(), "the drain closed the port");
        assert_eq!(raised(&mesh), Vec::<String>::new());
        drop(mesh);
    }
}

#[test]
fn a_drain_is_not_over_before_its_port_is_closed() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mesh = mesh(&runtime);
    mesh.serve_with("ingress", service_fn(hello)).unwrap();
    runtime.block_on(async {
        mesh.resources().drain().enter(DrainPhase::Draining);
        // The task that accepts has not had a turn since.
        assert!(mesh.finished().now_or_never().is_none());
        mesh.finished().await;
    });
}

#[test]
fn the_port_of_a_mesh_that_is_dropped_is_free_at_once() {
    for runtime in runtimes() {
        let mesh = mesh(&runtime);
        let stats = mesh.resources().stats().clone();
        let address = mesh
            .serve_with(
                "ingress",
                service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>()),
            )
            .unwrap();
        let active = || stats.gauge_value("http.ingress.downstream_rq_active");
        let mut client = std::net::TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: own\r\n\r\n").unwrap();
        runtime.block_on(async {
            while active() != Some(1) {
                tokio::task::yield_now().await;
            }
        });
        // On one thread nothing turns the runtime now.
        drop(mesh);
        drop(TcpListener::bind(address).expect("the port is free"));
        runtime.block_on(async {
            while active() != Some(0) {
                tokio::task::yield_now().await;
            }
        });
        let mut reply = Vec::new();
        let _ = client.read_to_end(&mut reply);
        assert_eq!(reply, b"", "the open request was cut");
    }
}

#[test]
fn of_many_threads_one_serves_a_listener() {
    const THREADS: usize = 8;
    let [_, runtime] = runtimes();
    for _ in 0..20 {
        let (mesh, together) = (mesh(&runtime), Barrier::new(THREADS));
        let served = std::thread::scope(|scope| {
            let serve = || {
                together.wait();
                mesh.serve_with("ingress", service_fn(hello))
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(serve)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let (got, refused): (Vec<_>, Vec<_>) = served.into_iter().partition(Result::is_ok);
        assert_eq!((got.len(), refused.len()), (1, THREADS - 1), "port 0 is free for each of them");
        for error in refused {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("listener `ingress` is served already, on 127.0.0.1:"), "{error}");
        }
        let address = *got[0].as_ref().unwrap();
        assert_eq!(mesh.local_addr("ingress"), Some(address));
        assert!(runtime.block_on(get(address)).ends_with("\r\n\r\nhello"));
    }
}
