//! The balancer, alone: over any discovery, any connector and any load balancer.

mod response;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tower::util::ServiceExt;
use tower_service::Service;

pub use self::response::ResponseFuture;
use self::response::Step;
use super::{
    super::{
        host::{HealthFlags, Host},
        host_set::{HostSet, HostSetCell},
        warm_up::WarmUp,
    },
    LbPolicy, Picks,
};
use crate::{
    base::{BoxError, Error, ErrorKind, resources::BoxFuture, resources::Random, task::AbortOnDropHandle},
    discovery::{Discover, Endpoint, Update},
};

/// Balances requests over the hosts of a discovery.
///
/// `M` makes the service of a host: a tower service from `Arc<Host>` to `S`, called when a host gets its first
/// request, and again when `S` is not ready any more. The requests of all clones share one `S` for each host, so `S`
/// is cheap to clone, like tonic's `Channel` or hyper's HTTP/2 `SendRequest`. Always ready: without a host that may
/// be picked, a request fails with [`ErrorKind::NoHealthyUpstream`]. Until the discovery has found something, requests
/// wait, for at most 5 s from the beginning.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::{net::SocketAddr, sync::Arc, task::{Context, Poll}};
/// use http::{Request, Response};
/// use meshlib::cluster::{balance::Balance, host::Host};
/// use meshlib::discovery::{Discover, Endpoint, Update};
/// use tower::{ServiceExt, service_fn};
///
/// /// The application's own discovery: two addresses, once.
/// struct Two(Option<Update>);
///
/// impl Discover for Two {
///     fn poll_update(&mut self, _: &mut Context<'_>) -> Poll<Option<Update>> {
///         Poll::Ready(self.0.take())
///     }
/// }
///
/// let endpoint = |last| Endpoint::new(SocketAddr::from(([10, 0, 0, last], 80)));
/// let discover = Two(Some(Update::Endpoints(vec![endpoint(1), endpoint(2)])));
/// // "Connecting" makes a service that answers with the host's address.
/// let connect = service_fn(|host: Arc<Host>| async move {
///     let address = host.address();
///     let answer = move |_: Request<String>| async move { Ok::<_, std::io::Error>(Response::new(address)) };
///     Ok::<_, std::io::Error>(service_fn(answer))
/// });
///
/// let balance = Balance::new(discover, connect);
/// let one = balance.clone().oneshot(Request::new(String::new())).await.unwrap();
/// let other = balance.oneshot(Request::new(String::new())).await.unwrap();
/// assert_ne!(one.body(), other.body());
/// # }
/// ```
pub struct Balance<M, S>(Arc<Shared<M, S>>);

/// How long the first requests wait for the first endpoints, as a cluster's do.
const WARM_UP: Duration = Duration::from_secs(5);

struct Shared<M, S> {
    picks: Arc<Picks<Slot<S>>>,
    warm_up: WarmUp,
    make: Mutex<M>,
    /// Ends with the last clone; absent over a [`HostSetCell`].
    _control: Option<AbortOnDropHandle<()>>,
}

/// What is kept for a host.
struct Slot<S> {
    host: Arc<Host>,
    current: Mutex<Current<S>>,
    /// Held while a service is being made, so that requests that come together make one.
    making: tokio::sync::Mutex<()>,
}

/// A host's service, and how often it was thrown away: of those who find it broken, one replaces it.
struct Current<S> {
    service: Option<S>,
    generation: u64,
}

/// A service and the generation it is of.
struct Made<S> {
    service: S,
    generation: u64,
}

impl<M, S> Balance<M, S>
where
    M: Service<Arc<Host>, Response = S>,
    S: Clone + Send + 'static,
{
    /// Round robin over what `discover` finds. A task on the ambient tokio runtime polls it until the last clone of
    /// this is dropped.
    pub fn new(discover: impl Discover + 'static, make: M) -> Self {
        Self::with_policy(discover, make, &LbPolicy::default(), &Random::new())
    }

    /// The same with another policy, which draws from `random`.
    pub fn with_policy(discover: impl Discover + 'static, make: M, policy: &LbPolicy, random: &Random) -> Self {
        let cell = HostSetCell::new(HostSet::new(Vec::new(), 0.0));
        let mut balance = Shared::over(&cell, make, policy, random);
        balance.warm_up = WarmUp::new(WARM_UP);
        let following = follow(discover, cell, balance.warm_up.clone());
        balance._control = Some(AbortOnDropHandle::spawn(following));
        Self(Arc::new(balance))
    }

    /// Over hosts that somebody else publishes: a health prober, an application.
    pub fn over(hosts: &HostSetCell, make: M, policy: &LbPolicy, random: &Random) -> Self {
        Self(Arc::new(Shared::over(hosts, make, policy, random)))
    }
}

impl<M, S: Send + 'static> Shared<M, S> {
    fn over(hosts: &HostSetCell, make: M, policy: &LbPolicy, random: &Random) -> Self {
        let picks = Picks::new(hosts, policy, random.fork(), |host| Slot {
            host: host.clone(),
            current: Mutex::new(Current { service: None, generation: 0 }),
            making: tokio::sync::Mutex::new(()),
        });
        Self { picks, warm_up: WarmUp::finished(), make: Mutex::new(make), _control: None }
    }
}

/// Publishes what `discover` finds. A host keeps its identity for as long as its address stays.
async fn follow(mut discover: impl Discover, cell: HostSetCell, warm_up: WarmUp) {
    while let Some(update) = std::future::poll_fn(|cx| discover.poll_update(cx)).await {
        if let Update::Endpoints(endpoints) = update {
            let hosts = merge(cell.load().hosts(), endpoints);
            cell.publish(HostSet::new(hosts, 0.0));
            warm_up.finish();
        }
        // A discovery that always has one more report must not keep the worker to itself.
        tokio::task::yield_now().await;
    }
    warm_up.finish();
    // Nothing more will come; what was found stays.
}

fn merge(before: &[Arc<Host>], endpoints: Vec<Endpoint>) -> Vec<Arc<Host>> {
    let before: std::collections::HashMap<_, _> = before.iter().map(|host| (host.address(), host)).collect();
    let mut seen = std::collections::HashSet::new();
    let new = |endpoint: Endpoint| match before.get(&endpoint.address) {
        Some(host) => {
            host.set_weight(endpoint.weight);
            Arc::clone(host)
        }
        None => Arc::new(Host::new(endpoint.address, endpoint.hostname, endpoint.weight, HealthFlags::HEALTHY)),
    };
    endpoints.into_iter().filter(|endpoint| seen.insert(endpoint.address)).map(new).collect()
}

impl<M, S, B, A> Service<Request<B>> for Balance<M, S>
where
    M: Service<Arc<Host>, Response = S> + Clone + Send + 'static,
    M::Error: Into<BoxError>,
    M::Future: Send,
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = Response<A>;
    type Error = Error;
    type Future = ResponseFuture<M, S, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let step = if self.0.warm_up.is_over() {
            Step::begin(&self.0, request)
        } else {
            let warm_up = self.0.warm_up.clone();
            Step::Warming { warming: Box::pin(async move { warm_up.wait().await }), request: Some(request) }
        };
        ResponseFuture::new(self.0.clone(), step)
    }
}

impl<S: Clone> Slot<S> {
    fn current(&self) -> Option<Made<S>> {
        let current = self.lock();
        current.service.clone().map(|service| Made { service, generation: current.generation })
    }

    fn keep(&self, service: S) -> Made<S> {
        let mut current = self.lock();
        current.service = Some(service.clone());
        Made { service, generation: current.generation }
    }

    fn discard(&self, generation: u64) {
        let mut current = self.lock();
        if current.generation == generation {
            *current = Current { service: None, generation: generation + 1 };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current<S>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M, S> Shared<M, S>
where
    M: Service<Arc<Host>, Response = S> + Clone + Send + 'static,
    M::Error: Into<BoxError>,
    M::Future: Send,
    S: Clone + Send + 'static,
{
    /// Makes the service of a host, or takes what another request has made meanwhile.
    fn make(&self, slot: Arc<Slot<S>>) -> BoxFuture<Result<Made<S>, Error>> {
        let make = self.make.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            let _making = slot.making.lock().await;
            if let Some(made) = slot.current() {
                return Ok(made);
            }
            let service = make.oneshot(slot.host.clone()).await.map_err(|error| {
                Error::new(ErrorKind::ConnectFailure)
                    .with_detail(format!("host {}", slot.host.address()))
                    .with_source(error)
            })?;
            Ok(slot.keep(service))
        })
    }
}

impl<M, S> Clone for Balance<M, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M, S> fmt::Debug for Balance<M, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance").field("picks", &self.0.picks).finish_non_exhaustive()
    }
}
