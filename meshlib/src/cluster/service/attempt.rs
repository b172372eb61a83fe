//! Attempts: their record, and whether there is another one.

use std::sync::atomic::Ordering;

use http::{Request, StatusCode};
use tokio::time::Instant;

use super::DataPath;
use crate::{
    base::{Error, ErrorKind, RequestInfo, ResponseFlags, Retry, Side, info::Attempt},
    cluster::{
        balance::Picked,
        circuit_breaker::{Limited, Permit},
        host::Host,
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

/// An attempt that waits for its response, on record from the beginning.
///
/// Dropped before anything came, it was cut off: by the route's timeout, which its host answers for, or by a client
/// that went away.
pub(super) struct Attempting<'a> {
    info: &'a RequestInfo,
    host: &'a Host,
    started: Instant,
    over: bool,
}

impl<'a> Attempting<'a> {
    pub(super) fn begin(info: &'a RequestInfo, host: &'a Host) -> Self {
        let started = Instant::now();
        info.update(|record| record.attempts.push(Attempt::new(host.address(), started)));
        Self { info, host, started, over: false }
    }

    /// The response began. Gives the attempt's begin.
    pub(super) fn succeeded(mut self, status: StatusCode) -> Instant {
        self.end(|attempt| attempt.status = Some(status));
        self.started
    }

    pub(super) fn failed(mut self, error: &Error) {
        self.end(|attempt| attempt.error = Some(error.kind()));
        // A limit of ours, or a client that went away, says nothing about the host.
        if error.side() == Side::Upstream && error.kind() != ErrorKind::Overflow {
            self.host.stats().rq_error.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn end(&mut self, result: impl FnOnce(&mut Attempt)) {
        self.over = true;
        self.info.update(|record| {
            if let Some(attempt) = record.attempts.last_mut() {
                attempt.duration = Some(self.started.elapsed());
                result(attempt);
            }
        });
    }
}

impl Drop for Attempting<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if timed_out(self.info, self.host) {
            self.host.stats().rq_error.fetch_add(1, Ordering::Relaxed);
            self.end(|attempt| attempt.error = Some(ErrorKind::RouteTimeout));
        } else {
            self.end(|attempt| attempt.error = Some(ErrorKind::DownstreamTermination));
        }
    }
}

/// Whether the route's timeout ended a request, which is counted on its host then, as Envoy does.
pub(super) fn timed_out(info: &RequestInfo, host: &Host) -> bool {
    let timed_out = info.read(|record| record.flags.contains(ResponseFlags::UPSTREAM_REQUEST_TIMEOUT));
    if timed_out {
        host.stats().rq_timeout.fetch_add(1, Ordering::Relaxed);
    }
    timed_out
}
