//! Which certificate a handshake gets.

use std::{fmt, sync::Arc};

use rustls::{
    SignatureAlgorithm, SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{certificate::Certificate, names::Fit, store::Published};

/// Chooses among the certificates that are published at this moment.
pub(super) struct Resolver(pub(super) Arc<Published>);

impl ResolvesServerCert for Resolver {
    // One atomic load and one comparison for each name; nothing beside the signature that follows.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        choose(&self.0.load(), hello.server_name(), hello.signature_schemes())
    }
}

/// Envoy's order: an exact name, then a wildcard, then the first; only such as the client can verify. Where several
/// fit the name alike, an elliptic key is preferred to RSA: signing with it costs a tenth.
///
/// If the client can verify none, the first is answered, so that rustls says what is wrong.
fn choose(
    certificates: &[Arc<Certificate>],
    name: Option<&str>,
    schemes: &[SignatureScheme],
) -> Option<Arc<CertifiedKey>> {
    let rank = |certificate: &&Arc<Certificate>| {
        let fit = name.map_or(Fit::None, |name| certificate.names.fit(name));
        let is_rsa = certificate.key.key.algorithm() == SignatureAlgorithm::RSA;
        // A name that no certificate has gets the first one that will do, whatever its key.
        let by_key = fit != Fit::None || name.is_none();
        (fit, by_key && is_rsa)
    };
    let usable = |certificate: &&Arc<Certificate>| certificate.key.key.choose_scheme(schemes).is_some();
    let chosen = match certificates {
        [only] => Some(only),
        several => several.iter().filter(usable).min_by_key(rank).or(several.first()),
    };
    chosen.map(|certificate| certificate.key.clone())
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("certificates", &self.0.load().len()).finish()
    }
}
