//! From configuration to the stack that serves a worker's connections.
//!
//! A [`ListenerBlueprint`] is made once, when configuration is read: certificates are loaded, formats and conditions
//! compiled. Each worker then gets a [`ConnectionStack`] of its own: its access log buffers, its shards of the stats,
//! its routes to its own data paths.

use std::sync::Arc;

use tower_layer::Layer;

#[cfg(feature = "tls")]
use super::listener::stat_prefix;
use super::{
    clusters::{ClusterServices, Upstream},
    config::{
        AccessLogConfig, AccessLoggerConfig, AdminConfig, FilterChainConfig, HttpConnectionManagerConfig,
        ListenerConfig, NodeConfig,
    },
    connection_manager::HttpConnectionManager,
    filter,
    listener::ConnectionStack,
};
#[cfg(feature = "tls")]
use crate::net::tls::TlsAcceptor;
use crate::{
    base::{Error, ErrorKind, Resources, info::FinishObserver, resources::LogSink},
    http::{options::ServerOptions, service::ArcService},
    layer::access_log::{AccessLog, Format},
    route::{
        ActionLayer, RouteTable, Router,
        config::{RouteAction, RouteTableConfig},
    },
};

/// A listener's configuration, checked and compiled as far as workers can share it.
pub(crate) struct ListenerBlueprint {
    #[cfg(feature = "tls")]
    tls: Option<TlsAcceptor>,
    http: HttpBlueprint,
    options: Arc<ServerOptions>,
}

impl ListenerBlueprint {
    /// Loads and compiles what `config` names.
    pub(crate) fn new(config: &ListenerConfig, node: &NodeConfig, resources: &Resources) -> Result<Self, Error> {
        let chain = filter_chain(config)?;
        #[cfg(not(feature = "tls"))]
        if chain.tls.is_some() {
            return Err(Error::new(ErrorKind::Configuration).with_detail("TLS needs the feature `tls`"));
        }
        Ok(Self {
            #[cfg(feature = "tls")]
            tls: match &chain.tls {
                Some(tls) => {
                    let acceptor = TlsAcceptor::builder(tls.clone()).resources(resources);
                    Some(acceptor.stat_prefix(stat_prefix(config.address)).build()?)
                }
                None => None,
            },
            http: HttpBlueprint::new(&chain.http, node, resources)?,
            options: Arc::new(chain.http.server.clone()),
        })
    }

    /// What happens to its requests.
    pub(crate) fn http(&self) -> &HttpBlueprint {
        &self.http
    }

    /// The stack of one worker, whose requests end at `innermost`.
    pub(crate) fn stack(&self, innermost: ArcService, resources: &Resources) -> Result<ConnectionStack, Error> {
        Ok(ConnectionStack {
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            manager: self.http.manager(innermost, resources)?,
            options: self.options.clone(),
            random: resources.random().clone(),
        })
    }
}

/// The chain that takes a listener's connections. Conditions on chains come later: the first takes every one.
pub(crate) fn filter_chain(config: &ListenerConfig) -> Result<&FilterChainConfig, Error> {
    config.filter_chains.first().ok_or_else(|| {
        let detail = format!("listener `{}` has no filter chain", config.name);
        Error::new(ErrorKind::Configuration).with_detail(detail)
    })
}

/// What happens to the requests of a listener: its filters, its routes, its access logs.
pub(crate) struct HttpBlueprint {
    http: HttpConnectionManagerConfig,
    node: NodeConfig,
    access_logs: AccessLogs,
}

impl HttpBlueprint {
    /// Opens and compiles what `http` names.
    pub(crate) fn new(
        http: &HttpConnectionManagerConfig,
        node: &NodeConfig,
        resources: &Resources,
    ) -> Result<Self, Error> {
        let access_logs = AccessLogs::open(&http.access_logs, resources)?;
        Ok(Self { http: http.clone(), node: node.clone(), access_logs })
    }

    /// The router, over the data paths of one worker.
    pub(crate) fn router(&self, services: &ClusterServices, resources: &Resources) -> Result<ArcService, Error> {
        let table = RouteTable::try_new(&self.http.routes, |action| target(action, services, resources))?;
        Ok(ArcService::new(Router::from(table)))
    }

    /// The connection manager of one worker: filters and logs around `innermost`, which is the router, or stands in
    /// its place.
    pub(crate) fn manager(&self, innermost: ArcService, resources: &Resources) -> Result<HttpConnectionManager, Error> {
        let service = filter::chain(&self.http.http_filters, innermost, &self.node, resources)?;
        HttpConnectionManager::new(&self.http, service, self.access_logs.observers(resources), resources)
    }
}

/// The service that a route leads to: its timeout and headers around its cluster's data path.
type Target = <ActionLayer as Layer<Upstream>>::Service;

fn target(action: &RouteAction, services: &ClusterServices, resources: &Resources) -> Result<Target, Error> {
    let Some(service) = services.get(&action.cluster) else {
        let detail = format!("a route leads to `{}`, and there is no such cluster", action.cluster);
        return Err(Error::new(ErrorKind::NoCluster).with_detail(detail));
    };
    let counter = resources.stats().counter(format!("cluster.{}.upstream_rq_timeout", action.cluster));
    Ok(ActionLayer::new(action).timeout_counter(counter).layer(service.clone()))
}

/// The stack of the admin interface: the same connection manager with another service behind it.
pub(crate) fn admin_stack(
    config: &AdminConfig,
    service: ArcService,
    resources: &Resources,
) -> Result<ConnectionStack, Error> {
    let mut http = HttpConnectionManagerConfig::new("admin", RouteTableConfig::default());
    // As in Envoy's admin log: the client's address as `x-forwarded-for`, and no request id.
    http.use_remote_address = true;
    http.generate_request_id = false;
    let access_logs = AccessLogs::open(&config.access_logs, resources)?.observers(resources);
    Ok(ConnectionStack {
        #[cfg(feature = "tls")]
        tls: None,
        manager: HttpConnectionManager::new(&http, service, access_logs, resources)?,
        options: Arc::new(http.server.clone()),
        random: resources.random().clone(),
    })
}

/// Opened access logs; each worker writes to files through buffers of its own.
struct AccessLogs(Vec<OpenLog>);

enum OpenLog {
    File(Format, Arc<dyn LogSink>),
    Custom(Arc<dyn FinishObserver>),
}

impl AccessLogs {
    fn open(configs: &[AccessLoggerConfig], resources: &Resources) -> Result<Self, Error> {
        let open = |config: &AccessLoggerConfig| match config {
            AccessLoggerConfig::File(file) => open(file, resources).map(|(format, sink)| OpenLog::File(format, sink)),
            AccessLoggerConfig::Custom(log) => Ok(OpenLog::Custom(log.observer().clone())),
        };
        configs.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    fn observers(&self, resources: &Resources) -> Vec<Arc<dyn FinishObserver>> {
        let log = |log: &OpenLog| -> Arc<dyn FinishObserver> {
            match log {
                OpenLog::File(format, sink) => {
                    Arc::new(AccessLog::new(format.clone(), sink.clone(), resources.stats()))
                }
                OpenLog::Custom(observer) => observer.clone(),
            }
        };
        self.0.iter().map(log).collect()
    }
}

fn open(config: &AccessLogConfig, resources: &Resources) -> Result<(Format, Arc<dyn LogSink>), Error> {
    let format = match &config.format {
        Some(format) => Format::parse(format).map_err(|error| {
            let detail = format!("the format of access log {}", config.path.display());
            Error::new(ErrorKind::Configuration).with_detail(detail).with_source(error)
        })?,
        None => Format::default(),
    };
    let sink = resources.log_sinks().open(&config.path).map_err(|error| {
        let detail = format!("cannot open access log {}", config.path.display());
        Error::new(ErrorKind::Io).with_detail(detail).with_source(error)
    })?;
    Ok((format, sink))
}
