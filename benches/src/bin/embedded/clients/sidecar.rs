//! tonic's channel to a sidecar: DNS, health checks and balancing are its business, and its file is the application's.

use meshlib_examples::proto::echo_client::EchoClient;
use tonic::transport::{Channel, Endpoint};

use crate::{BoxError, Target};

pub(crate) fn connect(target: &Target) -> Result<EchoClient<Channel>, BoxError> {
    let sidecar = target.sidecar.ok_or("no sidecar")?;
    Ok(EchoClient::new(Endpoint::from_shared(format!("http://{sidecar}"))?.connect_lazy()))
}
