//! Floor 3: discovery. A [`Discover`] yields full sets of endpoints, over and over.
//!
//! [`Fixed`] knows its endpoints, [`StrictDns`] asks for them again and again, [`Streamed`] and [`Watched`] take them
//! from a stream or a channel of the application's, and any other discovery needs one method:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::future::poll_fn;
//! use meshlib::discovery::{Discover, Endpoint, Fixed, Update};
//!
//! let endpoint = Endpoint::new("192.0.2.1:80".parse().unwrap());
//! let mut fixed = Fixed::new(vec![endpoint.clone()]);
//! let update = poll_fn(|cx| fixed.poll_update(cx)).await;
//! assert_eq!(update, Some(Update::Endpoints(vec![endpoint])));
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
