//! meshlib's cluster: DNS, health checks, round robin.

use std::{sync::Arc, time::Duration};

use meshlib::{
    base::Resources,
    cluster::{Cluster, ClusterService, config::HealthCheckConfig},
    discovery::SystemResolver,
};
use meshlib_examples::{pods::SERVICE, proto::echo_client::EchoClient};

use crate::{BoxError, Target};

pub(crate) fn connect(target: &Target) -> Result<EchoClient<ClusterService>, BoxError> {
    let port = target.servers.first().ok_or("no server")?.port();
    let (second, dns) = (Duration::from_secs(1), SystemResolver::with_server(target.dns));
    let cluster = Cluster::builder("echo")
        .strict_dns(SERVICE, port)
        .http2()
        .health_check(HealthCheckConfig::grpc(second, 10 * second, 2, 2))
        .build(&Resources::default().with_resolver(Arc::new(dns)))?;
    Ok(EchoClient::new(cluster.service()))
}
