//! A request from its response's head to the end of its response's body.

use std::sync::{Arc, atomic::Ordering};

use http::Response;
use tokio::time::Instant;

use super::{DataPath, attempt::timed_out};
use crate::{
    base::{Error, RequestInfo, Side},
    cluster::{circuit_breaker::Limited, pool::Lease},
    http::{
        Body,
        body_guard::{self, BodyEnd, BodyGuard},
        grpc,
    },
};

/// A place among the cluster's requests, until dropped.
pub(super) struct Admitted(Arc<DataPath>);

impl Admitted {
    /// The place has been taken already.
    pub(super) fn new(path: Arc<DataPath>) -> Self {
        Self(path)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.shared.circuit_breakers().lower(Limited::Requests);
    }
}

/// Holds connection and place until the response's body has ended or is dropped.
pub(super) struct InFlight {
    lease: Lease,
    admitted: Admitted,
    info: RequestInfo,
    started: Instant,
    grpc: bool,
    /// Whether the outcome is counted on the host.
    judged: bool,
    timed: bool,
}

impl InFlight {
    pub(super) fn new(lease: Lease, admitted: Admitted, info: RequestInfo, started: Instant, grpc: bool) -> Self {
        Self { lease, admitted, info, started, grpc, judged: false, timed: false }
    }

    /// The response, which keeps this until its body's end.
    pub(super) fn guard(mut self, response: Response<Body>) -> Response<Body> {
        let (head, body) = response.into_parts();
        if !self.grpc || head.status.as_u16() >= 500 {
            self.judge(head.status.as_u16() < 500);
        } else if let Some(code) = grpc::code_in(&head.headers) {
            self.judge(!is_server_error(code));
        }
        Response::from_parts(head, body_guard::guard(body, self))
    }

    /// Counts the outcome on the host, once.
    fn judge(&mut self, success: bool) {
        if std::mem::replace(&mut self.judged, true) {
            return;
        }
        let stats = self.lease.host().stats();
        if success { &stats.rq_success } else { &stats.rq_error }.fetch_add(1, Ordering::Relaxed);
    }

    fn time(&mut self, now: Instant) {
        if std::mem::replace(&mut self.timed, true) {
            return;
        }
        let elapsed = now.saturating_duration_since(self.started);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.admitted.0.stats().upstream_rq_time.record(millis);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // What ended has been timed. The rest was cut off: the host's matter only if it took too long.
        if !self.timed {
            timed_out(&self.info, self.lease.host());
        }
    }
}

impl BodyGuard for InFlight {
    fn ended(&mut self, end: BodyEnd<'_>) {
        let now = Instant::now();
        self.time(now);
        match end {
            BodyEnd::Complete(trailers) => {
                // A gRPC response without a status has failed.
                let code = trailers.and_then(grpc::code_in);
                self.judge(!self.grpc || code.is_some_and(|code| !is_server_error(code)));
                self.lease.finish_at(now, true);
            }
            BodyEnd::Failed(error) => {
                self.info.update(|record| {
                    record.flags |= error.flags();
                    if let Some(attempt) = record.attempts.last_mut() {
                        attempt.error = Some(error.kind());
                    }
                });
                // As Envoy counts: the head was a success, the rest is an error. A client that broke off its upload says
                // nothing about the host.
                if error.side() == Side::Upstream {
                    self.judged = false;
                    self.judge(false);
                }
                self.lease.finish_at(now, false);
            }
        }
    }

    fn explain(&mut self, error: Error) -> Error {
        error.with_info(self.info.clone())
    }
}

/// Codes that Envoy maps to 5xx: DEADLINE_EXCEEDED, UNIMPLEMENTED, UNAVAILABLE, INTERNAL, UNKNOWN, DATA_LOSS.
fn is_server_error(code: grpc::Code) -> bool {
    matches!(code.0, 2 | 4 | 12 | 13 | 14 | 15)
}
