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
//! See [`ClusterShared`] for an example.

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
    attempt::{Attempts, Next},
    in_flight::{Admitted, InFlight},
};
use super::{
    ClusterShared,
    balance::{PickContext, Picked, Picks},
    circuit_breaker::Limited,
    pool::{HostPool, Lease, PoolContext},
    stats::ClusterStats,
};
use crate::{
    base::{BoxError, Error, ErrorKind, RequestInfo, Resources},
    http::{Body, Failed, HttpService, ResponseFuture},
};

/// One data path to a cluster's hosts. Cloning shares it.
#[derive(Clone)]
pub struct ClusterService(Arc<DataPath>);

struct DataPath {
    shared: Arc<ClusterShared>,
    picks: Arc<Picks<HostPool>>,
    context: Arc<PoolContext>,
}

impl ClusterService {
    /// A data path with pools of its own. Needs an ambient tokio runtime when it is called, not yet here.
    pub fn new(shared: Arc<ClusterShared>, resources: &Resources) -> Self {
        let breakers = shared.circuit_breakers().clone();
        let context = PoolContext::new(shared.config(), breakers, shared.traffic().clone(), resources);
        let pools = context.clone();
        let picks = Picks::new(shared.hosts(), &shared.config().lb_policy, resources.random().fork(), move |host| {
            HostPool::new(host.clone(), pools.clone())
        });
        Self(Arc::new(DataPath { shared, picks, context }))
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
            let known = given.is_some();
            let info = given.unwrap_or_else(RequestInfo::detached);
            info.update(|record| record.cluster = Some(self.shared.config().name.clone()));
            match self.answer(&mut request, &info).await {
                Ok(mut response) => {
                    if !known {
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
        let grpc = attempt::is_grpc(request.headers());
        let mut attempts = Attempts::default();
        loop {
            let picked = self.pick(request, &attempts, info)?;
            let started = attempt::begin(info, &picked);
            let (failed, lease) = match self.lease(&picked).await {
                Ok(mut lease) => match lease.exchange(std::mem::take(request)).await {
                    Ok(response) => {
                        attempt::succeeded(info, started, response.status());
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
            attempt::failed(info, started, &picked, &failed.error);
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
            return Err(Error::new(ErrorKind::NoHealthyUpstream)
                .with_detail(format!("cluster {:?} has no healthy upstream", self.shared.config().name)));
        };
        if picked.panic() {
            self.stats().lb_healthy_panic.increment();
            info.update(|record| record.panic = true);
        }
        Ok(picked)
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

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        HttpService::call(self, request.map(Body::new))
    }
}

impl fmt::Debug for ClusterService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterService").field("cluster", &self.0.shared.config().name).finish_non_exhaustive()
    }
}
