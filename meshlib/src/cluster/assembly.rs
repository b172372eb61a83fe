//! A [`Cluster`]: discovery, health checks and a control task on one side, data paths with pools on the other.
//!
//! ```no_run
//! # #[tokio::main]
//! # async fn main() -> Result<(), meshlib::base::Error> {
//! use http::Request;
//! use meshlib::{
//!     base::Resources,
//!     cluster::{Cluster, config::{ClusterConfig, DiscoveryConfig, StaticEndpoint}},
//!     http::Body,
//! };
//! use tower::ServiceExt;
//!
//! let resources = Resources::default();
//! let endpoint = StaticEndpoint { address: "127.0.0.1:8081".parse().unwrap(), weight: 1 };
//! let cluster = Cluster::start(ClusterConfig::new("echo", DiscoveryConfig::Static(vec![endpoint])), &resources)?;
//! let response = cluster.service(&resources).oneshot(Request::get("http://echo/").body(Body::empty()).unwrap()).await?;
//! println!("{}", response.status());
//! # Ok(())
//! # }
//! ```

use std::{fmt, sync::Arc};

use tokio_util::task::AbortOnDropHandle;

use super::{
    config::{ClusterConfig, UpstreamProtocol},
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
    },
    http::{ArcService, Body, HttpService, ResponseFuture, h2, options::Http2Options},
};

/// A cluster that runs. Cloning shares it; its control task and its health checks end with the last clone.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    control: ControlHandle,
    shared: Arc<ClusterShared>,
    _warming: AbortOnDropHandle<()>,
}

impl Cluster {
    /// Starts to resolve and to check, on the ambient runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: gRPC health checks need HTTP/2, or a check cannot be sent as configured.
    pub fn start(config: ClusterConfig, resources: &Resources) -> Result<Self, Error> {
        let connect: Arc<dyn ProbeConnect> = match &config.protocol {
            UpstreamProtocol::Http2(options) => {
                Arc::new(ProbeHttp2 { network: resources.network().clone(), options: *options })
            }
            UpstreamProtocol::Http1 if config.health_checks.is_empty() => Arc::new(refuse),
            UpstreamProtocol::Http1 => {
                let detail = format!("cluster `{}` must speak HTTP/2 for gRPC health checks", config.name);
                return Err(Error::new(ErrorKind::Configuration).with_detail(detail));
            }
        };
        let inputs = ControlInputs::new(&config, connect, resources);
        let (traffic, failures) = (inputs.traffic.clone(), inputs.immediate_failures.clone());
        let control = Control::start(inputs, resources)?;
        let warm_up = WarmUp::new(config.warm_up);
        let (warmed, finished) = (control.warmed(), warm_up.clone());
        let warming = tokio::spawn(async move {
            warmed.await;
            finished.finish();
        });
        let shared = ClusterShared::new(config, control.hosts().clone(), warm_up, traffic, resources)
            .with_immediate_failures(failures);
        Ok(Self(Arc::new(Inner { control, shared: Arc::new(shared), _warming: AbortOnDropHandle::new(warming) })))
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

    /// A data path with pools of its own; its clones share them. One for each worker, or one for an application.
    pub fn service(&self, resources: &Resources) -> ClusterService {
        ClusterService::new(self.0.shared.clone(), resources)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cluster").field(&self.0.shared).finish()
    }
}

fn refuse(_: &Arc<Host>) -> BoxFuture<Result<ArcService, Error>> {
    Box::pin(async { Err(Error::new(ErrorKind::Internal).with_detail("a cluster without health checks was checked")) })
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
            let (client, connection) = h2::client::handshake(io, &options).await?;
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
