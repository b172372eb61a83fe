//! One proxy that a test starts, and a pair of them.

use std::{net::SocketAddr, path::PathBuf};

use meshlib::{
    base::{Resources, Stats},
    envoy,
    proxy::server::Server,
};
use meshlib_examples::certificate::SelfSigned;
use tempfile::TempDir;

use super::{
    file::File,
    log::{Line, Log},
    within,
};

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Proxy {
    server: Server,
    /// Its files live as long.
    _certificate: Option<SelfSigned>,
    logs: TempDir,
}

impl Proxy {
    /// In plain text.
    pub(crate) async fn start(file: File) -> Self {
        Self::start_on(file, None, Resources::default()).await
    }

    /// Behind TLS.
    pub(crate) async fn start_tls(file: File) -> Self {
        let certificate = SelfSigned::new("localhost").expect("a certificate");
        Self::start_on(file, Some(certificate), Resources::default()).await
    }

    /// On these resources.
    pub(crate) async fn start_on(file: File, certificate: Option<SelfSigned>, resources: Resources) -> Self {
        let logs = tempfile::Builder::new().prefix("meshlib-logs-").tempdir().expect("a directory");
        let text = file.text(certificate.as_ref(), &logs.path().join("access.log"));
        let loaded = envoy::load("test.yaml", &text).unwrap_or_else(|errors| panic!("{errors}"));
        let server = within("the proxy starts", Server::start(loaded.config, resources)).await;
        Self { server: server.expect("the proxy starts"), _certificate: certificate, logs }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.local_addrs().next().expect("a listener")
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn stats(&self) -> &Stats {
        self.server.resources().stats()
    }

    /// The value of a counter; 0 where there is none yet.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.stats().counter_value(name).unwrap_or_default()
    }

    /// The value of a gauge.
    pub(crate) fn gauge(&self, name: &str) -> i64 {
        self.stats().gauge_value(name).unwrap_or_else(|| panic!("there is no gauge {name}"))
    }

    /// Its access log.
    pub(crate) fn log(&self) -> Log {
        Log::new(self.log_path())
    }

    fn log_path(&self) -> PathBuf {
        self.logs.path().join("access.log")
    }
}

/// An edge with TLS in front of a sidecar in front of these applications.
pub(crate) struct Chain {
    pub(crate) edge: Proxy,
    pub(crate) sidecar: Proxy,
}

impl Chain {
    /// Both proxies with the same settings.
    pub(crate) async fn start(app: SocketAddr, settings: impl Fn(File) -> File) -> Self {
        let sidecar = Proxy::start(settings(File::to([app]))).await;
        let edge = Proxy::start_tls(settings(File::to([sidecar.address()]))).await;
        Self { edge, sidecar }
    }

    /// The only line of each log.
    pub(crate) async fn log_lines(&self) -> (Line, Line) {
        (self.edge.log().line().await, self.sidecar.log().line().await)
    }
}
