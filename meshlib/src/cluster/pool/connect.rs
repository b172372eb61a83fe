//! Making connections, and driving them until they end.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Weak, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    runtime::Handle,
    time::{Instant, Sleep},
};

use super::{
    super::{circuit_breaker::Permit, config::UpstreamProtocol, host::Host},
    HostPool, PoolContext,
    lease::{Connected, Link},
};
use crate::{
    base::{Error, ErrorKind, Side, stats::GaugeGuard},
    http::{
        h1::{self, client::H1Client, client::H1Connection},
        h2::{self, client::H2Client, client::H2Connection},
    },
};

/// Why there is no connection: told to everybody who waited for one.
pub(super) struct Unconnected {
    kind: ErrorKind,
    detail: String,
}

impl Unconnected {
    fn new(host: &Host, error: &Error) -> Self {
        Self { kind: error.kind(), detail: format!("connecting to {} failed: {error}", host.address()) }
    }

    fn abandoned(host: &Host) -> Self {
        let detail = format!("connecting to {} was broken off", host.address());
        Self { kind: ErrorKind::ConnectFailure, detail }
    }

    pub(super) fn error(&self) -> Error {
        Error::new(self.kind).with_detail(self.detail.clone())
    }
}

/// A connection in the counts, from the attempt to the end.
struct Counted {
    context: Arc<PoolContext>,
    host: Arc<Host>,
    _active: GaugeGuard,
    _permit: Permit,
}

impl Counted {
    fn new(pool: &HostPool, permit: Permit) -> Self {
        let (context, host) = (pool.context.clone(), pool.host.clone());
        context.count_connect();
        host.stats().cx_total.fetch_add(1, Ordering::Relaxed);
        host.stats().cx_active.fetch_add(1, Ordering::Relaxed);
        let active = context.stats().upstream_cx_active.enter();
        Self { context, host, _active: active, _permit: permit }
    }

    fn failed(&self, kind: ErrorKind) {
        let stats = self.context.stats();
        stats.upstream_cx_connect_fail.increment();
        if kind == ErrorKind::ConnectTimeout {
            stats.upstream_cx_connect_timeout.increment();
        }
        self.host.stats().cx_connect_fail.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.host.stats().cx_active.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Established {
    Http1(H1Client, H1Connection),
    Http2(H2Client, Box<H2Connection>),
}

/// Makes a connection in a task of its own.
pub(super) fn spawn(pool: &Arc<HostPool>, permit: Permit, runtime: &Handle) {
    let counted = Counted::new(pool, permit);
    // Not the pool itself: a host that goes does not wait for its connections.
    runtime.spawn(run(counted, Making(Arc::downgrade(pool))));
}

/// A connection that is being made. Its pool hears of the end also when the runtime ends first, or the network panics.
struct Making(Weak<HostPool>);

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.not_connected(&Unconnected::abandoned(&pool.host));
        }
    }
}

async fn run(counted: Counted, mut making: Making) {
    let begun = Instant::now();
    let established = connect(&counted).await;
    let pool = std::mem::take(&mut making.0);
    let pool_now = pool.upgrade();
    let established = match (established, &pool_now) {
        (Ok(established), Some(_)) => established,
        (Ok(_), None) => return,
        (Err(error), pool) => {
            counted.failed(error.kind());
            if let Some(pool) = pool {
                let why = Unconnected::new(&counted.host, &error);
                // The permit goes first: somebody who tries again may need it.
                drop(counted);
                pool.not_connected(&why);
            }
            return;
        }
    };
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    counted.context.stats().upstream_cx_connect_ms.record(millis);
    let Some(pool_now) = pool_now else { return };
    // Driving is a task of its own, no larger than the connection it keeps.
    let connected = match established {
        Established::Http1(client, connection) => {
            let link = Link::new(&pool_now, None);
            tokio::spawn(Driver::new(pool, &link, counted).drive(connection.map(Some)));
            Connected { link, h1: Some(client) }
        }
        Established::Http2(client, connection) => {
            let link = Link::new(&pool_now, Some(client));
            tokio::spawn(Driver::new(pool, &link, counted).drive(connection.map(|_| None)));
            Connected { link, h1: None }
        }
    };
    pool_now.connected(connected);
}

async fn connect(counted: &Counted) -> Result<Established, Error> {
    let limit = counted.context.connect_timeout;
    match tokio::time::timeout(limit, establish(counted)).await {
        Ok(established) => established,
        Err(_) => Err(Error::new(ErrorKind::ConnectTimeout).with_detail(format!("not done within {limit:?}"))),
    }
}

async fn establish(counted: &Counted) -> Result<Established, Error> {
    let failure = |error: io::Error| Error::new(ErrorKind::ConnectFailure).with_detail(error.to_string());
    let io = counted.context.network.connect(counted.host.address()).await.map_err(failure)?;
    Ok(match &counted.context.protocol {
        UpstreamProtocol::Http1 => {
            let (client, connection) = h1::client::handshake(io);
            Established::Http1(client, connection)
        }
        UpstreamProtocol::Http2(options) => {
            let (client, connection) = h2::client::handshake(io, options);
            Established::Http2(client, Box::new(connection))
        }
    })
}

/// Drives a connection to its end, and closes it when it was idle for too long.
struct Driver {
    pool: Weak<HostPool>,
    /// Not the link itself: it holds the handle that keeps an HTTP/2 connection open.
    link: Weak<Link>,
    context: Arc<PoolContext>,
    counted: Option<Counted>,
    settled: bool,
    /// The side that ended the connection, where it is known.
    ended_by: Option<Side>,
}

impl Driver {
    fn new(pool: Weak<HostPool>, link: &Arc<Link>, counted: Counted) -> Self {
        let context = counted.context.clone();
        Self {
            pool,
            link: Arc::downgrade(link),
            context,
            counted: Some(counted),
            settled: link.h2().is_none(),
            ended_by: None,
        }
    }

    async fn drive(mut self, connection: impl Future<Output = Option<Side>>) {
        let mut connection = std::pin::pin!(connection);
        let mut idle = IdleCheck::new(self.context.idle_timeout);
        std::future::poll_fn(|cx| {
            loop {
                // How it ended, those who used it know from their own exchanges.
                if let Poll::Ready(ended_by) = connection.as_mut().poll(cx) {
                    self.ended_by = ended_by;
                    return Poll::Ready(());
                }
                self.note_settings();
                if !idle.is_due(cx) {
                    return Poll::Pending;
                }
                // After the last handle is dropped the connection ends itself: it is polled again at once.
                idle.again(self.pool.upgrade().and_then(|pool| pool.expire(&self.link)));
            }
        })
        .await;
    }

    fn note_settings(&mut self) {
        if self.settled {
            return;
        }
        if let Some(link) = self.link.upgrade().filter(|link| !link.is_unsettled()) {
            self.settled = true;
            if let Some(pool) = self.pool.upgrade() {
                match link.h2() {
                    Some(h2) if !h2.is_closed() => pool.settled(&link),
                    // It ended before it said anything.
                    _ => pool.pump(),
                }
            }
        }
    }
}

/// The connection has ended, by itself or with its runtime.
impl Drop for Driver {
    fn drop(&mut self) {
        let stats = self.context.stats();
        stats.upstream_cx_destroy.increment();
        // An HTTP/2 connection that this side closed has been let go of by pool and lease.
        let by_host = self.ended_by.map_or(self.link.strong_count() > 0, |side| side == Side::Upstream);
        if by_host {
            stats.upstream_cx_destroy_remote.increment();
        } else {
            stats.upstream_cx_destroy_local.increment();
        }
        drop(self.counted.take());
        if let Some(pool) = self.pool.upgrade() {
            pool.closed(&self.link);
        }
    }
}

/// One timer for a connection's life. It is polled once when it is set; after that, whether it fired is one atomic
/// load, however often the connection is polled: its task keeps its waker.
struct IdleCheck {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl IdleCheck {
    fn new(after: Duration) -> Self {
        let sleep = (!after.is_zero()).then(|| Box::pin(tokio::time::sleep(after)));
        Self { sleep, armed: false }
    }

    fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(sleep) = &mut self.sleep else { return false };
        if !self.armed {
            self.armed = true;
            return sleep.as_mut().poll(cx).is_ready();
        }
        sleep.is_elapsed()
    }

    fn again(&mut self, at: Option<Instant>) {
        self.armed = false;
        match (at, &mut self.sleep) {
            (Some(at), Some(sleep)) => sleep.as_mut().reset(at),
            _ => self.sleep = None,
        }
    }
}
