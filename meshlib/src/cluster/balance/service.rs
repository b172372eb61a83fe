//! The balancer, alone: over any discovery, any connector and any load balancer.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project::pin_project;
use tokio::task::AbortHandle;
use tower::util::ServiceExt;
use tower_service::Service;

use super::{
    super::{
        host::{HealthFlags, Host},
        host_set::{HostSet, HostSetCell},
    },
    LbPolicy, PickContext, Picks,
};
use crate::{
    base::{BoxError, Error, ErrorKind, resources::BoxFuture, resources::Random},
    discovery::{Discover, Endpoint, Update},
};

/// Balances requests over the hosts of a discovery.
///
/// `M` makes the service of a host: a tower service from `Arc<Host>` to `S`, called when a host gets its first
/// request, and again when `S` is not ready any more. The requests of all clones share one `S` for each host, so `S`
/// is cheap to clone, like tonic's `Channel` or hyper's HTTP/2 `SendRequest`. Always ready: without a host that may
/// be picked, a request fails with [`ErrorKind::NoHealthyUpstream`].
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
/// let endpoint = |last| Endpoint { address: SocketAddr::from(([10, 0, 0, last], 80)), hostname: None, weight: 1 };
/// let discover = Two(Some(Update::Endpoints(vec![endpoint(1), endpoint(2)])));
/// // "Connecting" makes a service that answers with the host's address.
/// let connect = service_fn(|host: Arc<Host>| async move {
///     let address = host.address();
///     let answer = move |_: Request<String>| async move { Ok::<_, std::io::Error>(Response::new(address)) };
///     Ok::<_, std::io::Error>(service_fn(answer))
/// });
///
/// let balance = Balance::new(discover, connect);
/// tokio::task::yield_now().await; // the discovery is polled by a task
/// let one = balance.clone().oneshot(Request::new(String::new())).await.unwrap();
/// let other = balance.oneshot(Request::new(String::new())).await.unwrap();
/// assert_ne!(one.body(), other.body());
/// # }
/// ```
pub struct Balance<M, S>(Arc<Shared<M, S>>);

struct Shared<M, S> {
    picks: Arc<Picks<Slot<S>>>,
    make: Mutex<M>,
    /// Ends with the last clone; absent over a [`HostSetCell`].
    _control: Option<AbortOnDrop>,
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
        balance._control = Some(AbortOnDrop(tokio::spawn(follow(discover, cell)).abort_handle()));
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
        Self { picks, make: Mutex::new(make), _control: None }
    }
}

/// Publishes what `discover` finds. A host keeps its identity for as long as its address stays.
async fn follow(mut discover: impl Discover, cell: HostSetCell) {
    while let Some(update) = std::future::poll_fn(|cx| discover.poll_update(cx)).await {
        if let Update::Endpoints(endpoints) = update {
            let hosts = merge(cell.load().hosts(), endpoints);
            cell.publish(HostSet::new(hosts, 0.0));
        }
    }
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

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
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
        let context = PickContext { headers: Some(request.headers()), ..PickContext::default() };
        let state = match self.0.picks.pick(&context) {
            Some(picked) => {
                let slot = picked.item().clone();
                match slot.current() {
                    Some(made) => Step::Readying { made, slot, request: Some(request), again: true },
                    None => Step::Making { making: self.0.make(slot.clone()), slot, request: Some(request) },
                }
            }
            None => Step::NoHost,
        };
        ResponseFuture { shared: self.0.clone(), step: state, body: PhantomData }
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

/// The response of a [`Balance`].
#[pin_project]
pub struct ResponseFuture<M, S, B>
where
    S: Service<Request<B>>,
{
    shared: Arc<Shared<M, S>>,
    #[pin]
    step: Step<S, S::Future, Request<B>>,
    body: PhantomData<fn(B)>,
}

/// A service and the generation it is of.
struct Made<S> {
    service: S,
    generation: u64,
}

#[pin_project(project = StepProject)]
enum Step<S, F, R> {
    /// Nothing could be picked.
    NoHost,
    /// The host's service is being made.
    Making { making: BoxFuture<Result<Made<S>, Error>>, slot: Arc<Slot<S>>, request: Option<R> },
    /// It is there; if it turns out not to work any more, another is made, once.
    Readying { made: Made<S>, slot: Arc<Slot<S>>, request: Option<R>, again: bool },
    /// It answers.
    Calling(#[pin] F),
}

impl<M, S, B, A> Future for ResponseFuture<M, S, B>
where
    M: Service<Arc<Host>, Response = S> + Clone + Send + 'static,
    M::Error: Into<BoxError>,
    M::Future: Send,
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response<A>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.step.as_mut().project() {
                StepProject::NoHost => return Poll::Ready(Err(Error::new(ErrorKind::NoHealthyUpstream))),
                StepProject::Making { making, slot, request } => {
                    let made = ready!(making.as_mut().poll(cx))?;
                    Step::Readying { made, slot: slot.clone(), request: request.take(), again: false }
                }
                StepProject::Readying { made, slot, request, again } => match ready!(made.service.poll_ready(cx)) {
                    Ok(()) => match request.take() {
                        Some(request) => Step::Calling(made.service.call(request)),
                        None => return Poll::Ready(Err(Error::new(ErrorKind::Internal))),
                    },
                    Err(_) if *again => {
                        slot.discard(made.generation);
                        let making = this.shared.make(slot.clone());
                        Step::Making { making, slot: slot.clone(), request: request.take() }
                    }
                    Err(error) => {
                        slot.discard(made.generation);
                        return Poll::Ready(Err(Error::from_boxed(error)));
                    }
                },
                StepProject::Calling(response) => return response.poll(cx).map_err(Error::from_boxed),
            };
            this.step.set(next);
        }
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

impl<M, S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<M, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use tokio::sync::mpsc;
    use tower::service_fn;

    use super::*;

    /// Updates as the test sends them.
    struct Sent(mpsc::UnboundedReceiver<Update>);

    impl Discover for Sent {
        fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
            self.0.poll_recv(cx)
        }
    }

    fn endpoints(last: &[u8]) -> Update {
        let endpoint =
            |last: &u8| Endpoint { address: SocketAddr::from(([10, 0, 0, *last], 80)), hostname: None, weight: 1 };
        Update::Endpoints(last.iter().map(endpoint).collect())
    }

    /// A connection that answers with its host and its number, until it is broken.
    #[derive(Clone)]
    struct Numbered {
        host: SocketAddr,
        number: usize,
        broken: Arc<AtomicBool>,
    }

    impl Service<Request<()>> for Numbered {
        type Response = Response<(SocketAddr, usize)>;
        type Error = std::io::Error;
        type Future = std::future::Ready<Result<Self::Response, std::io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
            match self.broken.load(Ordering::Relaxed) {
                true => Poll::Ready(Err(std::io::Error::other("broken"))),
                false => Poll::Ready(Ok(())),
            }
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::ready(Ok(Response::new((self.host, self.number))))
        }
    }

    #[derive(Clone, Default)]
    struct Connect {
        made: Arc<AtomicUsize>,
        newest: Arc<Mutex<Option<Arc<AtomicBool>>>>,
    }

    impl Service<Arc<Host>> for Connect {
        type Response = Numbered;
        type Error = std::io::Error;
        type Future = BoxFuture<std::io::Result<Numbered>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, host: Arc<Host>) -> Self::Future {
            let broken = Arc::new(AtomicBool::new(false));
            *self.newest.lock().unwrap() = Some(broken.clone());
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                tokio::task::yield_now().await;
                Ok(Numbered { host: host.address(), number, broken })
            })
        }
    }

    async fn settle() {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    }

    async fn call(balance: &Balance<Connect, Numbered>) -> Result<(SocketAddr, usize), Error> {
        balance.clone().oneshot(Request::new(())).await.map(Response::into_body)
    }

    #[tokio::test]
    async fn hosts_come_and_go() {
        let (send, receive) = mpsc::unbounded_channel();
        let connect = Connect::default();
        let balance = Balance::new(Sent(receive), connect.clone());
        assert_eq!(call(&balance).await.unwrap_err().kind(), ErrorKind::NoHealthyUpstream);

        send.send(endpoints(&[1, 2])).unwrap();
        settle().await;
        let first: Vec<_> = [call(&balance).await.unwrap(), call(&balance).await.unwrap()].into();
        assert_ne!(first[0].0, first[1].0);
        send.send(endpoints(&[2, 3])).unwrap();
        send.send(Update::Failed("no answer: what is there stays".into())).unwrap();
        settle().await;
        let second: Vec<_> = [call(&balance).await.unwrap(), call(&balance).await.unwrap()].into();
        let stayed = SocketAddr::from(([10, 0, 0, 2], 80));
        let of = |calls: &[(SocketAddr, usize)]| calls.iter().find(|(host, _)| *host == stayed).copied();
        assert_eq!(of(&first), of(&second), "the host that stayed kept its connection");
        assert_eq!(connect.made.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn requests_that_come_together_make_one_connection() {
        let (send, receive) = mpsc::unbounded_channel();
        let connect = Connect::default();
        let balance = Balance::new(Sent(receive), connect.clone());
        send.send(endpoints(&[1])).unwrap();
        settle().await;
        let (one, other) = tokio::join!(call(&balance), call(&balance));
        assert_eq!(one.unwrap().1, other.unwrap().1);
        assert_eq!(connect.made.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_broken_connection_is_replaced_once_for_all() {
        let (send, receive) = mpsc::unbounded_channel();
        let connect = Connect::default();
        let balance = Balance::new(Sent(receive), connect.clone());
        send.send(endpoints(&[1])).unwrap();
        settle().await;
        assert_eq!(call(&balance).await.unwrap().1, 0);
        connect.newest.lock().unwrap().as_ref().unwrap().store(true, Ordering::Relaxed);
        let (one, other) = tokio::join!(call(&balance), call(&balance));
        assert_eq!((one.unwrap().1, other.unwrap().1), (1, 1));
    }

    #[tokio::test]
    async fn a_failed_connect_names_the_host() {
        let (send, receive) = mpsc::unbounded_channel();
        let refuse = service_fn(|_: Arc<Host>| async { Err::<Numbered, _>(std::io::Error::other("refused")) });
        let balance = Balance::new(Sent(receive), refuse);
        send.send(endpoints(&[1])).unwrap();
        settle().await;
        let error = balance.oneshot(Request::new(())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectFailure);
        assert_eq!(error.to_string(), "host 10.0.0.1:80: refused");
    }

    #[tokio::test]
    async fn the_control_task_ends_with_the_last_clone() {
        let (send, receive) = mpsc::unbounded_channel();
        let balance = Balance::new(Sent(receive), Connect::default());
        let clone = balance.clone();
        drop(balance);
        settle().await;
        assert!(!send.is_closed());
        drop(clone);
        settle().await;
        assert!(send.is_closed());
    }
}
