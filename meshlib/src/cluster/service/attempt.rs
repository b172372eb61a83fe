//! Attempts: their record, and whether there is another one.

use std::sync::atomic::Ordering;

use http::{Request, StatusCode};
use tokio::time::Instant;

use super::DataPath;
use crate::{
    base::{Error, ErrorKind, RequestInfo, Retry, Side, info::Attempt},
    cluster::{
        balance::Picked,
        circuit_breaker::{Limited, Permit},
        pool::HostPool,
    },
    http::{Body, Failed},
};

/// How often a request that was certainly not processed is sent again.
const MAX_RETRIES: usize = 3;
/// How many connections a request may lose that way.
const MAX_LOST: usize = 10;
/// How many hosts are tried when connecting fails.
const MAX_CONNECTS: usize = 16;

/// What was tried for one request so far.
#[derive(Default)]
pub(super) struct Attempts {
    retries: usize,
    /// Connections that ended before the request was looked at.
    lost: usize,
    /// Held from the second retry to the end of the last.
    retrying: Option<Permit>,
    /// Hosts that could not be connected to.
    unconnected: Vec<usize>,
}

/// What follows a failed attempt.
#[expect(clippy::large_enum_variant, reason = "lives for one match")]
pub(super) enum Next {
    /// The request is tried again.
    Again(Request<Body>),
    /// It failed.
    GiveUp(Error),
}

impl Attempts {
    pub(super) fn tried(&self) -> &[usize] {
        &self.unconnected
    }

    /// Only what was certainly not processed is tried again: here without being asked, all else by a retry policy. A
    /// failed connect goes to the next host where the cluster says so, and to the client where it does not.
    pub(super) fn after(
        &mut self,
        path: &DataPath,
        picked: &Picked<HostPool>,
        failed: Failed,
        connection_ended: bool,
    ) -> Next {
        let Failed { error, request: Some(request) } = failed else {
            return Next::GiveUp(failed.error);
        };
        let again = match error.kind() {
            ErrorKind::ConnectFailure | ErrorKind::ConnectTimeout => self.next_host(path, picked),
            ErrorKind::UpstreamConnectionTermination if error.retry() == Retry::NotProcessed => {
                self.replace_connection(path)
            }
            _ if error.retry() == Retry::NotProcessed && connection_ended => self.replace_connection(path),
            _ if error.retry() == Retry::NotProcessed => self.retry(path),
            _ => false,
        };
        if again { Next::Again(request) } else { Next::GiveUp(error) }
    }

    fn next_host(&mut self, path: &DataPath, picked: &Picked<HostPool>) -> bool {
        self.unconnected.push(picked.index());
        path.shared.config().connect_failover && self.unconnected.len() < picked.eligible().min(MAX_CONNECTS)
    }

    /// The connection ended under requests that its host never looked at: after a GOAWAY, or while idle. They come back
    /// all at once, and none of them may be lost; a new connection bounds how fast.
    fn replace_connection(&mut self, path: &DataPath) -> bool {
        self.lost += 1;
        let allowed = self.lost <= MAX_LOST;
        if allowed {
            path.stats().upstream_rq_retry.increment();
        }
        allowed
    }

    fn retry(&mut self, path: &DataPath) -> bool {
        self.retries += 1;
        if self.retries > MAX_RETRIES {
            return false;
        }
        // The first one needs no place among the retries: a host that refuses for a moment costs nothing.
        let first = self.retries == 1;
        if !first && self.retrying.is_none() {
            self.retrying = path.shared.circuit_breakers().enter(Limited::Retries);
        }
        let allowed = first || self.retrying.is_some();
        let stats = path.stats();
        if allowed { &stats.upstream_rq_retry } else { &stats.upstream_rq_retry_overflow }.increment();
        allowed
    }
}

/// Notes that an attempt begins.
pub(super) fn begin(info: &RequestInfo, picked: &Picked<HostPool>) -> Instant {
    let started = Instant::now();
    info.update(|record| record.attempts.push(Attempt::new(picked.host().address(), started)));
    started
}

/// Notes an attempt's response.
pub(super) fn succeeded(info: &RequestInfo, started: Instant, status: StatusCode) {
    info.update(|record| {
        if let Some(attempt) = record.attempts.last_mut() {
            attempt.duration = Some(started.elapsed());
            attempt.status = Some(status);
        }
    });
}

/// Notes an attempt's failure.
pub(super) fn failed(info: &RequestInfo, started: Instant, picked: &Picked<HostPool>, error: &Error) {
    info.update(|record| {
        if let Some(attempt) = record.attempts.last_mut() {
            attempt.duration = Some(started.elapsed());
            attempt.error = Some(error.kind());
        }
    });
    // A limit of ours, or a client that went away, says nothing about the host.
    if error.side() == Side::Upstream && error.kind() != ErrorKind::Overflow {
        picked.host().stats().rq_error.fetch_add(1, Ordering::Relaxed);
    }
}
