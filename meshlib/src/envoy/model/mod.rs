//! Envoy's messages, each read into the value that configures the part that serves it.

mod access_log;
mod address;
mod bootstrap;
mod circuit_breakers;
mod cluster;
mod cluster_options;
mod cluster_type;
mod connection_manager;
mod connection_options;
mod data_source;
mod endpoint;
mod extension;
mod header_matcher;
mod health_check;
mod http_filter;
mod listener;
mod own_extension;
mod protocol_options;
mod route;
mod route_table;
mod tls;

use std::sync::Arc;

pub(super) use self::{
    address::{Host, SocketAddress},
    bootstrap::Bootstrap,
    cluster::Cluster,
    cluster_type::ClusterType,
    endpoint::Endpoint,
    listener::Listener,
};
use super::{
    diagnostic::Spanned,
    reader::{FromConfig, Harmless},
};
use crate::proxy::config::DataSource;

/// The name of a cluster where it is used.
pub(super) type ClusterReference = Spanned<Arc<str>>;

/// Every field of Envoy's that may stand in a file though it has no effect: message, field, reason.
pub(super) fn harmless() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    fn of<T: FromConfig>() -> (&'static str, &'static [Harmless]) {
        (T::MESSAGE, T::HARMLESS)
    }
    let messages = [
        of::<Bootstrap>(),
        of::<bootstrap::Node>(),
        of::<bootstrap::Admin>(),
        of::<Listener>(),
        of::<listener::FilterChain>(),
        of::<connection_manager::ConnectionManager>(),
        of::<http_filter::Router>(),
        of::<access_log::LogFormat>(),
        of::<route_table::RouteTable>(),
        of::<route_table::VirtualHost>(),
        of::<route::Route>(),
        of::<route::Action>(),
        of::<tls::DownstreamTls>(),
        of::<tls::Certificate>(),
        of::<DataSource>(),
        of::<Cluster>(),
        of::<circuit_breakers::Thresholds>(),
        of::<endpoint::LoadAssignment>(),
        of::<endpoint::Locality>(),
        of::<endpoint::LbEndpoint>(),
        of::<endpoint::EndpointMessage>(),
        of::<cluster_options::CommonLb>(),
        of::<health_check::HealthCheck>(),
    ];
    messages.into_iter().flat_map(|(message, fields)| fields.iter().map(move |(field, why)| (message, *field, *why)))
}
