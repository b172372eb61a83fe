//! Accepting connections without ever giving up.
//!
//! A [`Listener`] takes a permit of its [`ConnectionLimit`], then accepts. It waits a little longer each time the
//! system is out of descriptors or memory, and passes over connections that died in the queue. Out of descriptors, it
//! closes who waits, with one that it kept in reserve: they learn at once that they must go elsewhere. Accepted sockets
//! belong to no runtime yet, so that one accept point can hand them to the least loaded worker.
//!
//! ```no_run
//! use meshlib::{base::{Resources, resources::Network}, net::listen::{ConnectionLimit, Listener}};
//!
//! # async fn example(resources: Resources, stop: impl Future<Output = ()>) -> std::io::Result<()> {
//! let limit = ConnectionLimit::of_system(resources.files().as_ref());
//! let acceptor = resources.network().bind("0.0.0.0:443".parse().unwrap())?;
//! Listener::new(acceptor, limit).run(stop, |accepted, permit| {
//!     tokio::spawn(async move {
//!         let io = accepted.socket.adopt();
//!         // serve it
//!         drop(permit);
//!     });
//! }).await;
//! # Ok(())
//! # }
//! ```

use std::{
    fmt, io,
    net::SocketAddr,
    path::Path,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::base::resources::{Accepted, Acceptor, BoxIo, DetachedSocket, Files};

/// How many connections may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: u16 = 4096;

/// The most connections where nothing else says so.
const MAX_CONNECTIONS: usize = 50_000;

/// The first pause when the system is short of something; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause: connections are accepted again at most so long after the shortage ends.
const LONGEST_PAUSE: Duration = Duration::from_millis(80);

/// How often a shortage is logged while it lasts, or comes and goes.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// How many connections may be open at once. Cloning shares the count, so that several listeners share one limit.
#[derive(Clone, Debug)]
pub struct ConnectionLimit(Arc<Semaphore>);

/// A connection's place under its [`ConnectionLimit`], until dropped.
#[derive(Debug)]
pub struct ConnectionPermit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl ConnectionLimit {
    /// At most `max` connections.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))))
    }

    /// What this process can bear: half of its descriptors (`/proc/self/limits`), since each connection may need
    /// one more upstream, and at most 50,000. Just that where there is no such file.
    pub fn of_system(files: &dyn Files) -> Self {
        let descriptors = files.read(Path::new("/proc/self/limits")).ok().as_deref().and_then(soft_descriptor_limit);
        Self::new(descriptors.map_or(MAX_CONNECTIONS, |limit| (limit / 2).clamp(1, MAX_CONNECTIONS)))
    }

    /// How many more connections may be opened now.
    pub fn available(&self) -> usize {
        self.0.available_permits()
    }

    async fn acquire(&self) -> Option<ConnectionPermit> {
        self.0.clone().acquire_owned().await.ok().map(ConnectionPermit)
    }
}

/// The soft limit in the line "Max open files" of `/proc/self/limits`. `None` where there is none, or it is unlimited.
fn soft_descriptor_limit(limits: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(limits).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Accepts connections, whatever happens to one of them or to the system.
pub struct Listener {
    acceptor: Box<dyn Acceptor>,
    limit: ConnectionLimit,
    shortage: Shortage,
}

/// What the system was short of: how long the next pause is, when it was last told, and who was sent away since.
struct Shortage {
    pause: Duration,
    told: Option<Instant>,
    closed: usize,
}

impl Listener {
    /// Accepts from `acceptor`, within `limit`. At the limit connections wait in the kernel's queue.
    pub fn new(acceptor: Box<dyn Acceptor>, limit: ConnectionLimit) -> Self {
        Self { acceptor, limit, shortage: Shortage::NONE }
    }

    /// Where it listens; the real port where 0 was asked for.
    ///
    /// # Errors
    /// What the operating system answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.local_addr()
    }

    /// The next connection. Pending for as long as it takes; cancel safe.
    pub async fn accept(&mut self) -> (Accepted, ConnectionPermit) {
        loop {
            let Some(permit) = self.limit.acquire().await else {
                // The semaphore is never closed.
                std::future::pending().await
            };
            match std::future::poll_fn(|cx| self.acceptor.poll_accept(cx)).await {
                Ok(accepted) => {
                    self.shortage.pause = FIRST_PAUSE;
                    return (accepted, permit);
                }
                // It died between the handshake and its turn: its own matter.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    drop(permit);
                    if is_out_of_descriptors(&error) {
                        self.shortage.closed += std::future::poll_fn(|cx| Poll::Ready(self.acceptor.shed(cx))).await;
                    }
                    self.shortage.wait(&error).await;
                }
            }
        }
    }

    /// Accepts until `stop` is over, then closes the port. What was accepted already is served to its end.
    pub async fn run(mut self, stop: impl Future<Output = ()>, mut serve: impl FnMut(Accepted, ConnectionPermit)) {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return,
                (accepted, permit) = self.accept() => serve(accepted, permit),
            }
        }
    }
}

impl Shortage {
    const NONE: Self = Self { pause: FIRST_PAUSE, told: None, closed: 0 };

    /// Waits before the next try. Out of descriptors, accept fails at once and for ever: trying on would burn a core.
    async fn wait(&mut self, error: &io::Error) {
        if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            let closed = std::mem::take(&mut self.closed);
            tracing::warn!(%error, closed, "accepting fails; trying again with growing pauses");
            self.told = Some(Instant::now());
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        tokio::time::sleep(pause).await;
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("local_addr", &self.local_addr())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Whether an error of accept(2) is about the connection that would have been accepted. Linux passes on the pending
/// errors of the new socket (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::TimedOut
            | Kind::Interrupted
    )
}

/// EMFILE and ENFILE: the process has no descriptor left, or the system has none.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    cfg!(unix) && matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// A listening TCP socket.
#[derive(Debug)]
pub(super) struct TcpAcceptor {
    pub(super) listener: TcpListener,
    local: SocketAddr,
    pub(super) reserve: Option<Reserve>,
}

/// A descriptor that is given up when there is no other, so that one connection after the other can be closed.
#[derive(Debug)]
pub(super) struct Reserve(#[expect(dead_code, reason = "held for its descriptor")] std::fs::File);

impl Reserve {
    fn take() -> Option<Self> {
        std::fs::File::open("/dev/null").ok().map(Self)
    }
}

impl TcpAcceptor {
    pub(super) fn bind(at: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for old connections in TIME_WAIT. SO_REUSEPORT stays off: a second process on this
        // port would silently take half of the connections instead of failing.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit it, which saves one system call for each.
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&at.into())?;
        socket.listen(BACKLOG.into())?;
        let listener = TcpListener::from_std(socket.into())?;
        let local = listener.local_addr()?;
        Ok(Self { listener, local, reserve: Reserve::take() })
    }
}

impl Acceptor for TcpAcceptor {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let (stream, peer) = ready!(self.listener.poll_accept(cx))?;
        if self.reserve.is_none() {
            self.reserve = Reserve::take();
        }
        // Only a listener on all addresses has to ask which of them was meant.
        let local = if self.local.ip().is_unspecified() { stream.local_addr()? } else { self.local };
        // Costs a round with the poller to leave this runtime; the worker that adopts the socket enters its own.
        let socket = Box::new(DetachedTcp(stream.into_std()?));
        Poll::Ready(Ok(Accepted { peer, local, socket }))
    }

    fn shed(&mut self, cx: &mut Context<'_>) -> usize {
        // What another thread opens meanwhile may take its place; then there is none until the next one is accepted.
        drop(self.reserve.take());
        let mut closed = 0;
        // As many as can wait: who comes on and on must not keep this thread.
        while closed < usize::from(BACKLOG) && matches!(self.listener.poll_accept(cx), Poll::Ready(Ok(_))) {
            closed += 1;
        }
        self.reserve = Reserve::take();
        closed
    }
}

/// A TCP socket between two runtimes.
struct DetachedTcp(std::net::TcpStream);

impl DetachedSocket for DetachedTcp {
    fn adopt(self: Box<Self>) -> io::Result<BoxIo> {
        Ok(Box::new(TcpStream::from_std(self.0)?))
    }
}
