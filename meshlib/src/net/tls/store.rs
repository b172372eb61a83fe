//! The certificates of a listener, read from files and swapped while handshakes go on.
//!
//! The files are looked at each second, through [`Files::fingerprint`], so a Kubernetes secret volume that swaps its
//! `..data` link is seen. A pair is read whole and checked before it is published: a new certificate whose key has
//! not arrived yet, or a file that is half written, leaves the pair in use as it is, with one warning.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use meshlib::{
//!     base::{Stats, resources::SystemFiles},
//!     net::tls::{CertificateStore, config::CertificateConfig},
//! };
//!
//! # let folder = tempfile::tempdir()?;
//! # let (chain, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
//! # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
//! # std::fs::write(&chain, made.cert.pem())?;
//! # std::fs::write(&key, made.signing_key.serialize_pem())?;
//! let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
//! let store = CertificateStore::load(&[CertificateConfig::files(chain, key)], Arc::new(SystemFiles), &provider)?
//!     .watch(&Stats::new(), "listener.ingress.")?;
//!
//! // Any rustls server can use it.
//! let server = rustls::ServerConfig::builder_with_provider(provider)
//!     .with_safe_default_protocol_versions()?
//!     .with_no_client_auth()
//!     .with_cert_resolver(store.resolver());
//! # assert!(server.cert_resolver.only_raw_public_keys() == false);
//! # Ok(())
//! # }
//! ```

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{crypto::CryptoProvider, server::ResolvesServerCert};
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval},
};

use super::{
    certificate::Certificate,
    config::{CertificateConfig, DataSource},
    resolver::Resolver,
};
use crate::base::{Counter, Error, ErrorKind, Stats, resources::Files, task::AbortOnDropHandle};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What handshakes choose from; one value, so that a handshake sees whole pairs only.
pub(super) type Published = ArcSwap<Vec<Arc<Certificate>>>;

/// Certificates with their keys, swapped as their files change. Cloning shares them.
///
/// The task that watches the files ends when the last clone is dropped.
#[derive(Clone)]
pub struct CertificateStore {
    shared: Arc<Shared>,
    watch: Option<Arc<AbortOnDropHandle<()>>>,
}

struct Shared {
    files: Arc<dyn Files>,
    provider: Arc<CryptoProvider>,
    published: Arc<Published>,
    // Taken by the watching task only; handshakes read what is published.
    pairs: Mutex<Vec<Pair>>,
}

/// One configured pair and what is known of its files.
struct Pair {
    config: CertificateConfig,
    seen: Fingerprints,
    /// Why the files as they are cannot serve; `None` when they are what is in use.
    refused: Option<String>,
    current: Arc<Certificate>,
}

/// Of the chain and of the key; `None` for what is no file, or not there.
type Fingerprints = [Option<u64>; 2];

/// What became of one pair whose files changed.
#[derive(Debug)]
enum Change {
    Swapped(CertificateConfig),
    Refused(CertificateConfig, Error),
}

impl CertificateStore {
    /// Reads every pair. They are not watched yet; see [`watch`](Self::watch).
    ///
    /// # Errors
    /// When there is no certificate, a file cannot be read ([`ErrorKind::Io`]), or a pair cannot serve
    /// ([`ErrorKind::Tls`]): no PEM, no key, an encrypted key, a key that belongs to another certificate. The error
    /// names the file.
    pub fn load(
        certificates: &[CertificateConfig],
        files: Arc<dyn Files>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        if certificates.is_empty() {
            return Err(Error::new(ErrorKind::Configuration).with_detail("TLS needs a certificate, and there is none"));
        }
        let load = |config: &CertificateConfig| {
            // Before the content: what is written in between makes the next look differ.
            let seen = fingerprints(config, &*files);
            let current = Arc::new(Certificate::load(config, &*files, provider)?);
            Ok(Pair { config: config.clone(), seen, refused: None, current })
        };
        let pairs: Vec<Pair> = certificates.iter().map(load).collect::<Result<_, Error>>()?;
        let published = Arc::new(ArcSwap::from_pointee(in_use(&pairs)));
        let shared = Shared { files, provider: provider.clone(), published, pairs: Mutex::new(pairs) };
        Ok(Self { shared: Arc::new(shared), watch: None })
    }

    /// Watches the files from a task on the ambient runtime, if there are any.
    ///
    /// Counts `<prefix>ssl.certificate_update` and `<prefix>ssl.certificate_update_rejected`.
    ///
    /// # Errors
    /// When called outside of a tokio runtime.
    pub fn watch(mut self, stats: &Stats, prefix: &str) -> Result<Self, Error> {
        if !self.shared.lock().iter().any(|pair| pair.config.is_in_files()) {
            return Ok(self);
        }
        Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Configuration)
                .with_detail("certificate files are watched from a tokio runtime")
                .with_source(error)
        })?;
        let counters = Counters {
            update: stats.counter(format!("{prefix}ssl.certificate_update")),
            rejected: stats.counter(format!("{prefix}ssl.certificate_update_rejected")),
        };
        self.watch = Some(Arc::new(AbortOnDropHandle::spawn(watch(self.shared.clone(), counters))));
        Ok(self)
    }

    /// The certificates as rustls asks for them: by server name and kind of key, always the latest.
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Resolver(self.shared.published.clone()))
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateStore")
            .field("certificates", &self.shared.published.load().len())
            .field("watched", &self.watch.is_some())
            .finish()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Pair>> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the pairs whose files changed since the last look, and publishes the good ones together.
    fn look(&self) -> Vec<Change> {
        let mut pairs = self.lock();
        let changes: Vec<Change> =
            pairs.iter_mut().filter_map(|pair| pair.look(&*self.files, &self.provider)).collect();
        if changes.iter().any(|change| matches!(change, Change::Swapped(_))) {
            self.published.store(Arc::new(in_use(&pairs)));
        }
        changes
    }
}

fn in_use(pairs: &[Pair]) -> Vec<Arc<Certificate>> {
    pairs.iter().map(|pair| pair.current.clone()).collect()
}

impl Pair {
    fn look(&mut self, files: &dyn Files, provider: &CryptoProvider) -> Option<Change> {
        let seen = fingerprints(&self.config, files);
        let unchanged = seen == self.seen;
        if unchanged && self.refused.is_none() {
            return None;
        }
        self.seen = seen;
        // What was refused is tried each time: a corrected mode bit, or a write within the clock tick of the last
        // one, leaves no trace in a fingerprint. It is told again only if there is something new to tell.
        match Certificate::load(&self.config, files, provider) {
            Ok(certificate) => {
                self.current = Arc::new(certificate);
                self.refused = None;
                Some(Change::Swapped(self.config.clone()))
            }
            Err(error) => {
                let before = self.refused.replace(error.to_string());
                let told = unchanged && before == self.refused;
                (!told).then(|| Change::Refused(self.config.clone(), error))
            }
        }
    }
}

fn fingerprints(config: &CertificateConfig, files: &dyn Files) -> Fingerprints {
    [&config.certificate_chain, &config.private_key].map(|source| match source {
        DataSource::File(path) => files.fingerprint(path).ok(),
        DataSource::Inline(_) => None,
    })
}

struct Counters {
    update: Counter,
    rejected: Counter,
}

async fn watch(shared: Arc<Shared>, counters: Counters) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let shared = shared.clone();
        // Off the workers: a file system over a network may take its time, and checking a new RSA key takes some.
        let changes = match shared.files.may_block() {
            true => tokio::task::spawn_blocking(move || shared.look()).await.unwrap_or_default(),
            false => shared.look(),
        };
        changes.iter().for_each(|change| counters.note(change));
    }
}

impl Counters {
    fn note(&self, change: &Change) {
        match change {
            Change::Swapped(CertificateConfig { certificate_chain, .. }) => {
                self.update.increment();
                tracing::info!(certificate = %certificate_chain, "new handshakes use the new certificate");
            }
            Change::Refused(CertificateConfig { certificate_chain, .. }, error) => {
                self.rejected.increment();
                tracing::warn!(certificate = %certificate_chain, %error, "the certificate stays: its successor cannot serve");
            }
        }
    }
}
