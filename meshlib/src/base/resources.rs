//! Everything through which meshlib reaches the world outside, in one value.
//!
//! No cluster, server or mesh opens a socket, reads a file, asks for the wall time or draws a random number but through
//! its [`Resources`] (TLS has the chance of its cryptography). So two meshes fit in one process, and a whole mesh runs
//! in memory under a paused clock. Time is [`tokio::time`] and nothing else. `Resources::default()`, of the feature
//! `dns`, is the operating system's; whatever should be otherwise is put in its place, names for example:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use std::{io, net::{IpAddr, Ipv4Addr}, sync::Arc, time::Duration};
//! use meshlib::base::resources::{AddressFamily, BoxFuture, DnsAnswer, Resolve};
//!
//! /// Whatever the name is, it is here.
//! struct Local;
//!
//! impl Resolve for Local {
//!     fn resolve(&self, _: &str, family: AddressFamily) -> BoxFuture<io::Result<DnsAnswer>> {
//!         let here = (family == AddressFamily::V4).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
//!         let addresses = here.into_iter().collect();
//!         Box::pin(async { Ok(DnsAnswer::Addresses { addresses, ttl: Duration::from_secs(60) }) })
//!     }
//! }
//!
//! # use meshlib::testkit;
//! let resources = testkit::resources().with_resolver(Arc::new(Local)); // or of `Resources::default()`
//! let answer = resources.resolver().resolve("echo.test", AddressFamily::V4).await?;
//! assert!(matches!(answer, DnsAnswer::Addresses { addresses, .. } if addresses.len() == 1));
//! # Ok(())
//! # }
//! ```
//!
//! Clones share everything: what is drained or counted through one is so for all. Each `default()` is a world of its
//! own.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

pub use super::random::{Random, Rng};
use super::{drain::Drain, stats::Stats};

/// A boxed future, as every seam returns.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A byte stream: a socket, one end of an in-memory pipe.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A byte stream of any kind.
pub type BoxIo = Box<dyn Io>;

/// How connections are made and accepted: the real network, or a simulated one.
pub trait Network: Send + Sync {
    /// Connects to `to`. `TCP_NODELAY` is set. There is no time limit here: whoever asks has one, and drops the future.
    fn connect(&self, to: SocketAddr) -> BoxFuture<io::Result<BoxIo>>;

    /// Listens on `at`; port 0 picks a free one. A second listener on one port fails with `AddrInUse`.
    ///
    /// # Errors
    /// The address is in use, not of this host, or not allowed.
    fn bind(&self, at: SocketAddr) -> io::Result<Box<dyn Acceptor>>;
}

/// A bound listener.
pub trait Acceptor: Send {
    /// Where it listens; the real port where 0 was asked for.
    ///
    /// # Errors
    /// What the operating system answers.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next connection.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>>;

    /// Closes the connections that wait, unserved, and says how many: called when accepting fails for want of a
    /// descriptor.
    fn shed(&mut self, cx: &mut Context<'_>) -> usize;
}

/// A connection that was accepted but belongs to no runtime yet.
#[non_exhaustive]
pub struct Accepted {
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    /// The socket; the worker that serves it adopts it.
    pub socket: Box<dyn DetachedSocket>,
}

impl Accepted {
    /// A connection from `peer` to `local`.
    pub fn new(peer: SocketAddr, local: SocketAddr, socket: Box<dyn DetachedSocket>) -> Self {
        Self { peer, local, socket }
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("peer", &self.peer).field("local", &self.local).finish_non_exhaustive()
    }
}

/// A socket between two runtimes.
pub trait DetachedSocket: Send {
    /// Registers the socket with the runtime this is called on.
    ///
    /// # Errors
    /// The runtime has no descriptors left to watch it with, or no IO.
    fn adopt(self: Box<Self>) -> io::Result<BoxIo>;
}

/// One answer to one DNS question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DnsAnswer {
    /// The name exists; it may have no address of this family.
    Addresses {
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// How long the answer is valid: the smallest TTL of its records.
        ttl: Duration,
    },
    /// The name does not exist (NXDOMAIN).
    NoSuchName,
}

/// The address family of a DNS question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

/// Asks DNS questions. An error is a failure to get an answer (SERVFAIL, time out), never "no such name".
pub trait Resolve: Send + Sync {
    /// The addresses of `name` in one family, without a cache.
    fn resolve(&self, name: &str, family: AddressFamily) -> BoxFuture<io::Result<DnsAnswer>>;
}

/// The time of day, for log lines and certificates. Never for durations.
pub trait WallClock: Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Files: configuration, certificates, keys.
pub trait Files: Send + Sync {
    /// The whole content of a file.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// A number that differs whenever the file that `path` leads to, through whatever links, may have other content.
    ///
    /// # Errors
    /// There is no such file, or it cannot be looked at.
    fn fingerprint(&self, path: &Path) -> io::Result<u64>;

    /// Whether a look may take its time, as on a disk or a network: it is taken on a thread of its own then. The
    /// default; files in memory say no, which keeps a simulation on one thread.
    fn may_block(&self) -> bool {
        true
    }
}

/// The files of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn fingerprint(&self, path: &Path) -> io::Result<u64> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        // A Kubernetes volume swaps the `..data` link: the resolved path changes though size and time may not.
        let resolved = path.canonicalize()?;
        let metadata = resolved.metadata()?;
        let mut hasher = DefaultHasher::new();
        resolved.hash(&mut hasher);
        metadata.len().hash(&mut hasher);
        metadata.modified()?.hash(&mut hasher);
        #[cfg(unix)]
        std::os::unix::fs::MetadataExt::ino(&metadata).hash(&mut hasher);
        Ok(hasher.finish())
    }
}

/// Where finished log lines go.
pub trait LogSink: Send + Sync {
    /// Takes a batch of whole lines; never waits. `false` when it had no room: the caller counts the lines as dropped.
    fn write(&self, lines: Bytes) -> bool;
}

/// Opens log sinks by the path that a configuration names.
pub trait LogSinks: Send + Sync {
    /// The sink of `path`; one path has one sink, however often it is opened.
    ///
    /// # Errors
    /// Nothing can be written there.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogSink>>;
}

/// How connections are spread over threads.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Workers {
    /// Everything runs on the runtime that the server was started on.
    #[default]
    Ambient,
    /// Connections are handed to these runtimes, each one worker.
    Runtimes(Vec<tokio::runtime::Handle>),
}

/// The network, the resolver, clocks, files, log sinks, randomness, stats, drain and workers of one mesh.
#[derive(Clone)]
pub struct Resources(Arc<Seams>);

#[derive(Clone)]
struct Seams {
    network: Arc<dyn Network>,
    resolver: Arc<dyn Resolve>,
    wall_clock: Arc<dyn WallClock>,
    files: Arc<dyn Files>,
    log_sinks: Arc<dyn LogSinks>,
    random: Random,
    stats: Stats,
    drain: Drain,
    workers: Workers,
    #[cfg(feature = "tls")]
    crypto_provider: Arc<rustls::crypto::CryptoProvider>,
}

macro_rules! seams {
    ($($(#[$doc:meta])* $name:ident / $with:ident: $of:ty;)*) => {
        impl Resources {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> &$of {
                    &self.0.$name
                }

                #[doc = concat!("These resources with another `", stringify!($name), "`.")]
                #[must_use]
                pub fn $with(mut self, $name: $of) -> Self {
                    Arc::make_mut(&mut self.0).$name = $name;
                    self
                }
            )*
        }
    };
}

seams! {
    /// Connections, made and accepted.
    network / with_network: Arc<dyn Network>;
    /// DNS.
    resolver / with_resolver: Arc<dyn Resolve>;
    /// The time of day.
    wall_clock / with_wall_clock: Arc<dyn WallClock>;
    /// Files and their changes.
    files / with_files: Arc<dyn Files>;
    /// Access logs.
    log_sinks / with_log_sinks: Arc<dyn LogSinks>;
    /// Random numbers.
    random / with_random: Random;
    /// The stats registry.
    stats / with_stats: Stats;
    /// The drain that listeners and health filters follow.
    drain / with_drain: Drain;
    /// The threads that serve connections.
    workers / with_workers: Workers;
}

#[cfg(feature = "tls")]
seams! {
    /// The cryptography of TLS; never installed globally.
    crypto_provider / with_crypto_provider: Arc<rustls::crypto::CryptoProvider>;
}

impl Resources {
    /// Resources over this network, resolver and log sinks; the rest is the operating system's, or new and empty.
    pub fn new(network: Arc<dyn Network>, resolver: Arc<dyn Resolve>, log_sinks: Arc<dyn LogSinks>) -> Self {
        Self(Arc::new(Seams {
            network,
            resolver,
            wall_clock: Arc::new(SystemClock),
            files: Arc::new(SystemFiles),
            log_sinks,
            random: Random::new(),
            stats: Stats::new(),
            drain: Drain::new(),
            workers: Workers::Ambient,
            #[cfg(feature = "tls")]
            crypto_provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        }))
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources")
            .field("random", &self.0.random)
            .field("stats", &self.0.stats)
            .field("drain", &self.0.drain)
            .field("workers", &self.0.workers)
            .finish_non_exhaustive()
    }
}
