//! What a call over ginepro needs here: the tonic that it is made for, and the answers of our name server.

use std::{collections::HashSet, net::SocketAddr};

use ginepro::{LoadBalancedChannel, LookupService, ServiceDefinition};
use tonic_of_ginepro::{Request, client::Grpc, codec::ProstCodec, codegen::http::uri::PathAndQuery};

use crate::{BoxError, Target};

/// The addresses that DNS would give. They do not change here, and ginepro asks the system's servers only.
pub(super) struct Lookup(HashSet<SocketAddr>);

impl Lookup {
    pub(super) fn new(target: &Target) -> Self {
        Self(target.servers.iter().copied().collect())
    }
}

#[tonic::async_trait]
impl LookupService for Lookup {
    async fn resolve_service_endpoints(&self, _: &ServiceDefinition) -> anyhow::Result<HashSet<SocketAddr>> {
        Ok(self.0.clone())
    }
}

/// `EchoRequest` and `EchoResponse`, for that tonic's prost.
#[derive(Clone, PartialEq, prost::Message)]
struct Echo {
    #[prost(string, tag = "1")]
    content: String,
}

pub(super) async fn echo(channel: LoadBalancedChannel, content: String) -> Result<String, BoxError> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let path = PathAndQuery::from_static("/api.Echo/Echo");
    let answer = grpc.unary(Request::new(Echo { content }), path, ProstCodec::<Echo, Echo>::default()).await?;
    Ok(answer.into_inner().content)
}
