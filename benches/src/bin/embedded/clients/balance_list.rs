//! tonic's own: addresses that are known beforehand, power of two choices, no health checks.

use meshlib_examples::proto::echo_client::EchoClient;
use tonic::transport::{Channel, Endpoint};

use crate::{BoxError, Target};

pub(crate) fn connect(target: &Target) -> Result<EchoClient<Channel>, BoxError> {
    let endpoint = |server| Endpoint::from_shared(format!("http://{server}"));
    let endpoints = target.servers.iter().map(endpoint).collect::<Result<Vec<_>, _>>()?;
    Ok(EchoClient::new(Channel::balance_list(endpoints.into_iter())))
}
