//! A [`Cluster`]: discovery, health checks and a control task on one side, data paths with pools on the other.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use http::Request;
//! use meshlib::{base::RequestInfo, cluster::{Cluster, config::HealthCheckConfig}, http::Body};
//! use tower::ServiceExt;
//!
//! # use meshlib::testkit::{App, Testkit};
//! # let kit = Testkit::seeded(1);
//! # kit.dns.set("echo.default.svc.cluster.local", ["10.0.0.1".parse()?]);
//! # let _app = App::new("pod-1").serve(&kit.network, "10.0.0.1:8786".parse()?)?;
//! # let resources = kit.resources.clone();
//! let second = Duration::from_secs(1);
//! let cluster = Cluster::builder("echo-grpc")
//!     .strict_dns("echo.default.svc.cluster.local", 8786)
//!     .http2()
//!     .round_robin()
//!     .health_check(HealthCheckConfig::grpc(second, 10 * second, 2, 2))
//!     .connect_timeout(second / 2)
//!     .build(&resources)?; // `Resources::default()`: the operating system's
//!
//! let response = cluster.service().oneshot(Request::post("/api.Echo/Echo").body(Body::empty())?).await?;
//! assert_eq!(response.status(), 200);
//! let host = RequestInfo::of(response.extensions()).and_then(RequestInfo::upstream_host);
//! assert_eq!(host, "10.0.0.1:8786".parse().ok());
//! # Ok(())
//! # }
//! ```
//!
//! [`Cluster::builder`] says all that a [`ClusterConfig`] can, and starts it; [`Cluster::start`] takes the value itself.

use std::{fmt, sync::Arc};

use tokio::runtime::Handle;

use super::{
    builder::{ClusterBuilder, NoDiscovery},
    config::{ClusterConfig, HealthCheckConfig, HealthCheckKind, UpstreamProtocol},
    control::{Control, ControlHandle, ControlInputs, ProbeConnect},
    host::Host,
    host_set::HostSetCell,
    service::ClusterService,
    shared::ClusterShared,
    warm_up::WarmUp,
};
use crate::{
    base::{
        Error, ErrorKind, Resources,
        resources::{BoxFuture, Network},
        task::AbortOnDropHandle,
    },
    http::{ArcService, Body, HttpService, ResponseFuture, h2, options::Http2Options},
};

/// A cluster that runs. Cloning shares it; its control task and its health checks end with the last clone and the last
/// data path.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    control: ControlHandle,
    shared: Arc<ClusterShared>,
    resources: Resources,
    _warming: AbortOnDropHandle<()>,
}

impl Cluster {
    /// Says what a cluster is, step by step, and starts it.
    pub fn builder(name: impl Into<Arc<str>>) -> ClusterBuilder<NoDiscovery> {
        ClusterBuilder::new(name)
    }

    /// Starts to resolve and to check, on the ambient runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: gRPC health checks need HTTP/2, a check cannot be sent as configured, the
    /// discovery feeds another cluster already, or there is no tokio runtime here.
    pub fn start(config: ClusterConfig, resources: &Resources) -> Result<Self, Error> {
        let wrong =
            |what: &str| Error::new(ErrorKind::Configuration).with_detail(format!("cluster `{}` {what}", config.name));
        Handle::try_current().map_err(|_| wrong("must be started on a tokio runtime"))?;
        let asks_grpc = |check: &HealthCheckConfig| matches!(check.check, HealthCheckKind::Grpc { .. });
        let connect: Arc<dyn ProbeConnect> = match &config.protocol {
            UpstreamProtocol::Http2(options) => {
                Arc::new(ProbeHttp2 { network: resources.network().clone(), options: *options })
            }
            UpstreamProtocol::Http1 if !config.health_checks.iter().any(asks_grpc) => Arc::new(refuse),
            UpstreamProtocol::Http1 => return Err(wrong("must speak HTTP/2 for gRPC health checks")),
        };
        let inputs = ControlInputs::new(&config, connect, resources)?;
        let (traffic, failures) = (inputs.traffic.clone(), inputs.immediate_failures.clone());
        let control = Control::start(inputs, resources)?;
        let warm_up = WarmUp::new(config.warm_up);
        let (warmed, finished) = (control.warmed(), warm_up.clone());
        let warming = AbortOnDropHandle::spawn(async move {
            warmed.await;
            finished.finish();
        });
        let shared = ClusterShared::new(config, control.hosts().clone(), warm_up, traffic, resources)
            .with_immediate_failures(failures);
        let (shared, resources) = (Arc::new(shared), resources.clone());
        Ok(Self(Arc::new(Inner { control, shared, resources, _warming: warming })))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config().name
    }

    /// What it was started with.
    pub fn config(&self) -> &ClusterConfig {
        self.0.shared.config()
    }

    /// Where its hosts are published.
    pub fn hosts(&self) -> &HostSetCell {
        self.0.control.hosts()
    }

    /// Waits until the first resolution and the first round of checks are through, or have failed.
    pub async fn warmed(&self) {
        self.0.control.warmed().await;
    }

    /// A data path with pools of its own; its clones share them, and keep the cluster running. One for an application,
    /// to be cloned; or one for each thread that has a runtime of its own.
    pub fn service(&self) -> ClusterService {
        ClusterService::of(self.clone(), self.0.shared.clone(), &self.0.resources)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cluster").field(&self.0.shared).finish()
    }
}

fn refuse(_: &Arc<Host>) -> BoxFuture<Result<ArcService, Error>> {
    Box::pin(async { Err(Error::new(ErrorKind::Internal).with_detail("a check without a question was asked")) })
}

/// Health checks over HTTP/2, on connections of their own as Envoy's are.
struct ProbeHttp2 {
    network: Arc<dyn Network>,
    options: Http2Options,
}

impl ProbeConnect for ProbeHttp2 {
    fn connect(&self, host: &Arc<Host>) -> BoxFuture<Result<ArcService, Error>> {
        let (address, options, connecting) = (host.address(), self.options, self.network.connect(host.address()));
        Box::pin(async move {
            let failed = |error| {
                let detail = format!("health check: cannot connect to {address}");
                Error::new(ErrorKind::ConnectFailure).with_detail(detail).with_source(error)
            };
            let io = connecting.await.map_err(failed)?;
            let (client, connection) = h2::client::handshake(io, &options);
            // It ends with the last handle or with the host's side, whichever is first.
            tokio::spawn(connection);
            Ok(ArcService::from_http_service(Probed(client)))
        })
    }
}

struct Probed(h2::client::H2Client);

impl HttpService for Probed {
    fn call(&self, request: http::Request<Body>) -> ResponseFuture {
        let exchange = self.0.exchange(request);
        Box::pin(async move { exchange.await.map_err(|failed| failed.error) })
    }
}
