//! The filters of a connection manager.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    base::{BoxError, Identity},
    http::{Body, header_match::HeaderMatch, service::ArcService},
};

/// A filter of the chain before the router.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HttpFilterConfig {
    /// Answers health checks of this process (`envoy.filters.http.health_check`).
    HealthCheck(HealthCheckFilterConfig),
    /// A layer of the application's own.
    Custom(CustomHttpFilter),
}

impl From<HealthCheckFilterConfig> for HttpFilterConfig {
    fn from(filter: HealthCheckFilterConfig) -> Self {
        Self::HealthCheck(filter)
    }
}

impl From<CustomHttpFilter> for HttpFilterConfig {
    fn from(filter: CustomHttpFilter) -> Self {
        Self::Custom(filter)
    }
}

/// The health-check filter (Envoy's `HealthCheck` filter), not in pass-through mode.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HealthCheckFilterConfig {
    /// A request is a health check if all of these hold.
    pub headers: Vec<HeaderMatch>,
}

impl HealthCheckFilterConfig {
    /// Requests for which all of these hold.
    pub fn new(headers: Vec<HeaderMatch>) -> Self {
        Self { headers }
    }
}

/// A tower layer as a filter: tower-http's, or an application's own.
///
/// The layer wraps the next filter once for each worker, when the listener starts; a request clones what comes out. Its
/// response may have any body. An error that is no [`Error`](crate::base::Error) is answered with 500.
///
/// ```
/// use meshlib::proxy::config::{CustomHttpFilter, HttpConnectionManagerConfig};
/// use meshlib::route::config::RouteTableConfig;
/// use tower::util::MapRequestLayer;
///
/// let tenant = MapRequestLayer::new(|mut request: http::Request<meshlib::http::Body>| {
///     request.headers_mut().insert("x-tenant", http::HeaderValue::from_static("acme"));
///     request
/// });
/// let filter = CustomHttpFilter::new("acme.filters.tenant", tenant);
/// let http = HttpConnectionManagerConfig::new("ingress", RouteTableConfig::default()).http_filter(filter);
/// assert_eq!(http, http.clone());
/// ```
#[derive(Clone)]
pub struct CustomHttpFilter {
    identity: Identity,
    wrap: Arc<dyn Fn(ArcService) -> ArcService + Send + Sync>,
}

impl CustomHttpFilter {
    /// This layer, under a name for errors and dumps. The filter is equal to its clones only.
    pub fn new<L, B>(name: impl Into<Arc<str>>, layer: L) -> Self
    where
        L: Layer<ArcService> + Send + Sync + 'static,
        L::Service: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let wrap = move |next| ArcService::new(layer.layer(next));
        Self { identity: Identity::unique(name), wrap: Arc::new(wrap) }
    }

    /// Says what the layer was made of: two filters of one name and equal values are equal.
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

    /// The filter in front of `next`.
    pub fn wrap(&self, next: ArcService) -> ArcService {
        (self.wrap)(next)
    }
}

impl PartialEq for CustomHttpFilter {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl fmt::Debug for CustomHttpFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomHttpFilter").field(&self.identity).finish()
    }
}
