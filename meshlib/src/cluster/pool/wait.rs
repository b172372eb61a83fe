//! Requests in line for a connection.

use std::sync::{Arc, atomic::Ordering};

use tokio::{runtime::Handle, sync::oneshot};

use super::{
    super::circuit_breaker::{Limited, Permit},
    HostPool, Lease,
};
use crate::{
    base::{Error, ErrorKind, stats::GaugeGuard},
    cluster::host::Host,
};

/// A place in the line.
pub(super) struct Waiting {
    ticket: u64,
    give: oneshot::Sender<Result<Lease, Error>>,
}

impl Waiting {
    /// Ends the waiting. What nobody takes any more is dropped, and a lease that is dropped goes back.
    pub(super) fn give(self, given: Result<Lease, Error>) {
        drop(self.give.send(given));
    }
}

/// Leaves the line when dropped.
struct Ticket<'a> {
    pool: &'a HostPool,
    number: u64,
    served: bool,
    _permit: Permit,
    _active: GaugeGuard,
}

impl<'a> Ticket<'a> {
    fn new(pool: &'a HostPool, number: u64, permit: Permit) -> Self {
        let stats = pool.context.stats();
        stats.upstream_rq_pending_total.increment();
        pool.host.stats().rq_pending_active.fetch_add(1, Ordering::Relaxed);
        Self { pool, number, served: false, _permit: permit, _active: stats.upstream_rq_pending_active.enter() }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.pool.host.stats().rq_pending_active.fetch_sub(1, Ordering::Relaxed);
        if !self.served {
            self.pool.context.stats().upstream_rq_cancelled.increment();
            self.pool.lock().waiting.retain(|waiting| waiting.ticket != self.number);
        }
    }
}

enum Enqueued {
    Free(Lease),
    Waiting(u64, oneshot::Receiver<Result<Lease, Error>>),
    Refused,
}

impl HostPool {
    /// Waits in line for a connection, and sees to it that one is made. Dropping the future leaves the line; a
    /// connection that is being made is made all the same, for the next.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overflow`] when too many wait already; [`ErrorKind::ConnectFailure`] and
    /// [`ErrorKind::ConnectTimeout`] when no connection could be made.
    pub async fn wait(self: &Arc<Self>) -> Result<Lease, Error> {
        let Some(permit) = self.context.breakers.enter(Limited::PendingRequests) else {
            self.context.stats().upstream_rq_pending_overflow.increment();
            return Err(Error::new(ErrorKind::Overflow)
                .with_detail(format!("too many requests wait for a connection to {}", self.host.address())));
        };
        match self.enqueue() {
            Enqueued::Free(lease) => Ok(lease),
            Enqueued::Refused => Err(refused(&self.host)),
            Enqueued::Waiting(number, given) => {
                let mut ticket = Ticket::new(self, number, permit);
                self.pump();
                let given = given.await;
                ticket.served = true;
                // The line is part of the pool, which this future holds.
                given.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal).with_detail("the line went away")))
            }
        }
    }

    fn enqueue(&self) -> Enqueued {
        let mut state = self.lock();
        if let Some(lease) = state.take() {
            return Enqueued::Free(lease);
        }
        if state.is_refused() {
            return Enqueued::Refused;
        }
        state.runtime = Some(Handle::current());
        let (give, given) = oneshot::channel();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(Waiting { ticket, give });
        Enqueued::Waiting(ticket, given)
    }
}

/// The host's SETTINGS allow no stream.
pub(super) fn refused(host: &Host) -> Error {
    Error::new(ErrorKind::UpstreamRefusedStream).with_detail(format!("host {} takes no streams", host.address()))
}
