//! The server's side of a handshake.

use std::{fmt, io, sync::Arc, time::Duration};

use rustls::{
    InvalidMessage, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::UnixTime,
    server::{Acceptor, ClientHello, NoServerSessionStorage, ProducesTickets},
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::LazyConfigAcceptor;

use super::{config::DownstreamTlsConfig, handshake_stats::HandshakeStats, store::CertificateStore, stream::TlsStream};
use crate::base::{
    Error, ErrorKind, Resources, Stats,
    info::TlsInfo,
    resources::{Files, SystemClock, SystemFiles, WallClock},
};

/// Accepts TLS on byte streams of any kind. Cloning shares certificates and session ticket keys.
///
/// TLS 1.2 and 1.3. A client that offers protocols of which we have none goes on without ALPN, as with Envoy. Sessions
/// resume by tickets, whose keys rotate every six hours and are shared by all clones, so that a session begun on one
/// worker resumes on another; swapping certificates does not touch them. There is no early data (0-RTT): it could be
/// replayed.
#[derive(Clone)]
pub struct TlsAcceptor(Arc<Inner>);

struct Inner {
    /// For clients that offer one of our protocols, or none at all.
    with_alpn: Arc<ServerConfig>,
    /// For clients that offer only others: rustls would refuse them.
    without_alpn: Arc<ServerConfig>,
    handshake_timeout: Duration,
    certificates: CertificateStore,
    stats: HandshakeStats,
}

impl TlsAcceptor {
    /// An acceptor of this configuration, over the operating system's files and aws-lc-rs unless told otherwise.
    pub fn builder(config: DownstreamTlsConfig) -> TlsAcceptorBuilder {
        TlsAcceptorBuilder {
            config,
            files: Arc::new(SystemFiles),
            wall_clock: Arc::new(SystemClock),
            crypto_provider: None,
            ticketer: None,
            stats: Stats::new(),
            stat_prefix: String::new(),
        }
    }

    /// Shakes hands. Dropping the future ends it.
    ///
    /// # Errors
    /// [`ErrorKind::Tls`] when the client broke TLS, when there is no version, cipher or signature scheme in common,
    /// and when the handshake took longer than its time limit; [`ErrorKind::DownstreamTermination`] when the
    /// client went away. An alert was sent where the protocol has one; the stream is closed.
    pub async fn accept<IO>(&self, io: IO) -> Result<(TlsStream<IO>, TlsInfo), Error>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        match timeout(self.0.handshake_timeout, self.0.handshake(io)).await {
            Ok(Ok(stream)) => {
                self.0.stats.succeeded(stream.connection());
                let info = info(stream.connection());
                Ok((stream, info))
            }
            Ok(Err(error)) => Err(self.0.failed(error)),
            Err(_) => {
                self.0.stats.timed_out();
                let limit = self.0.handshake_timeout;
                Err(Error::new(ErrorKind::Tls).with_detail(format!("the TLS handshake took longer than {limit:?}")))
            }
        }
    }

    /// The certificates.
    pub fn certificates(&self) -> &CertificateStore {
        &self.0.certificates
    }
}

impl Inner {
    async fn handshake<IO>(&self, io: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
        let config = self.config_for(&start.client_hello()).clone();
        start.into_stream(config).await.map(TlsStream::new)
    }

    fn config_for(&self, hello: &ClientHello<'_>) -> &Arc<ServerConfig> {
        let ours = |theirs: &[u8]| self.with_alpn.alpn_protocols.iter().any(|protocol| protocol == theirs);
        let others_only = hello.alpn().is_some_and(|mut theirs| !theirs.any(ours));
        if others_only { &self.without_alpn } else { &self.with_alpn }
    }

    fn failed(&self, error: io::Error) -> Error {
        let cause = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        let detail = match cause {
            None => {
                return Error::new(ErrorKind::DownstreamTermination)
                    .with_detail("the client went away during the TLS handshake")
                    .with_source(error);
            }
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                "the client does not speak TLS (plain HTTP?)"
            }
            Some(_) => "the TLS handshake failed",
        };
        self.stats.broken();
        Error::new(ErrorKind::Tls).with_detail(detail).with_source(error)
    }
}

fn info(connection: &rustls::ServerConnection) -> TlsInfo {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => Some("TLSv1.2"),
        Some(rustls::ProtocolVersion::TLSv1_3) => Some("TLSv1.3"),
        _ => None,
    };
    TlsInfo::new(connection.server_name().map(Into::into), connection.alpn_protocol().map(<[u8]>::to_vec), version)
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor")
            .field("certificates", &self.0.certificates)
            .field("handshake_timeout", &self.0.handshake_timeout)
            .finish_non_exhaustive()
    }
}

/// Makes a [`TlsAcceptor`].
#[must_use]
pub struct TlsAcceptorBuilder {
    config: DownstreamTlsConfig,
    files: Arc<dyn Files>,
    wall_clock: Arc<dyn WallClock>,
    crypto_provider: Option<Arc<CryptoProvider>>,
    ticketer: Option<Arc<dyn ProducesTickets>>,
    stats: Stats,
    stat_prefix: String,
}

impl TlsAcceptorBuilder {
    /// Takes files, wall clock, crypto provider and stats from `resources`.
    pub fn resources(self, resources: &Resources) -> Self {
        self.files(resources.files().clone())
            .wall_clock(resources.wall_clock().clone())
            .crypto_provider(resources.crypto_provider().clone())
            .stats(resources.stats().clone())
    }

    /// Where certificates are read from. Default the operating system's files.
    pub fn files(mut self, files: Arc<dyn Files>) -> Self {
        self.files = files;
        self
    }

    /// Tells the age of session tickets. Default the operating system's clock.
    pub fn wall_clock(mut self, wall_clock: Arc<dyn WallClock>) -> Self {
        self.wall_clock = wall_clock;
        self
    }

    /// The cryptography, never installed globally. Default aws-lc-rs.
    pub fn crypto_provider(mut self, crypto_provider: Arc<CryptoProvider>) -> Self {
        self.crypto_provider = Some(crypto_provider);
        self
    }

    /// Encrypts session tickets. Default AES-256 and HMAC-SHA256 of aws-lc-rs under keys of this process's own,
    /// rotated every six hours. Give several acceptors one ticketer, and sessions resume across them.
    pub fn ticketer(mut self, ticketer: Arc<dyn ProducesTickets>) -> Self {
        self.ticketer = Some(ticketer);
        self
    }

    /// Where handshakes are counted. Default a registry that nobody reads.
    pub fn stats(mut self, stats: Stats) -> Self {
        self.stats = stats;
        self
    }

    /// Stands before the names of the counters: `listener.0.0.0.0_443.` with its last dot. Default empty.
    pub fn stat_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.stat_prefix = prefix.into();
        self
    }

    /// Reads the certificates, and watches their files from a task on the ambient runtime until the acceptor's last
    /// clone is dropped.
    ///
    /// # Errors
    /// Those of [`CertificateStore::load`] and [`CertificateStore::watch`]; [`ErrorKind::Configuration`] when an
    /// ALPN protocol is empty or longer than 255 bytes, or the crypto provider lacks TLS 1.2 or 1.3.
    pub fn build(self) -> Result<TlsAcceptor, Error> {
        let alpn = alpn(&self.config)?;
        let provider = self.crypto_provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
        let ticketer = self.ticketer.map_or_else(aws_lc_rs::Ticketer::new, Ok).map_err(unusable)?;
        let certificates = CertificateStore::load(&self.config.certificates, self.files, &provider)?
            .watch(&self.stats, &self.stat_prefix)?;
        let mut without_alpn = ServerConfig::builder_with_details(provider, Arc::new(WallTime(self.wall_clock)))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(certificates.resolver());
        without_alpn.ticketer = ticketer;
        // Tickets carry the session: no table behind a lock that every worker would take.
        without_alpn.session_storage = Arc::new(NoServerSessionStorage {});
        let mut with_alpn = without_alpn.clone();
        with_alpn.alpn_protocols = alpn;
        let limit = self.config.handshake_timeout;
        Ok(TlsAcceptor(Arc::new(Inner {
            with_alpn: Arc::new(with_alpn),
            without_alpn: Arc::new(without_alpn),
            handshake_timeout: if limit.is_zero() { Duration::MAX } else { limit },
            certificates,
            stats: HandshakeStats::new(&self.stats, &self.stat_prefix),
        })))
    }
}

fn alpn(config: &DownstreamTlsConfig) -> Result<Vec<Vec<u8>>, Error> {
    let Some(protocols) = &config.alpn else { return Ok(vec![b"h2".to_vec(), b"http/1.1".to_vec()]) };
    match protocols.iter().find(|protocol| protocol.is_empty() || protocol.len() > 255) {
        Some(protocol) => Err(Error::new(ErrorKind::Configuration)
            .with_detail(format!("the ALPN protocol {protocol:?} must be 1 to 255 bytes long"))),
        None => Ok(protocols.iter().map(|protocol| protocol.clone().into_bytes()).collect()),
    }
}

fn unusable(error: rustls::Error) -> Error {
    Error::new(ErrorKind::Configuration)
        .with_detail("the crypto provider cannot serve TLS 1.2 and 1.3")
        .with_source(error)
}

impl fmt::Debug for TlsAcceptorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptorBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The wall clock as rustls asks for it.
struct WallTime(Arc<dyn WallClock>);

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        self.0.now().duration_since(std::time::UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
    }
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallTime")
    }
}
