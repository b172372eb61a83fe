//! Asks one host again and again, on the schedule of its health check.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use tokio::time::{Instant, sleep_until, timeout};
use tower_service::Service;

use super::{
    connection::Connection,
    custom::CustomCheck,
    grpc::GrpcCheck,
    result::{FailureKind, ProbeFailure, ProbeResult},
    stats::HealthCheckStats,
};
use crate::{
    base::{BoxError, Error, ErrorKind, resources::BoxFuture},
    cluster::{
        config::{HealthCheckConfig, HealthCheckKind},
        host::Host,
    },
    http::{ArcService, Body},
};

/// No interval is shorter: a configured zero must not spin.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Whether a cluster has ever opened a connection for a request. Cloning shares the flag.
#[derive(Clone, Debug, Default)]
pub struct TrafficFlag(Arc<AtomicBool>);

impl TrafficFlag {
    /// No connection yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection was opened. Costs a load once it is set.
    pub fn mark(&self) {
        if !self.seen() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there was ever a connection.
    pub fn seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Debug)]
enum Question {
    Grpc(GrpcCheck),
    Custom(CustomCheck),
}

/// How one host is asked.
enum Way {
    Grpc(GrpcCheck, Connection),
    Custom(CustomCheck, Arc<Host>),
}

/// A health check, prepared once for all hosts of a cluster.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Check {
    question: Question,
    timeout: Duration,
    interval: Duration,
    no_traffic_interval: Duration,
    reuse_connection: bool,
}

impl Check {
    /// `authority` is what the check asks for when its configuration names none: the cluster's name.
    pub(in crate::cluster) fn new(config: &HealthCheckConfig, authority: &str) -> Result<Self, Error> {
        let question = match &config.check {
            HealthCheckKind::Grpc { service_name, authority: own } => {
                Question::Grpc(GrpcCheck::new(service_name, own.as_deref().unwrap_or(authority), config.timeout)?)
            }
            HealthCheckKind::Custom(check) => Question::Custom(check.clone()),
        };
        Ok(Self::timed(config, question))
    }

    fn timed(config: &HealthCheckConfig, question: Question) -> Self {
        Self {
            question,
            timeout: config.timeout,
            interval: config.interval.max(MIN_INTERVAL),
            no_traffic_interval: config.no_traffic_interval.max(MIN_INTERVAL),
            reuse_connection: config.reuse_connection,
        }
    }

    /// Asks `host`, over what `connect` connects to where the check needs that.
    pub(in crate::cluster) fn prober(
        &self,
        host: &Arc<Host>,
        connect: impl FnMut() -> BoxFuture<Result<ArcService, Error>> + Send + 'static,
    ) -> Prober {
        let way = match &self.question {
            Question::Grpc(question) => {
                Way::Grpc(question.clone(), Connection::new(Box::new(connect), self.reuse_connection))
            }
            Question::Custom(check) => Way::Custom(check.clone(), host.clone()),
        };
        Prober { check: self.clone(), way, traffic: None, stats: None, due: None }
    }
}

/// Probes one host. Results come from [`next`](Self::next), the first one at once, each other an interval after the
/// end of the one before.
///
/// A check fails after the configured timeout, connecting included; its stream is reset then and the connection kept.
/// A connection is given up after a failure of the network, or when two checks in a row had no answer in time.
pub struct Prober {
    check: Check,
    way: Way,
    traffic: Option<TrafficFlag>,
    stats: Option<HealthCheckStats>,
    due: Option<Instant>,
}

impl Prober {
    /// Probes a service. `authority` is the `:authority` of the check where `config` names none.
    ///
    /// # Errors
    /// The authority cannot be sent, or the check is one of the application's own, which
    /// [`custom`](Self::custom) is for ([`Configuration`](ErrorKind::Configuration)).
    pub fn new<S, B>(service: S, config: &HealthCheckConfig, authority: &str) -> Result<Self, Error>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = ArcService::new(service);
        Self::connecting(move || Box::pin(std::future::ready(Ok(service.clone()))), config, authority)
    }

    /// Probes what `connect` connects to. Each service it gives is one connection, which ends with its last clone.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn connecting(
        connect: impl FnMut() -> BoxFuture<Result<ArcService, Error>> + Send + 'static,
        config: &HealthCheckConfig,
        authority: &str,
    ) -> Result<Self, Error> {
        let check = Check::new(config, authority)?;
        let Question::Grpc(question) = &check.question else {
            let detail = "a check of the application's own asks a host, not a service: `Prober::custom`";
            return Err(Error::new(ErrorKind::Configuration).with_detail(detail));
        };
        let way = Way::Grpc(question.clone(), Connection::new(Box::new(connect), check.reuse_connection));
        Ok(Self { check, way, traffic: None, stats: None, due: None })
    }

    /// Probes a host by the application's own check, on the schedule of `config`, whatever that one asks.
    pub fn custom(host: Arc<Host>, check: CustomCheck, config: &HealthCheckConfig) -> Self {
        let way = Way::Custom(check.clone(), host);
        Self { check: Check::timed(config, Question::Custom(check)), way, traffic: None, stats: None, due: None }
    }

    /// Checks at `no_traffic_interval` until `traffic` was seen. A wait that has begun is not cut short by it.
    #[must_use]
    pub fn with_traffic(mut self, traffic: TrafficFlag) -> Self {
        self.traffic = Some(traffic);
        self
    }

    /// Counts into these stats.
    #[must_use]
    pub fn with_stats(mut self, stats: HealthCheckStats) -> Self {
        self.stats = Some(stats);
        self
    }

    /// Waits until the next check is due, and checks. Dropped while waiting nothing is lost; dropped while checking,
    /// the next call checks at once.
    ///
    /// # Errors
    /// The check failed: that is the result, and the next one comes.
    pub async fn next(&mut self) -> ProbeResult {
        if let Some(due) = self.due {
            sleep_until(due).await;
        }
        if let Some(stats) = &self.stats {
            stats.begin();
        }
        let result = self.ask().await;
        if let Way::Grpc(_, connection) = &mut self.way {
            connection.settle(&result);
        }
        if let Some(stats) = &self.stats {
            stats.end(&result);
        }
        let now = Instant::now();
        self.due = Some(now.checked_add(self.interval()).unwrap_or(now + Duration::from_secs(86_400)));
        result
    }

    async fn ask(&mut self) -> ProbeResult {
        let failed = |kind, reason: &'static str| Err(ProbeFailure::new(kind, reason));
        // A check that panicked and was not asked again would leave its host as it is for ever.
        match timeout(self.check.timeout, AssertUnwindSafe(self.way.ask()).catch_unwind()).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => failed(FailureKind::Network, "the check panicked"),
            Err(_) => failed(FailureKind::Timeout, "no answer in time"),
        }
    }

    /// Checks for ever, and reports each result.
    pub async fn run(mut self, mut report: impl FnMut(ProbeResult)) {
        loop {
            report(self.next().await);
        }
    }

    fn interval(&self) -> Duration {
        match &self.traffic {
            Some(traffic) if !traffic.seen() => self.check.no_traffic_interval,
            _ => self.check.interval,
        }
    }
}

impl Way {
    async fn ask(&mut self) -> ProbeResult {
        match self {
            Self::Grpc(question, connection) => connection.exchange(question).await,
            Self::Custom(check, host) => check.ask(host).await,
        }
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").field("check", &self.check).field("due", &self.due).finish_non_exhaustive()
    }
}
