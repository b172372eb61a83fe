//! Hosts that answer health checks as they are told, and a discovery that is fed by hand.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Mutex,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::{sync::mpsc, time::Instant};
use tower::service_fn;

use super::super::*;
use crate::{
    base::{ErrorKind, Stats},
    cluster::host::HealthFlags,
    discovery::{Endpoint, Update},
    http::Body,
    testkit::{self, ScriptedDns},
};

/// What a host does when it is checked.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Serve,
    NotServing,
    Refuse,
    Silent,
}

/// Hosts by port, serving unless told otherwise.
#[derive(Clone)]
pub(super) struct World {
    pub(super) begin: Instant,
    acts: Arc<Mutex<HashMap<u16, Act>>>,
    checks: Arc<Mutex<Vec<(u64, u16)>>>,
    pub(super) dns: ScriptedDns,
    pub(super) stats: Stats,
    pub(super) traffic: TrafficFlag,
}

impl World {
    /// A cluster that already had traffic.
    pub(super) fn new() -> Self {
        let traffic = TrafficFlag::new();
        traffic.mark();
        Self { traffic, ..Self::without_traffic() }
    }

    pub(super) fn without_traffic() -> Self {
        Self {
            begin: Instant::now(),
            acts: Arc::default(),
            checks: Arc::default(),
            dns: ScriptedDns::new(),
            stats: Stats::new(),
            traffic: TrafficFlag::new(),
        }
    }

    pub(super) fn set(&self, port: u16, act: Act) {
        self.acts.lock().unwrap().insert(port, act);
    }

    /// The seconds at which `port` was checked.
    pub(super) fn checks(&self, port: u16) -> Vec<u64> {
        self.checks.lock().unwrap().iter().filter(|check| check.1 == port).map(|check| check.0).collect()
    }

    /// With nothing to connect to, and names as `dns` says.
    pub(super) fn resources(&self) -> Resources {
        testkit::resources().with_resolver(Arc::new(self.dns.clone())).with_stats(self.stats.clone())
    }

    /// Timeout 1 s, interval 10 s and 60 s without traffic, thresholds 2 and 2: the reference deployment's.
    pub(super) fn start(&self, discover: impl Discover + 'static) -> ControlHandle {
        self.start_with(discover, |_| {})
    }

    pub(super) fn start_with(
        &self,
        discover: impl Discover + 'static,
        change: impl FnOnce(&mut ControlInputs),
    ) -> ControlHandle {
        let mut inputs = ControlInputs {
            name: "c".into(),
            discover: Box::new(discover),
            panic_threshold: 50.0,
            health_checks: vec![
                HealthCheckConfig::grpc(Duration::from_secs(1), Duration::from_secs(10), 2, 2)
                    .no_traffic_interval(Duration::from_secs(60)),
            ],
            ignore_health_on_host_removal: false,
            traffic: self.traffic.clone(),
            immediate_failures: ImmediateFailures::new(),
            connect: Arc::new(self.clone()),
        };
        change(&mut inputs);
        Control::start(inputs, &self.resources()).unwrap()
    }

    /// Waits until `seconds` after the beginning, and for everything that happens then.
    pub(super) async fn at(&self, seconds: u64) {
        tokio::time::sleep_until(self.begin + Duration::from_secs(seconds) + Duration::from_millis(1)).await;
    }

    pub(super) fn counter(&self, name: &str) -> u64 {
        self.stats.counter_value(&format!("cluster.c.{name}")).unwrap()
    }

    pub(super) fn gauge(&self, name: &str) -> i64 {
        self.stats.gauge_value(&format!("cluster.c.{name}")).unwrap()
    }
}

impl ProbeConnect for World {
    fn connect(&self, host: &Arc<Host>) -> BoxFuture<Result<ArcService, Error>> {
        let (world, port) = (self.clone(), host.address().port());
        let service = service_fn(move |_: Request<Body>| {
            world.checks.lock().unwrap().push((world.begin.elapsed().as_secs(), port));
            let act = world.acts.lock().unwrap().get(&port).copied().unwrap_or(Act::Serve);
            async move {
                match act {
                    Act::Serve => Ok(answer(b"\0\0\0\0\x02\x08\x01")),
                    Act::NotServing => Ok(answer(b"\0\0\0\0\x02\x08\x02")),
                    Act::Refuse => Err(Error::new(ErrorKind::UpstreamReset)),
                    Act::Silent => std::future::pending().await,
                }
            }
        });
        Box::pin(std::future::ready(Ok(ArcService::new(service))))
    }
}

fn answer(message: &'static [u8]) -> Response<Body> {
    let ok = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let frames = [Frame::data(Bytes::from_static(message)), Frame::trailers(ok)].map(Ok::<_, Error>);
    let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

/// A discovery whose reports a test sends.
pub(super) struct Feed(mpsc::UnboundedReceiver<Update>);

#[derive(Clone)]
pub(super) struct Feeder(mpsc::UnboundedSender<Update>);

pub(super) fn feed() -> (Feeder, Feed) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Feeder(sender), Feed(receiver))
}

impl Discover for Feed {
    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        self.0.poll_recv(cx)
    }
}

pub(super) fn endpoint(port: u16) -> Endpoint {
    Endpoint { address: address(port), hostname: None, weight: 1 }
}

pub(super) fn address(port: u16) -> SocketAddr {
    ([10, 0, 0, 1], port).into()
}

impl Feeder {
    pub(super) fn hosts(&self, ports: &[u16]) {
        self.endpoints(ports.iter().map(|port| endpoint(*port)).collect());
    }

    pub(super) fn endpoints(&self, endpoints: Vec<Endpoint>) {
        self.0.send(Update::Endpoints(endpoints)).unwrap();
    }

    pub(super) fn fail(&self) {
        self.0.send(Update::Failed("SERVFAIL".into())).unwrap();
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.0.is_closed()
    }
}

/// Ports and health flags of the published set.
pub(super) fn hosts(control: &ControlHandle) -> Vec<(u16, String)> {
    let set = control.hosts().load();
    set.hosts().iter().map(|host| (host.address().port(), host.health().to_string())).collect()
}

/// The flags of one host of the published set.
pub(super) fn flags(control: &ControlHandle, port: u16) -> Option<HealthFlags> {
    let set = control.hosts().load();
    set.hosts().iter().find(|host| host.address().port() == port).map(|host| host.health())
}
