//! Floor 3: discovery. A [`Discover`] yields full sets of endpoints, over and over.

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

/// An endpoint as it was discovered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Its address.
    pub address: SocketAddr,
    /// The DNS name it was found under.
    pub hostname: Option<Arc<str>>,
    /// Its share of picks, 1 or more.
    pub weight: u32,
}

/// What a discovery reports.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

impl fmt::Debug for dyn Discover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Discover")
    }
}
