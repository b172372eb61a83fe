//! The configured filters, folded: each wraps the next, the router is the innermost.

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
            let layer = HealthCheckLayer::new(&config.headers)
                .map_err(|error| Error::new(ErrorKind::Configuration).with_source(error))?;
            todo!("{layer:?} {node:?} {resources:?} {next:?}")
        }
    }
}
