//! A request's hold on a connection.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::Either;
use http::{Request, Response};
use tokio::{runtime::Handle, time::Instant};

use super::{HostPool, PoolContext};
use crate::{
    base::{Error, ErrorKind},
    cluster::host::Host,
    http::{Body, Failed, h1::client::H1Client, h2::client::H2Client},
};

/// What the requests of one connection share. A lease clones this one reference, which no other worker has.
pub(super) struct Link {
    pool: Weak<HostPool>,
    host: Arc<Host>,
    context: Arc<PoolContext>,
    opened: Instant,
    /// When the last request was done, in milliseconds since `opened`.
    last_used: AtomicU64,
    /// Leases that have not begun their exchange yet.
    reserved: AtomicUsize,
    h2: Option<H2Client>,
}

impl Link {
    pub(super) fn new(pool: &Arc<HostPool>, h2: Option<H2Client>) -> Arc<Self> {
        Arc::new(Self {
            pool: Arc::downgrade(pool),
            host: pool.host.clone(),
            context: pool.context.clone(),
            opened: Instant::now(),
            last_used: AtomicU64::new(0),
            reserved: AtomicUsize::new(0),
            h2,
        })
    }

    pub(super) fn h2(&self) -> Option<&H2Client> {
        self.h2.as_ref()
    }

    pub(super) fn last_used(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_used.load(Ordering::Relaxed))
    }

    fn touch(&self, now: Instant) {
        let age = now.saturating_duration_since(self.opened).as_millis();
        let age = u64::try_from(age).unwrap_or(u64::MAX);
        self.last_used.store(age, Ordering::Relaxed);
    }

    fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Whether another stream may be opened. Before the host has said how many it takes, one is: a guess would be
    /// refused where it is too high.
    pub(super) fn has_room(&self) -> bool {
        self.h2.as_ref().is_some_and(|h2| {
            let available = h2.available_streams();
            available > self.reserved() && (h2.is_settled() || h2.active_streams() + self.reserved() == 0)
        })
    }

    pub(super) fn is_unsettled(&self) -> bool {
        self.h2.as_ref().is_some_and(|h2| !h2.is_settled() && !h2.is_closed())
    }

    pub(super) fn is_unused(&self) -> bool {
        self.h2.as_ref().is_none_or(|h2| h2.active_streams() + self.reserved() == 0)
    }

    /// How many streams the host takes.
    pub(super) fn streams(&self) -> usize {
        self.h2.as_ref().map_or(1, H2Client::max_streams)
    }

    pub(super) fn takes_nothing(&self) -> bool {
        self.h2.as_ref().is_some_and(|h2| h2.is_settled() && !h2.is_closed() && self.streams() == 0)
    }
}

/// A connection with room for a request.
pub(super) struct Connected {
    pub(super) link: Arc<Link>,
    pub(super) h1: Option<H1Client>,
}

/// One request's hold on a connection: an HTTP/1.1 connection, or a place for a stream on an HTTP/2 one.
///
/// Dropping it before [`finish`](Self::finish) closes an HTTP/1.1 connection that was used; on HTTP/2 the end of the
/// exchange or of the response's body resets the stream by itself.
pub struct Lease {
    link: Arc<Link>,
    h1: Option<H1Client>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent.
    Reserved,
    /// A request is under way.
    Busy,
    /// The exchange is over.
    Done,
}

impl Lease {
    pub(super) fn new(Connected { link, h1 }: Connected) -> Self {
        link.reserved.fetch_add(1, Ordering::Relaxed);
        Self { link, h1, stage: Stage::Reserved }
    }

    /// The host at the other end.
    pub fn host(&self) -> &Arc<Host> {
        &self.link.host
    }

    /// Sends a request and waits for the response's head; see [`H1Client::exchange`] and [`H2Client::exchange`].
    pub fn exchange(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, Failed>> + Send + use<> {
        self.begin();
        let exchange = match (&self.link.h2, &mut self.h1) {
            (Some(h2), _) => Either::Left(h2.exchange(request)),
            (None, Some(h1)) => Either::Right(Either::Left(h1.exchange(request))),
            (None, None) => {
                let error = Error::new(ErrorKind::Internal).with_detail("the lease of a connection was used twice");
                Either::Right(Either::Right(std::future::ready(Err(error.into()))))
            }
        };
        // The stream counts for itself from here on.
        self.link.reserved.fetch_sub(1, Ordering::Relaxed);
        exchange
    }

    /// Whether the connection takes no more requests.
    pub fn has_ended(&self) -> bool {
        match (&self.link.h2, &self.h1) {
            (Some(h2), _) => h2.is_closed(),
            (None, Some(h1)) => h1.is_closed(),
            (None, None) => true,
        }
    }

    fn begin(&mut self) {
        if self.stage != Stage::Reserved {
            // A second exchange on one lease: the first one is given up.
            self.finish(false);
            self.link.reserved.fetch_add(1, Ordering::Relaxed);
        }
        self.stage = Stage::Busy;
        let (stats, host) = (self.link.context.stats(), self.link.host.stats());
        stats.upstream_rq_total.increment();
        stats.upstream_rq_active.add(1);
        host.rq_total.fetch_add(1, Ordering::Relaxed);
        host.rq_active.fetch_add(1, Ordering::Relaxed);
    }

    /// The exchange is over, the response's body included. `reuse`: it went to its end, so that an HTTP/1.1 connection
    /// can take another request.
    pub fn finish(&mut self, reuse: bool) {
        if self.stage == Stage::Busy {
            self.finish_at(Instant::now(), reuse);
        }
    }

    /// The same, where the time is known.
    pub(in crate::cluster) fn finish_at(&mut self, now: Instant, reuse: bool) {
        if self.stage != Stage::Busy {
            return;
        }
        self.stage = Stage::Done;
        self.link.context.stats().upstream_rq_active.add(-1);
        self.link.host.stats().rq_active.fetch_sub(1, Ordering::Relaxed);
        self.link.touch(now);
        if let Some(h1) = self.h1.take().filter(|_| reuse) {
            give_back(Connected { link: self.link.clone(), h1: Some(h1) });
        }
    }
}

/// Gives an HTTP/1.1 connection back to its pool, once it is ready for another request.
fn give_back(mut connected: Connected) {
    let Some(pool) = connected.link.pool.upgrade() else { return };
    match &mut connected.h1 {
        Some(h1) if h1.is_ready() => pool.offer(connected),
        // The response ended before the upload did, or another thread is about to see the end. Whichever it is, nobody
        // may wait for it longer than an idle connection is kept.
        Some(h1) if !h1.is_closed() => {
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(give_back_later(connected, pool.context.idle_timeout));
            }
        }
        _ => {}
    }
}

async fn give_back_later(mut connected: Connected, limit: Duration) {
    let ready = async {
        match &mut connected.h1 {
            Some(h1) => h1.ready().await,
            None => false,
        }
    };
    let ready = if limit.is_zero() { Ok(ready.await) } else { tokio::time::timeout(limit, ready).await };
    if let (Ok(true), Some(pool)) = (ready, connected.link.pool.upgrade()) {
        pool.offer(connected);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.stage == Stage::Reserved {
            self.link.reserved.fetch_sub(1, Ordering::Relaxed);
            if let Some(h1) = self.h1.take() {
                give_back(Connected { link: self.link.clone(), h1: Some(h1) });
            }
        }
        self.finish(false);
        // A stream is free now: somebody may be waiting for it.
        if self.link.h2.is_some()
            && let Some(pool) = self.link.pool.upgrade()
        {
            pool.pump();
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("host", &self.link.host.address())
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
