//! The configured filters, folded: each wraps the next, the router is the innermost.

use tower_layer::Layer;

use super::config::{HttpFilterConfig, NodeConfig};
use crate::{
    base::{Error, ErrorKind, Resources},
    http::service::ArcService,
    layer::health_check::HealthCheckLayer,
};

/// Wraps `router` into `filters`; a request meets them in the order of the list.
pub(crate) fn chain(
    filters: &[HttpFilterConfig],
    router: ArcService,
    node: &NodeConfig,
    resources: &Resources,
) -> Result<ArcService, Error> {
    filters.iter().rev().try_fold(router, |next, filter| wrap(filter, next, node, resources))
}

fn wrap(
    filter: &HttpFilterConfig,
    next: ArcService,
    node: &NodeConfig,
    resources: &Resources,
) -> Result<ArcService, Error> {
    match filter {
        HttpFilterConfig::HealthCheck(config) => {
            let layer = HealthCheckLayer::matching(&config.headers)
                .map_err(|error| Error::new(ErrorKind::Configuration).with_source(error))?;
            let layer = layer.cluster(&node.cluster).failing_with(resources.drain().clone());
            Ok(ArcService::new(layer.layer(next)))
        }
        HttpFilterConfig::Custom(filter) => Ok(filter.wrap(next)),
    }
}
