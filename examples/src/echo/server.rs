//! The echo application as a value: start, look at, disturb, stop.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::connection::incoming;
use super::service::{Application, Service};
use crate::proto;
use crate::proto::echo_server::EchoServer as EchoService;
use crate::proto::stream_echo_server::StreamEchoServer as StreamEchoService;

/// The names whose health is reported: the whole server, and each service.
const HEALTH_NAMES: [&str; 3] = ["", "api.Echo", "api.StreamEcho"];

/// A running echo application. Dropping it is the same as [`kill`](Self::kill).
#[derive(Debug)]
pub struct EchoServer {
    address: SocketAddr,
    application: Arc<Application>,
    accepted: Arc<AtomicU64>,
    health: HealthReporter,
    /// `true` ends accepting and lets the calls in flight finish.
    stop: watch::Sender<bool>,
    /// `true` resets every connection.
    cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl EchoServer {
    /// Listens on `address` (port 0: the system chooses) and serves on the current runtime. `hostname` is what the
    /// answers carry. The health is SERVING from the start.
    ///
    /// # Errors
    /// When the address cannot be bound, or when `hostname` cannot be sent as a header value.
    pub async fn start(address: SocketAddr, hostname: &str) -> io::Result<Self> {
        Self::start_on(TcpListener::bind(address).await?, hostname).await
    }

    /// As [`start`](Self::start), on a socket that listens already.
    ///
    /// # Errors
    /// When `hostname` cannot be sent as a header value, or the socket has no address.
    pub async fn start_on(listener: TcpListener, hostname: &str) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let application = Arc::new(Application::new(hostname)?);
        let accepted = Arc::new(AtomicU64::new(0));
        let health = HealthReporter::new();
        let (stop, mut stopped) = watch::channel(false);
        let (cut, cut_receiver) = watch::channel(false);
        let router = router(&application, &health).map_err(io::Error::other)?;
        let connections = incoming(listener, cut_receiver, Arc::clone(&accepted));
        let task = tokio::spawn(async move {
            let stopped = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            // It can fail only by its incoming connections, which never do.
            let _ = router.serve_with_incoming_shutdown(connections, stopped).await;
        });
        let server = Self { address, application, accepted, health, stop, cut, task };
        server.set_serving(true).await;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many calls of `api.Echo` and `api.StreamEcho` have arrived, failed ones included; health checks are not
    /// counted.
    pub fn calls(&self) -> u64 {
        self.application.calls()
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// What health checks are told from now on, for the server as a whole and for each service: SERVING or
    /// NOT_SERVING. Calls are answered either way.
    pub async fn set_serving(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in HEALTH_NAMES {
            self.health.set_service_status(name, status).await;
        }
    }

    /// How long `api.Echo` waits before it answers. Default zero.
    pub fn set_delay(&self, delay: Duration) {
        self.application.set_delay(delay);
    }

    /// Makes `api.Echo` fail with this status, or answer again. Default `None`.
    pub fn set_failure(&self, failure: Option<Code>) {
        self.application.set_failure(failure);
    }

    /// Stops accepting, tells the peers (GOAWAY) and waits until the calls in flight have ended. After `limit` it
    /// cuts what is left. Returns whether everything ended by itself.
    pub async fn stop(mut self, limit: Duration) -> bool {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(limit, &mut self.task).await.is_ok();
        self.cut.send_replace(true);
        ended
    }

    /// Dies: the port is closed and every connection is reset before this returns or shortly after. Calls in flight
    /// get no answer.
    pub async fn kill(mut self) {
        self.cut.send_replace(true);
        self.task.abort();
        // The listener lives in the task: wait until it is gone, so that the port refuses from now on.
        let _ = (&mut self.task).await;
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.cut.send_replace(true);
        self.task.abort();
    }
}

/// All services of the application on one tonic router.
fn router(application: &Arc<Application>, health: &HealthReporter) -> Result<Router, Box<dyn Error + Send + Sync>> {
    let service = Service(Arc::clone(application));
    let health = tonic_health::server::HealthService::from_health_reporter(health.clone());
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(Server::builder()
        .add_service(EchoService::new(service.clone()))
        .add_service(StreamEchoService::new(service))
        .add_service(tonic_health::pb::health_server::HealthServer::new(health))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
}
