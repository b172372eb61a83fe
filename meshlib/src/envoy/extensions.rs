//! What an application adds to what a file may name.
//!
//! A filter of the application's own is a tower layer, made of a configuration that the file has under the filter's
//! name. It is read as everything else is: what is misspelt or missing is an error with its place.
//!
//! ```
//! use meshlib::envoy::{self, extensions::Extensions, reader::{FromConfig, Read, Reader}};
//! use tower::util::MapResponseLayer;
//!
//! #[derive(Clone, Debug, PartialEq)]
//! struct TenantCfg { header: String }
//!
//! impl FromConfig for TenantCfg {
//!     const MESSAGE: &'static str = "acme.TenantCfg"; // its type in a file
//!     fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
//!         Ok(Self { header: reader.required("header")? })
//!     }
//! }
//!
//! let extensions = Extensions::new().http_filter("acme.filters.tenant", |tenant: TenantCfg| {
//!     let name: http::HeaderName = tenant.header.parse().unwrap();
//!     MapResponseLayer::new(move |mut response: http::Response<meshlib::http::Body>| {
//!         response.headers_mut().insert(name.clone(), http::HeaderValue::from_static("acme"));
//!         response
//!     })
//! });
//! let file = "
//! static_resources:
//!   listeners:
//!   - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
//!     filter_chains:
//!     - filters:
//!       - name: envoy.http_connection_manager
//!         config:
//!           stat_prefix: ingress
//!           route_config: {}
//!           http_filters:
//!           - name: acme.filters.tenant
//!             typed_config: {'@type': type.googleapis.com/acme.TenantCfg, haeder: x-tenant}
//!           - name: envoy.router
//! ";
//! let errors = envoy::load_with("envoy.yaml", file, &extensions).unwrap_err().to_string();
//! assert!(errors.contains("unknown field `haeder` in `acme.TenantCfg`") && errors.contains("did you mean `header`?"));
//! assert!(envoy::load_with("envoy.yaml", &file.replace("haeder", "header"), &extensions).is_ok());
//! ```
//!
//! # In a file
//! | spelling | |
//! |---|---|
//! | `typed_config: {"@type": type.googleapis.com/acme.TenantCfg, ..}` | the type is [`FromConfig::MESSAGE`] |
//! | `typed_config: {"@type": type.googleapis.com/xds.type.v3.TypedStruct, type_url: .., value: {..}}` | likewise, as control planes write it; `udpa.type.v1.TypedStruct` too |
//! | `typed_config: {"@type": type.googleapis.com/google.protobuf.Struct, value: {..}}` | any type |
//! | `config: {..}` | as until 2020 |
//!
//! `()` is the configuration of what needs none; its type is `google.protobuf.Empty`, and it may be left out. A
//! registered name goes before one of Envoy's: so an application can bring what this version does not support. Where
//! the name is none that is known, the type tells which extension it is, as in Envoy, unless several have it.

mod registry;

use std::{collections::BTreeSet, fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

pub(super) use self::registry::Registry;
use super::{
    names::Category,
    reader::{FromConfig, Read, Reader},
};
use crate::{
    base::{BoxError, FinishObserver, Resources},
    cluster::{
        balance::{LbPolicy, LoadBalancer},
        health::CustomCheck,
        host::Host,
    },
    discovery::{CustomDiscovery, Discover},
    http::{Body, service::ArcService},
    proxy::config::{AccessLoggerConfig, CustomAccessLog, CustomHttpFilter, HttpFilterConfig},
};

/// The configuration of an extension: read from a file, compared, and shown. Every such type is one.
pub trait ExtensionConfig: FromConfig + Clone + fmt::Debug + PartialEq + Send + Sync + 'static {}

impl<C: FromConfig + Clone + fmt::Debug + PartialEq + Send + Sync + 'static> ExtensionConfig for C {}

/// Nothing to configure.
impl FromConfig for () {
    const MESSAGE: &'static str = "google.protobuf.Empty";

    fn from_config(_: &mut Reader<'_>) -> Read<Self> {
        Ok(())
    }
}

/// Extensions of an application's own, by the names that a file gives them. The one registered last has a name.
#[derive(Clone, Default)]
pub struct Extensions {
    /// Clusters that are services of this process: a route may lead to them though the file has none of that name.
    clusters: BTreeSet<String>,
    pub(super) http_filters: Registry<HttpFilterConfig>,
    pub(super) load_balancers: Registry<LbPolicy>,
    pub(super) discoveries: Registry<CustomDiscovery>,
    pub(super) health_checks: Registry<CustomCheck>,
    pub(super) access_logs: Registry<AccessLoggerConfig>,
}

impl Extensions {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// A cluster of this name need not be in the file.
    #[must_use]
    pub fn local_cluster(mut self, name: &str) -> Self {
        self.clusters.insert(name.to_owned());
        self
    }

    /// A tower layer, made by `make`, is the HTTP filter `name`. It is made when the file is read, and wraps the next
    /// filter once for each worker; see [`CustomHttpFilter`].
    #[must_use]
    pub fn http_filter<C, L, B>(mut self, name: &str, make: impl Fn(C) -> L + Send + Sync + 'static) -> Self
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
        self.http_filters.register(name, move |name, config: C| {
            CustomHttpFilter::new(name, make(config.clone())).configured_by(config).into()
        });
        self
    }

    /// A load balancer, made by `make` when the file is read, is the policy `name` of `load_balancing_policy`.
    #[must_use]
    pub fn load_balancer<C, L>(mut self, name: &str, make: impl Fn(C) -> L + Send + Sync + 'static) -> Self
    where
        C: ExtensionConfig,
        L: LoadBalancer + 'static,
    {
        self.load_balancers
            .register(name, move |_, config: C| LbPolicy::new(make(config.clone())).configured_by(config));
        self
    }

    /// A discovery, made by `make` when its cluster starts, is the `cluster_type` `name`. Such a cluster has no
    /// endpoints in the file. [`Streamed`](crate::discovery::Streamed) and [`Watched`](crate::discovery::Watched) make
    /// a discovery of a stream or a channel of endpoint sets.
    #[must_use]
    pub fn discovery<C, D>(mut self, name: &str, make: impl Fn(&C, &Resources) -> D + Send + Sync + 'static) -> Self
    where
        C: ExtensionConfig,
        D: Discover + 'static,
    {
        let make = Arc::new(make);
        self.discoveries.register(name, move |name, config: C| {
            let (make, of) = (make.clone(), config.clone());
            CustomDiscovery::new(name, move |resources| make(&of, resources)).configured_by(config)
        });
        self
    }

    /// What `make` gives is the `custom_health_check` `name`: a function from a host to whether it is well, called at
    /// the interval of the check. See [`CustomCheck`].
    #[must_use]
    pub fn health_check<C, A, F, E>(mut self, name: &str, make: impl Fn(C) -> A + Send + Sync + 'static) -> Self
    where
        C: ExtensionConfig,
        A: Fn(Arc<Host>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.health_checks
            .register(name, move |name, config: C| CustomCheck::new(name, make(config.clone())).configured_by(config));
        self
    }

    /// An observer, made by `make` when the file is read, is the access log `name`. See [`CustomAccessLog`].
    #[must_use]
    pub fn access_log<C, O>(mut self, name: &str, make: impl Fn(C) -> O + Send + Sync + 'static) -> Self
    where
        C: ExtensionConfig,
        O: FinishObserver + 'static,
    {
        self.access_logs.register(name, move |name, config: C| {
            CustomAccessLog::new(name, make(config.clone())).configured_by(config).into()
        });
        self
    }

    pub(crate) fn is_cluster(&self, name: &str) -> bool {
        self.clusters.contains(name)
    }

    /// The names that may stand there, each with the type of its configuration.
    pub(super) fn of(&self, category: Category) -> Vec<(&str, &'static str)> {
        match category {
            Category::HttpFilter => self.http_filters.all().collect(),
            Category::LoadBalancing => self.load_balancers.all().collect(),
            Category::Cluster => self.discoveries.all().collect(),
            Category::HealthCheck => self.health_checks.all().collect(),
            Category::AccessLog => self.access_logs.all().collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions")
            .field("clusters", &self.clusters)
            .field("http_filters", &self.http_filters)
            .field("load_balancers", &self.load_balancers)
            .field("discoveries", &self.discoveries)
            .field("health_checks", &self.health_checks)
            .field("access_logs", &self.access_logs)
            .finish()
    }
}
