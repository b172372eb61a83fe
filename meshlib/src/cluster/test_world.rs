//! A network of scripted hosts, each one end of a pipe.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::{io::DuplexStream, sync::Semaphore, task::AbortHandle};

use super::{
    ClusterShared,
    config::{ClusterConfig, DiscoveryConfig, UpstreamProtocol},
    health::TrafficFlag,
    host::{HealthFlags, Host},
    host_set::{HostSet, HostSetCell},
    warm_up::WarmUp,
};
use crate::{
    base::{
        Error, Resources, Stats,
        resources::{Acceptor, AddressFamily, BoxFuture, BoxIo, DnsAnswer, LogSink, LogSinks, Network, Resolve},
    },
    http::{Body, options::Http2Options},
};

/// What a host does with a connection.
#[derive(Clone)]
pub(crate) enum Peer {
    /// Refuses it.
    Refuse,
    /// Never answers.
    Hang,
    /// Serves it.
    Serve(Arc<dyn Fn(DuplexStream) + Send + Sync>),
}

#[derive(Default)]
pub(crate) struct World {
    peers: Mutex<HashMap<SocketAddr, Peer>>,
    connects: Mutex<Vec<SocketAddr>>,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn set(&self, host: SocketAddr, peer: Peer) {
        self.peers.lock().unwrap().insert(host, peer);
    }

    /// Every connect so far.
    pub(crate) fn connects(&self) -> usize {
        self.connects.lock().unwrap().len()
    }

    pub(crate) fn resources(self: &Arc<Self>) -> Resources {
        let random = crate::base::resources::Random::seeded(1);
        Resources::new(self.clone(), Arc::new(Nowhere), Arc::new(Nowhere)).with_random(random)
    }
}

impl Network for World {
    fn connect(&self, to: SocketAddr) -> BoxFuture<io::Result<BoxIo>> {
        self.connects.lock().unwrap().push(to);
        let peer = self.peers.lock().unwrap().get(&to).cloned().unwrap_or(Peer::Refuse);
        Box::pin(async move {
            tokio::task::yield_now().await;
            match peer {
                Peer::Refuse => Err(io::ErrorKind::ConnectionRefused.into()),
                Peer::Hang => std::future::pending().await,
                Peer::Serve(serve) => {
                    let (near, far) = tokio::io::duplex(1 << 16);
                    serve(far);
                    Ok(Box::new(near) as BoxIo)
                }
            }
        })
    }

    fn bind(&self, _: SocketAddr) -> io::Result<Box<dyn Acceptor>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

struct Nowhere;

impl Resolve for Nowhere {
    fn resolve(&self, _: &str, _: AddressFamily) -> BoxFuture<io::Result<DnsAnswer>> {
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }
}

impl LogSinks for Nowhere {
    fn open(&self, _: &Path) -> io::Result<Arc<dyn LogSink>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// What servers have in common: a gate for requests to `/wait`, and counts.
pub(crate) struct Server {
    gate: Semaphore,
    active: AtomicUsize,
    pub(crate) most: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    pub(crate) open: AtomicUsize,
    connections: Mutex<Vec<AbortHandle>>,
}

impl Server {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Semaphore::new(0),
            active: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            connections: Mutex::default(),
        })
    }

    /// Lets this many requests to `/wait` through.
    pub(crate) fn let_through(&self, requests: usize) {
        self.gate.add_permits(requests);
    }

    /// Cuts every connection there is.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap().drain(..).for_each(|connection| connection.abort());
    }

    fn spawn(self: &Arc<Self>, connection: impl Future<Output = ()> + Send + 'static) {
        let open = Open::new(self);
        let task = tokio::spawn(async move {
            let _open = open;
            connection.await;
        });
        self.connections.lock().unwrap().push(task.abort_handle());
    }

    async fn pass(&self, path: &str) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if path == "/wait" {
            self.gate.acquire().await.unwrap().forget();
        }
    }

    /// HTTP/1.1: `connection` is the number of the connection; `/cut` promises more than it sends.
    pub(crate) fn http1(self: &Arc<Self>) -> Peer {
        let (server, numbers) = (self.clone(), AtomicUsize::new(0));
        Peer::Serve(Arc::new(move |io| {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let answering = server.clone();
            let answer = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                let server = answering.clone();
                async move {
                    server.pass(request.uri().path()).await;
                    Ok::<_, Error>(
                        Response::builder().header("connection-number", number).body(Body::from("ok")).unwrap(),
                    )
                }
            });
            server.spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), answer).await;
            });
        }))
    }

    /// HTTP/2 with a limit of streams for each connection. `/refuse` is refused the first time; `/goaway` ends the
    /// connection after its answer.
    pub(crate) fn http2(self: &Arc<Self>, limit: u32) -> Peer {
        let server = self.clone();
        Peer::Serve(Arc::new(move |io| {
            let serving = server.clone();
            server.spawn(async move {
                let mut builder = h2::server::Builder::new();
                let Ok(mut connection) = builder.max_concurrent_streams(limit).handshake::<_, Bytes>(io).await else {
                    return;
                };
                let active = Arc::new(AtomicUsize::new(0));
                while let Some(Ok((request, respond))) = connection.accept().await {
                    if request.uri().path() == "/goaway" {
                        connection.graceful_shutdown();
                    }
                    tokio::spawn(serving.clone().stream(request, respond, active.clone()));
                }
            });
        }))
    }

    async fn stream(
        self: Arc<Self>,
        request: Request<h2::RecvStream>,
        mut respond: h2::server::SendResponse<Bytes>,
        active: Arc<AtomicUsize>,
    ) {
        self.most.fetch_max(active.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        self.pass(request.uri().path()).await;
        let first = self.requests.load(Ordering::Relaxed) == 1;
        if request.uri().path() == "/refuse" && first || request.uri().path() == "/refuse-always" {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
        } else if let Ok(mut body) = respond.send_response(Response::new(()), false) {
            let _ = body.send_data(Bytes::from_static(b"ok"), false);
            let status = request.headers().get("want-status").cloned();
            let trailers: HeaderMap =
                status.map(|status| ("grpc-status".parse().unwrap(), status)).into_iter().collect();
            let _ = body.send_trailers(trailers);
        }
        active.fetch_sub(1, Ordering::Relaxed);
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Open(Arc<Server>);

impl Open {
    fn new(server: &Arc<Server>) -> Self {
        server.open.fetch_add(1, Ordering::Relaxed);
        Self(server.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 80))
}

pub(crate) fn host(last: u8) -> Arc<Host> {
    Arc::new(Host::new(address(last), None, 1, HealthFlags::HEALTHY))
}

pub(crate) fn config(http2: bool) -> ClusterConfig {
    let mut config = ClusterConfig::new("c", DiscoveryConfig::Static(Vec::new())).connect_failover(false);
    if http2 {
        config.protocol = UpstreamProtocol::Http2(Http2Options::upstream());
    }
    config
}

pub(crate) fn shared(config: ClusterConfig, hosts: Vec<Arc<Host>>, resources: &Resources) -> Arc<ClusterShared> {
    let cell = HostSetCell::new(HostSet::new(hosts, config.panic_threshold));
    Arc::new(ClusterShared::new(config, cell, WarmUp::finished(), TrafficFlag::new(), resources))
}

/// Runs what is ready to run.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn counter(stats: &Stats, name: &str) -> u64 {
    stats.counter_value(&format!("cluster.c.{name}")).unwrap()
}

pub(crate) fn gauge(stats: &Stats, name: &str) -> i64 {
    stats.gauge_value(&format!("cluster.c.{name}")).unwrap()
}
