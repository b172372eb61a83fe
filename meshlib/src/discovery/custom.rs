//! An application's own discovery as a configuration value.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::Discover;
use crate::base::{Error, ErrorKind, Identity, Resources};

type Start = dyn Fn(&Resources) -> Result<Box<dyn Discover>, Error> + Send + Sync;

/// A discovery of an application's own, as a value that can be cloned and compared.
///
/// ```
/// use meshlib::discovery::{CustomDiscovery, Endpoint, Fixed};
///
/// let discovery = CustomDiscovery::new("zookeeper", |_resources| {
///     Fixed::new(vec![Endpoint::new("192.0.2.1:80".parse().unwrap())])
/// });
/// # let resources = meshlib::testkit::resources();
/// let discover = discovery.start(&resources)?; // as a cluster does that has it in its configuration
/// assert!(discover.is_settled());
/// # Ok::<_, meshlib::base::Error>(())
/// ```
#[derive(Clone)]
pub struct CustomDiscovery {
    identity: Identity,
    start: Arc<Start>,
}

impl CustomDiscovery {
    /// Calls `start` for each cluster that is started with it. `name` is shown where the configuration is.
    pub fn new<D: Discover + 'static>(
        name: impl Into<Arc<str>>,
        start: impl Fn(&Resources) -> D + Send + Sync + 'static,
    ) -> Self {
        Self { identity: Identity::unique(name), start: Arc::new(move |resources| Ok(Box::new(start(resources)))) }
    }

    /// A discovery that is there already: one cluster can be started with it, and no second one.
    pub fn once(discover: impl Discover + 'static) -> Self {
        let discover: Mutex<Option<Box<dyn Discover>>> = Mutex::new(Some(Box::new(discover)));
        let take = move |_: &Resources| {
            let taken = discover.lock().unwrap_or_else(PoisonError::into_inner).take();
            taken.ok_or_else(|| {
                Error::new(ErrorKind::Configuration)
                    .with_detail("this discovery feeds a cluster already; `CustomDiscovery::new` makes one for each")
            })
        };
        Self { identity: Identity::unique("custom"), start: Arc::new(take) }
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

    /// The discovery for one cluster.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: it was made by [`once`](Self::once), and was started already.
    pub fn start(&self, resources: &Resources) -> Result<Box<dyn Discover>, Error> {
        (self.start)(resources)
    }
}

/// As its [`Identity`]: without a value that it was made of, a clone is equal and nothing else is.
impl PartialEq for CustomDiscovery {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl fmt::Debug for CustomDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomDiscovery").field(&self.identity).finish()
    }
}
