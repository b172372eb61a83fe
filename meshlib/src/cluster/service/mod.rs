//! A cluster as a service: admit, pick, pool, exchange.
//!
//! [`ClusterService`] is one data path: it has its own pools and its own share of the stats, which its clones share.
//! The binary makes one for each worker, an application one altogether. It is always ready; what it cannot serve it
//! refuses at once with an [`Error`] that says why.
//!
//! What costs what, for each request: one box for the future, one for the guard of the response's body, one for the
//! attempt in the record; two additions on counters that workers share (the circuit breaker's requests) and a few on
//! the host's own numbers. The rest touches nothing that another worker does.
//!
//! Each error has the record of its request, and so has each response: which hosts were tried, how long, with what
//! result. (Where our own server made the record, the request has it, and its response goes without.)
//!
//! # What is sent again
//! Only what the host certainly did not process, and only while all of the request is still there: over HTTP/2 until
//! more than 16 KiB of its body were sent, over HTTP/1.1 until anything was.
//!
//! | what happened | what follows |
//! |---|---|
//! | no connection could be made | the next host, 16 at most; none with [`connect_failover`] off, as in Envoy's files |
//! | the connection ended, or said GOAWAY, before the host looked at the request | a new connection, 10 times at most |
//! | the host refused the stream (REFUSED_STREAM) | again, 3 times at most; the second and the third need a place among [`max_retries`] |
//! | anything else | the error, with its [`Retry`](crate::base::Retry): a layer around this service decides |
//!
//! [`connect_failover`]: super::config::ClusterConfig::connect_failover
//! [`max_retries`]: super::config::CircuitBreakersConfig::max_retries
//!
//! # What it leaves to others
//! A call has no time limit here but that of connecting. [`TimeoutLayer`](crate::layer::timeout) or tower's around the
//! service gives it one. `grpc-timeout`, which tonic's `Request::set_timeout` sets, goes to the host, and is not
//! watched on this side, as tonic's own `Channel` would. Connections to hosts are in plain text, without keepalive
//! pings.
//!
//! # With tonic
//! It is the transport of a generated client as it is: `EchoClient::new(cluster.service())`. Of an error tonic makes a
//! `Status` of the code `Unknown`, with the error's text, and keeps the error as its source. A function in between
//! chooses the code that gRPC has for it:
//!
//! ```
//! # mod tonic {
//! #     pub struct Code;
//! #     impl Code { pub fn from_i32(_: i32) -> Self { Self } }
//! #     #[derive(Debug, Default)]
//! #     pub struct Status(Option<std::sync::Arc<dyn std::error::Error + Send + Sync>>);
//! #     impl Status {
//! #         pub fn new(_: Code, _: String) -> Self { Self::default() }
//! #         pub fn set_source(&mut self, source: std::sync::Arc<dyn std::error::Error + Send + Sync>) { self.0 = Some(source) }
//! #     }
//! #     impl std::fmt::Display for Status { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
//! #     impl std::error::Error for Status {
//! #         fn source(&self) -> Option<&(dyn std::error::Error + 'static)> { Some(self.0.as_deref()?) }
//! #     }
//! # }
//! use std::{net::SocketAddr, sync::Arc};
//! use meshlib::{base::Error, cluster::ClusterService, http::grpc::Code};
//! use tower::{ServiceBuilder, util::MapErr};
//!
//! fn status(error: Error) -> tonic::Status {
//!     let code = tonic::Code::from_i32(Code::of(&error).into());
//!     let mut status = tonic::Status::new(code, error.to_string()); // names the hosts that were tried
//!     status.set_source(Arc::new(error));
//!     status
//! }
//!
//! fn channel(service: ClusterService) -> MapErr<ClusterService, fn(Error) -> tonic::Status> {
//!     ServiceBuilder::new().map_err(status as fn(Error) -> tonic::Status).service(service)
//! }
//!
//! /// Which pod failed?
//! fn failed(status: &tonic::Status) -> Option<SocketAddr> {
//!     Error::find_in(status)?.info()?.upstream_host()
//! }
//! # let _ = channel;
//! # assert!(failed(&status(Error::new(meshlib::base::ErrorKind::Overflow))).is_none());
//! ```
//!
//! See [`Cluster::service`](super::Cluster::service) and [`ClusterShared`] for how to get one.

mod attempt;
mod in_flight;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use self::{
    attempt::{Attempting, Attempts, Next},
    in_flight::{Admitted, InFlight},
};
use super::{
    Cluster, ClusterShared,
    balance::{PickContext, Picked, Picks},
    circuit_breaker::Limited,
    pool::{HostPool, Lease, PoolContext},
    stats::ClusterStats,
};
use crate::{
    base::{BoxError, Error, ErrorKind, RequestInfo, Resources},
    http::{Body, Failed, HttpService, ResponseFuture, grpc},
};

/// How many unhealthy hosts an error names.
const NAMED_HOSTS: usize = 8;

/// One data path to a cluster's hosts. Cloning shares it.
#[derive(Clone)]
pub struct ClusterService(Arc<DataPath>);

struct DataPath {
    shared: Arc<ClusterShared>,
    picks: Arc<Picks<HostPool>>,
    context: Arc<PoolContext>,
    /// What publishes the hosts, where it is to run for as long as somebody may call.
    _running: Option<Cluster>,
}

impl ClusterService {
    /// A data path with pools of its own. Needs an ambient tokio runtime when it is called, not yet here.
    pub fn new(shared: Arc<ClusterShared>, resources: &Resources) -> Self {
        Self::with(None, shared, resources)
    }

    pub(super) fn of(cluster: Cluster, shared: Arc<ClusterShared>, resources: &Resources) -> Self {
        Self::with(Some(cluster), shared, resources)
    }

    fn with(running: Option<Cluster>, shared: Arc<ClusterShared>, resources: &Resources) -> Self {
        let breakers = shared.circuit_breakers().clone();
        let context = PoolContext::new(shared.config(), breakers, shared.traffic().clone(), resources);
        let pools = context.clone();
        let picks = Picks::new(shared.hosts(), &shared.config().lb_policy, resources.random().fork(), move |host| {
            HostPool::new(host.clone(), pools.clone())
        });
        Self(Arc::new(DataPath { shared, picks, context, _running: running }))
    }

    /// The cluster.
    pub fn cluster(&self) -> &Arc<ClusterShared> {
        &self.0.shared
    }
}

impl DataPath {
    fn stats(&self) -> &ClusterStats {
        self.context.stats()
    }

    /// Answers one request. The error carries the record, and the response does where the request had none.
    ///
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold the request's place twice")]
    fn respond(
        self: Arc<Self>,
        mut request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, Error>> + Send + use<> {
        async move {
            let given = RequestInfo::of(request.extensions()).cloned();
            let info = given.unwrap_or_else(RequestInfo::detached);
            info.update(|record| record.cluster = Some(self.shared.config().name.clone()));
            match self.answer(&mut request, &info).await {
                Ok(mut response) => {
                    // Our server keeps its record itself, and spares the allocation.
                    if !info.is_served() {
                        response.extensions_mut().insert(info);
                    }
                    Ok(response)
                }
                Err(error) => {
                    info.update(|record| record.flags |= error.flags());
                    // No response is made for a client that went away.
                    if error.kind() != ErrorKind::DownstreamTermination {
                        self.stats().completed(error.status());
                    }
                    Err(error.with_info(info))
                }
            }
        }
    }

    async fn answer(
        self: &Arc<Self>,
        request: &mut Request<Body>,
        info: &RequestInfo,
    ) -> Result<Response<Body>, Error> {
        let admitted = self.admit()?;
        if !self.shared.warm_up().is_finished() {
            Box::pin(self.shared.warm_up().wait()).await;
        }
        let grpc = grpc::is_grpc(request.headers());
        let mut attempts = Attempts::default();
        loop {
            let picked = self.pick(request, &attempts, info)?;
            let attempting = Attempting::begin(info, picked.host());
            let (failed, lease) = match self.lease(&picked).await {
                Ok(mut lease) => match lease.exchange(std::mem::take(request)).await {
                    Ok(response) => {
                        let started = attempting.succeeded(response.status());
                        self.shared.observe(picked.host(), response.headers());
                        self.stats().completed(response.status());
                        return Ok(InFlight::new(lease, admitted, info.clone(), started, grpc).guard(response));
                    }
                    Err(failed) => (failed, Some(lease)),
                },
                Err(error) => (Failed { error, request: Some(std::mem::take(request)) }, None),
            };
            let connection_ended = lease.as_ref().is_some_and(Lease::has_ended);
            drop(lease);
            attempting.failed(&failed.error);
            match attempts.after(self, &picked, failed, connection_ended) {
                Next::Again(again) => *request = again,
                Next::GiveUp(error) => return Err(error),
            }
        }
    }

    fn admit(self: &Arc<Self>) -> Result<Admitted, Error> {
        if !self.shared.circuit_breakers().try_raise(Limited::Requests) {
            self.stats().upstream_rq_pending_overflow.increment();
            return Err(Error::new(ErrorKind::Overflow)
                .with_detail(format!("cluster {:?} has too many requests under way", self.shared.config().name)));
        }
        Ok(Admitted::new(self.clone()))
    }

    fn pick(
        &self,
        request: &Request<Body>,
        attempts: &Attempts,
        info: &RequestInfo,
    ) -> Result<Picked<HostPool>, Error> {
        let context = PickContext { tried: attempts.tried(), headers: Some(request.headers()) };
        let Some(picked) = self.picks.pick(&context) else {
            self.stats().upstream_cx_none_healthy.increment();
            return Err(self.nobody());
        };
        if picked.panic() {
            self.stats().lb_healthy_panic.increment();
            info.update(|record| record.panic = true);
        }
        Ok(picked)
    }

    /// Says who is not healthy: some of them, there may be thousands.
    fn nobody(&self) -> Error {
        let mut detail = format!("cluster {:?} has no healthy upstream", self.shared.config().name);
        let hosts = self.shared.hosts().load();
        for (index, host) in hosts.hosts().iter().take(NAMED_HOSTS).enumerate() {
            let separator = if index == 0 { ": " } else { ", " };
            detail.push_str(&format!("{separator}{} is {}", host.address(), host.health()));
        }
        if hosts.hosts().len() > NAMED_HOSTS {
            detail.push_str(&format!(", and {} more", hosts.hosts().len() - NAMED_HOSTS));
        }
        Error::new(ErrorKind::NoHealthyUpstream).with_detail(detail)
    }

    async fn lease(&self, picked: &Picked<HostPool>) -> Result<Lease, Error> {
        match picked.item().checkout() {
            Some(lease) => Ok(lease),
            // Rare enough for a box, which keeps every request's future small.
            None => Box::pin(picked.item().wait()).await,
        }
    }
}

impl HttpService for ClusterService {
    fn call(&self, request: Request<Body>) -> ResponseFuture {
        Box::pin(self.0.clone().respond(request))
    }
}

impl<B> Service<Request<B>> for ClusterService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> ResponseFuture {
        self.0.shared.complete_authority(&mut request);
        HttpService::call(self, request.map(Body::new))
    }
}

impl fmt::Debug for ClusterService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterService").field("cluster", &self.0.shared.config().name).finish_non_exhaustive()
    }
}
