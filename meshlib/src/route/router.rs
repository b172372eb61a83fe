//! The router: one service that hands each request to its route's service.
//!
//! Alone it routes to any tower services:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::{Request, Response};
//! use meshlib::{http::Body, layer::error_to_response::ErrorToResponseLayer, route::{Router, config::RouteMatch}};
//! use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
//!
//! let answer = |text: &'static str| {
//!     BoxCloneSyncService::new(tower::service_fn(move |_: Request<Body>| async move {
//!         Ok::<_, std::io::Error>(Response::new(Body::from(text)))
//!     }))
//! };
//! let router = Router::builder()
//!     .route(RouteMatch::path("/version"), answer("1"))
//!     .route(RouteMatch::prefix("/api/"), answer("api"))
//!     .build()
//!     .unwrap();
//! let service = ServiceBuilder::new().layer(ErrorToResponseLayer::new()).service(router);
//!
//! let found = service.clone().oneshot(Request::get("/api/x").body(Body::empty()).unwrap()).await.unwrap();
//! assert_eq!(found.status(), 200);
//! let missed = service.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
//! assert_eq!(missed.status(), 404);
//! # }
//! ```

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use http::Request;
use pin_project::pin_project;
use tower_service::Service;

use super::{
    config::{RouteAction, RouteMatch, RouteTableConfig},
    table::{Entries, Entry, Matched, RouteTable, RouteTableError},
};
use crate::{
    base::{BoxError, Error, ErrorKind, RequestInfo},
    http::Called,
};

/// Routes requests to services of type `S`.
///
/// Clones share the routes, and [`replace`](Self::replace) changes them for all. A request looks its route up once, as
/// it arrives, and keeps it. Always ready: each target is cloned and driven through `oneshot`, so a target that waits
/// makes only its own request wait. A request without a route fails as [`ErrorKind::NoRoute`].
///
/// Route, virtual host and cluster are noted in the request's [`RequestInfo`], where it has one.
pub struct Router<S>(Arc<ArcSwap<RouteTable<S>>>);

impl Router<()> {
    /// Begins a router of plain services; its routes are those of any host until
    /// [`virtual_host`](RouterBuilder::virtual_host) is called.
    pub fn builder<S>() -> RouterBuilder<S> {
        RouterBuilder { hosts: Vec::new() }
    }
}

impl<S> Router<S> {
    /// A router for these routes; `target` makes the service that a route leads to.
    ///
    /// # Errors
    /// See [`RouteTable::new`].
    pub fn new(config: &RouteTableConfig, target: impl FnMut(&RouteAction) -> S) -> Result<Self, RouteTableError> {
        RouteTable::new(config, target).map(Self::from)
    }

    /// Routes whatever arrives from now on by another table.
    pub fn replace(&self, table: RouteTable<S>) {
        self.0.store(Arc::new(table));
    }

    /// The table now.
    pub fn table(&self) -> Arc<RouteTable<S>> {
        self.0.load_full()
    }
}

impl<S> From<RouteTable<S>> for Router<S> {
    fn from(table: RouteTable<S>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(table)))
    }
}

impl<S> Clone for Router<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Router")
    }
}

impl<S, B> Service<Request<B>> for Router<S>
where
    S: Service<Request<B>> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let table = self.0.load();
        let info = RequestInfo::of(request.extensions());
        let Some(matched) = table.find(&request) else {
            let error = Error::new(ErrorKind::NoRoute);
            let error = if let Some(info) = info { error.with_info(info.clone()) } else { error };
            return ResponseFuture(State::NoRoute(Some(error)));
        };
        if let Some(info) = info {
            note(info, &matched);
        }
        ResponseFuture(State::Route(Called::new(matched.target().clone(), request)))
    }
}

fn note<S>(info: &RequestInfo, matched: &Matched<'_, S>) {
    info.update(|record| {
        record.virtual_host = Some(matched.virtual_host().clone());
        record.route = matched.name().cloned();
        record.cluster = matched.cluster().cloned();
    });
}

/// The future of [`Router`].
#[pin_project]
pub struct ResponseFuture<S: Service<Request<B>>, B>(#[pin] State<S, B>);

#[pin_project(project = StateProjection)]
#[expect(clippy::large_enum_variant, reason = "the small one is the rare one")]
enum State<S: Service<Request<B>>, B> {
    NoRoute(Option<Error>),
    Route(#[pin] Called<S, Request<B>>),
}

impl<S, B> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().0.project() {
            StateProjection::NoRoute(error) => {
                Poll::Ready(Err(error.take().unwrap_or_else(|| Error::new(ErrorKind::NoRoute))))
            }
            StateProjection::Route(response) => response.poll(cx),
        }
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

/// Builds a [`Router`] of plain services.
pub struct RouterBuilder<S> {
    hosts: Vec<Entries<S>>,
}

impl<S> RouterBuilder<S> {
    /// The routes that follow are for these domains: `a.example`, `*.example`, `a.*` or `*`.
    #[must_use]
    pub fn virtual_host<D>(mut self, name: impl Into<Arc<str>>, domains: impl IntoIterator<Item = D>) -> Self
    where
        D: Into<String>,
    {
        let domains = domains.into_iter().map(Into::into).collect();
        self.hosts.push(Entries { name: name.into(), domains, routes: Vec::new() });
        self
    }

    /// Adds a route; the first that matches is taken.
    #[must_use]
    pub fn route(mut self, matches: RouteMatch, service: S) -> Self {
        if self.hosts.is_empty() {
            self = self.virtual_host("any", ["*"]);
        }
        if let Some(host) = self.hosts.last_mut() {
            host.routes.push(Entry::to_target(matches, service));
        }
        self
    }

    /// The router.
    ///
    /// # Errors
    /// See [`RouteTable::new`].
    pub fn build(self) -> Result<Router<S>, RouteTableError> {
        self.table().map(Router::from)
    }

    /// The table alone, for [`Router::replace`].
    ///
    /// # Errors
    /// See [`RouteTable::new`].
    pub fn table(self) -> Result<RouteTable<S>, RouteTableError> {
        RouteTable::compile(self.hosts)
    }
}

impl<S> fmt::Debug for RouterBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouterBuilder")
    }
}

#[cfg(test)]
mod stack_tests;
#[cfg(test)]
mod tests;
