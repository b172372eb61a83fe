//! Health checks that an application writes itself.

use std::{fmt, sync::Arc};

use super::{FailureKind, ProbeFailure, ProbeResult};
use crate::{
    base::{BoxError, Identity, resources::BoxFuture},
    cluster::host::Host,
};

/// A health check of an application's own: any function from a host to whether it is well.
///
/// An error that is a [`ProbeFailure`] keeps its class; any other counts as a failure of the network, of which
/// `unhealthy_threshold` make a host unhealthy; so does a panic. The configured timeout bounds it: the future is
/// dropped then.
///
/// ```
/// use std::{io, sync::Arc, time::Duration};
/// use meshlib::cluster::{config::HealthCheckConfig, health::CustomCheck, host::Host};
///
/// let reachable = CustomCheck::new("reachable", |host: Arc<Host>| async move {
///     tokio::net::TcpStream::connect(host.address()).await?;
///     Ok::<_, io::Error>(())
/// });
/// let second = Duration::from_secs(1);
/// let config = HealthCheckConfig::custom(second, 10 * second, 2, 2, reachable);
/// ```
#[derive(Clone)]
pub struct CustomCheck {
    identity: Identity,
    ask: Arc<dyn Fn(Arc<Host>) -> BoxFuture<ProbeResult> + Send + Sync>,
}

impl CustomCheck {
    /// Asks by `ask`. `name` is shown where the configuration is.
    pub fn new<F, E>(name: impl Into<Arc<str>>, ask: impl Fn(Arc<Host>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let ask = move |host| -> BoxFuture<ProbeResult> {
            let asked = ask(host);
            Box::pin(async move { asked.await.map_err(|error| failure(error.into())) })
        };
        Self { identity: Identity::unique(name), ask: Arc::new(ask) }
    }

    /// Says what it was made of: two of one name and equal values are equal.
    #[must_use]
    pub fn configured_by<C>(mut self, config: C) -> Self
    where
        C: PartialEq + fmt::Debug + Send + Sync + 'static,
    {
        self.identity = Identity::configured(self.identity.name().clone(), config);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.identity.name()
    }

    /// Asks a host once, without a limit.
    pub fn ask(&self, host: &Arc<Host>) -> BoxFuture<ProbeResult> {
        (self.ask)(host.clone())
    }
}

fn failure(error: BoxError) -> ProbeFailure {
    match error.downcast::<ProbeFailure>() {
        Ok(failure) => *failure,
        Err(other) => ProbeFailure::new(FailureKind::Network, other.to_string()),
    }
}

/// As its [`Identity`]: without a value that it was made of, a clone is equal and nothing else is.
impl PartialEq for CustomCheck {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl fmt::Debug for CustomCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomCheck").field(&self.identity).finish()
    }
}
