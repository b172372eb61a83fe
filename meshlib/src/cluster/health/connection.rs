//! The connection that a prober keeps from one check to the next.

use super::{
    grpc::{self, GrpcCheck},
    result::ProbeResult,
};
use crate::{
    base::{Error, Retry, resources::BoxFuture},
    http::ArcService,
};

/// Makes a connection; the service it gives is one connection to one host.
pub(super) type Connect = Box<dyn FnMut() -> BoxFuture<Result<ArcService, Error>> + Send>;

/// After so many checks in a row without an answer in time, the next one opens a new connection: a peer that vanished
/// without a reset would otherwise be asked in vain until TCP gives up.
const TIMEOUTS_ON_ONE_CONNECTION: u32 = 2;

pub(super) struct Connection {
    connect: Connect,
    reuse: bool,
    kept: Option<ArcService>,
    timeouts: u32,
}

impl Connection {
    pub(super) fn new(connect: Connect, reuse: bool) -> Self {
        Self { connect, reuse, kept: None, timeouts: 0 }
    }

    /// One exchange, on the kept connection if there is one. The peer may have closed that in the meantime, which is
    /// no failure: a request that certainly was not processed there is sent once more on a new connection.
    pub(super) async fn exchange(&mut self, check: &GrpcCheck) -> ProbeResult {
        let (connection, reused) = match &self.kept {
            Some(kept) => (kept.clone(), true),
            None => (self.open().await?, false),
        };
        let response = match connection.call(check.request()).await {
            Err(error) if reused && error.retry() == Retry::NotProcessed => {
                self.kept = None;
                self.open().await?.call(check.request()).await
            }
            other => other,
        };
        grpc::judge(response.map_err(|error| grpc::network(&error))?).await
    }

    async fn open(&mut self) -> Result<ArcService, super::ProbeFailure> {
        let connection = (self.connect)().await.map_err(|error| grpc::network(&error))?;
        self.kept = Some(connection.clone());
        Ok(connection)
    }

    /// Decides whether the connection serves the next check too.
    pub(super) fn settle(&mut self, result: &ProbeResult) {
        let keep = match result {
            Err(failure) if failure.kind() == super::FailureKind::Timeout => {
                self.timeouts += 1;
                self.timeouts < TIMEOUTS_ON_ONE_CONNECTION
            }
            Err(failure) if failure.is_network() => false,
            _ => {
                self.timeouts = 0;
                true
            }
        };
        if !(keep && self.reuse) {
            self.kept = None;
            self.timeouts = 0;
        }
    }
}
