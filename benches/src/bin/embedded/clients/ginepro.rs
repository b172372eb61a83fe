//! ginepro: DNS over tonic's balanced channel, no health checks.

use ginepro::LoadBalancedChannel;
use meshlib_examples::pods::SERVICE;

use super::ginepro_call::Lookup;
use crate::{BoxError, Target};

pub(crate) async fn connect(target: &Target) -> Result<LoadBalancedChannel, BoxError> {
    let port = target.servers.first().ok_or("no server")?.port();
    let builder = LoadBalancedChannel::builder((SERVICE, port)).lookup_service(Lookup::new(target));
    Ok(builder.channel().await?)
}
