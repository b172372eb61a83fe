//! A cluster that is a service of this process.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use crate::{
    base::BoxError,
    http::{Body, service::ArcService},
};

/// A tower service that takes the place of a cluster: routes lead to it, no socket is needed.
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response};
/// use meshlib::{http::Body, proxy::config::{LocalService, MeshConfig}};
/// use tower::service_fn;
///
/// let hello = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) });
/// let config = MeshConfig::default().local_service(LocalService::new("echo", hello));
/// assert_eq!(config, config.clone());
/// ```
#[derive(Clone)]
pub struct LocalService {
    name: Arc<str>,
    service: ArcService,
}

impl LocalService {
    /// The cluster `name` is this service: an axum router, a tonic server, anything that takes requests. It is cloned
    /// for each request. An error that is no [`Error`](crate::base::Error) is answered with 500.
    pub fn new<S, B>(name: impl Into<Arc<str>>, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self { name: name.into(), service: ArcService::new(service) }
    }

    /// The cluster's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The service.
    pub fn service(&self) -> &ArcService {
        &self.service
    }
}

/// One service under one name.
impl PartialEq for LocalService {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.service.is(&other.service)
    }
}

impl fmt::Debug for LocalService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalService").field(&self.name).finish()
    }
}
