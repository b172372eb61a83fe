//! A [`Mesh`] from a file.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use meshlib::proxy::mesh::Mesh;
//!
//! let mesh = Mesh::from_file("envoy.yaml")?; // the same bytes as the binary's
//! let echo = mesh.cluster("echo-grpc")?; // balanced, health-checked
//! # Ok(())
//! # }
//! ```

use std::{fmt, path::Path, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Loaded,
    diagnostic::ConfigErrors,
    extensions::{ExtensionConfig, Extensions},
    load_file_with, load_with,
};
use crate::{
    base::{BoxError, Error, FinishObserver, Resources},
    cluster::{balance::LoadBalancer, host::Host},
    discovery::Discover,
    http::{Body, service::ArcService},
    proxy::{
        config::{LocalService, MeshConfig},
        mesh::Mesh,
    },
};

impl Mesh {
    /// A mesh with resources, services and extensions of your own.
    pub fn builder() -> MeshBuilder {
        MeshBuilder::default()
    }

    /// Starts the clusters of an Envoy file, v2 or v3, on the ambient runtime and the operating system's network.
    /// Nothing is bound. What is outdated in the file is logged as a warning.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file; and as [`Mesh::from_config`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, MeshError> {
        Self::builder().start_file(path)
    }

    /// The same for the text of a file; `name` is what diagnostics call it.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Self::from_file).
    pub fn from_str(name: &str, text: &str) -> Result<Self, MeshError> {
        Self::builder().start_str(name, text)
    }
}

/// Builds a [`Mesh`]: what it runs on, which services of this process are its clusters, and what its file may name that
/// meshlib does not know.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::{Request, Response};
/// use meshlib::{http::Body, proxy::mesh::Mesh};
/// use tower::{ServiceExt, service_fn};
///
/// let file = "
/// static_resources:
///   listeners:
///   - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
///     filter_chains:
///     - filters:
///       - name: envoy.http_connection_manager
///         config:
///           stat_prefix: egress
///           route_config:
///             virtual_hosts:
///             - {name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: echo}}]}
///           http_filters: [{name: envoy.router}]
/// ";
/// let echo = service_fn(|_: Request<Body>| async { Ok::<_, std::io::Error>(Response::new(Body::from("hello"))) });
/// let mesh = Mesh::builder().local_service("echo", echo).start_str("envoy.yaml", file)?;
/// let response = mesh.service()?.oneshot(Request::get("http://echo/").body(Body::empty())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it starts"]
pub struct MeshBuilder {
    resources: Option<Resources>,
    local_services: Vec<LocalService>,
    extensions: Extensions,
}

impl MeshBuilder {
    /// Runs on these resources. Default: the operating system's, with new stats and a drain of its own.
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = Some(resources);
        self
    }

    /// Makes `service` the cluster `name`: routes of the file lead to it without a socket. The file may have a cluster
    /// of this name, which then is not started, or none. See [`LocalService::new`].
    pub fn local_service<S, B>(mut self, name: &str, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.extensions = self.extensions.local_cluster(name);
        self.local_services.push(LocalService::new(name, service));
        self
    }

    /// Makes a tower layer known as an HTTP filter of the file: the application's own, or one of tower-http.
    /// See [`Extensions::http_filter`].
    pub fn register_http_filter<C, L, B>(self, name: &str, make: impl Fn(C) -> L + Send + Sync + 'static) -> Self
    where
        C: ExtensionConfig,
        L: Layer<ArcService> + Send + Sync + 'static,
        L::Service: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.extend(|extensions| extensions.http_filter(name, make))
    }

    /// Makes a load balancer known as a policy of `load_balancing_policy`. See [`Extensions::load_balancer`].
    pub fn register_load_balancer<C, L>(self, name: &str, make: impl Fn(C) -> L + Send + Sync + 'static) -> Self
    where
        C: ExtensionConfig,
        L: LoadBalancer + 'static,
    {
        self.extend(|extensions| extensions.load_balancer(name, make))
    }

    /// Makes a discovery known as a `cluster_type`. See [`Extensions::discovery`].
    pub fn register_discovery<C, D>(
        self,
        name: &str,
        make: impl Fn(&C, &Resources) -> D + Send + Sync + 'static,
    ) -> Self
    where
        C: ExtensionConfig,
        D: Discover + 'static,
    {
        self.extend(|extensions| extensions.discovery(name, make))
    }

    /// Makes a health check known as a `custom_health_check`. See [`Extensions::health_check`].
    pub fn register_health_check<C, A, F, E>(self, name: &str, make: impl Fn(C) -> A + Send + Sync + 'static) -> Self
    where
        C: ExtensionConfig,
        A: Fn(Arc<Host>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.extend(|extensions| extensions.health_check(name, make))
    }

    /// Makes an observer of requests known as an access log. See [`Extensions::access_log`].
    pub fn register_access_log<C, O>(self, name: &str, make: impl Fn(C) -> O + Send + Sync + 'static) -> Self
    where
        C: ExtensionConfig,
        O: FinishObserver + 'static,
    {
        self.extend(|extensions| extensions.access_log(name, make))
    }

    fn extend(mut self, more: impl FnOnce(Extensions) -> Extensions) -> Self {
        self.extensions = more(self.extensions);
        self
    }

    /// Starts the clusters of an Envoy file, read through the resources. See [`Mesh::from_file`].
    ///
    /// # Errors
    ///
    /// As [`Mesh::from_file`].
    pub fn start_file(self, path: impl AsRef<Path>) -> Result<Mesh, MeshError> {
        let resources = self.resources.clone().unwrap_or_default();
        let loaded = load_file_with(path.as_ref(), resources.files().as_ref(), &self.extensions)?;
        self.start_loaded(loaded, resources)
    }

    /// Starts the clusters of a file's text. See [`Mesh::from_str`].
    ///
    /// # Errors
    ///
    /// As [`Mesh::from_file`].
    pub fn start_str(self, name: &str, text: &str) -> Result<Mesh, MeshError> {
        let loaded = load_with(name, text, &self.extensions)?;
        let resources = self.resources.clone().unwrap_or_default();
        self.start_loaded(loaded, resources)
    }

    /// Starts the clusters of a configuration made in code, or read before by
    /// [`load_with`](super::load_with).
    ///
    /// # Errors
    ///
    /// As [`Mesh::from_config`].
    pub fn start(self, mut config: MeshConfig) -> Result<Mesh, MeshError> {
        config.local_services.extend(self.local_services);
        Ok(Mesh::from_config(config, self.resources.unwrap_or_default())?)
    }

    fn start_loaded(mut self, loaded: Loaded, resources: Resources) -> Result<Mesh, MeshError> {
        if !loaded.warnings.is_empty() {
            tracing::warn!("{}", loaded.warnings);
        }
        self.resources = Some(resources);
        self.start(loaded.config)
    }
}

/// Why there is no mesh. `Display` and `Debug` write the same, so that what `main` returns is readable.
#[non_exhaustive]
pub enum MeshError {
    /// The file has errors: all of them, each with its place.
    File(ConfigErrors),
    /// The file is right, and its mesh cannot start.
    Start(Error),
}

impl From<ConfigErrors> for MeshError {
    fn from(errors: ConfigErrors) -> Self {
        Self::File(errors)
    }
}

impl From<Error> for MeshError {
    fn from(error: Error) -> Self {
        Self::Start(error)
    }
}

impl fmt::Display for MeshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(errors) => errors.fmt(f),
            Self::Start(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for MeshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for MeshError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_) => None,
            Self::Start(error) => error.source(),
        }
    }
}
