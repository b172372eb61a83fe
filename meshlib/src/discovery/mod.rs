//! Floor 3: discovery. A [`Discover`] yields full sets of endpoints, over and over.
//!
//! | discovery | endpoints |
//! |---|---|
//! | [`Fixed`] | are known and stay (Envoy's `STATIC`) |
//! | [`StrictDns`] | are every address of a name, resolved over and over (`STRICT_DNS`) |
//! | [`Watched`] | are in a channel of the application's |
//! | [`Streamed`] | come from a stream of the application's: a registry, a watch of Kubernetes |
//! | your own | from anywhere: one method |
//!
//! A cluster takes any of them (`ClusterBuilder::discover`), and so does [`Balance`](crate::cluster::balance::Balance).
//! A report is the whole set, never a change of it; one that failed leaves everything as it is.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::{future::poll_fn, task::{Context, Poll}};
//! use meshlib::discovery::{Discover, Endpoint, Update};
//!
//! /// The endpoints in an environment variable, read once.
//! struct Environment(Option<String>);
//!
//! impl Discover for Environment {
//!     fn poll_update(&mut self, _: &mut Context<'_>) -> Poll<Option<Update>> {
//!         let Some(addresses) = self.0.take() else { return Poll::Ready(None) }; // no more reports
//!         let endpoint = |address: &str| address.parse().map(Endpoint::new);
//!         let endpoints: Result<Vec<_>, _> = addresses.split(',').map(endpoint).collect();
//!         Poll::Ready(Some(endpoints.into())) // an error is `Update::Failed`
//!     }
//! }
//!
//! let mut discover = Environment(Some("192.0.2.1:80,192.0.2.2:80".to_owned()));
//! let Some(Update::Endpoints(endpoints)) = poll_fn(|cx| discover.poll_update(cx)).await else { panic!("endpoints") };
//! assert_eq!(endpoints.len(), 2);
//! # }
//! ```

pub mod config;
mod custom;
pub mod dns;
pub mod fixed;
#[cfg(feature = "dns")]
pub mod resolver;
mod stream;

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

#[cfg(feature = "dns")]
pub use self::resolver::SystemResolver;
pub use self::{
    custom::CustomDiscovery,
    dns::{StrictDns, UpdateStats},
    fixed::Fixed,
    stream::{Streamed, Watched},
};

/// An endpoint as it was discovered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its address.
    pub address: SocketAddr,
    /// The DNS name it was found under.
    pub hostname: Option<Arc<str>>,
    /// Its share of picks, 1 or more.
    pub weight: u32,
}

impl Endpoint {
    /// An endpoint without a name, of weight 1.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, hostname: None, weight: 1 }
    }

    /// Found under this name.
    #[must_use]
    pub fn hostname(mut self, name: impl Into<Arc<str>>) -> Self {
        self.hostname = Some(name.into());
        self
    }

    /// With another weight, 1 or more.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}

/// What a discovery reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// The endpoints are these, all of them; none is an answer too.
    Endpoints(Vec<Endpoint>),
    /// This attempt gave no answer: whoever listens keeps what it has.
    Failed(String),
}

/// Yields full endpoint sets: fixed, from DNS, or an application's own.
pub trait Discover: Send {
    /// The next report; pending until there is one. `None`: there will be no other.
    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>>;

    /// Whether the reports so far, the one just taken included, tell the outcome of every source: each name was
    /// answered or failed once. Asked after each report; a cluster is warm only then. A discovery of one source has
    /// nothing to say here.
    fn is_settled(&self) -> bool {
        true
    }
}

impl<D: Discover + ?Sized> Discover for Box<D> {
    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        (**self).poll_update(cx)
    }

    fn is_settled(&self) -> bool {
        (**self).is_settled()
    }
}

impl fmt::Debug for dyn Discover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Discover")
    }
}
