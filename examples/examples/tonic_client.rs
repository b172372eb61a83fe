//! A tonic client over a `Cluster`: balanced over the pods that DNS knows, health-checked, without a sidecar.
//!
//! ```sh
//! cargo run --example tonic-client
//! ```
//!
//! Three pods share the calls; one is killed and one is added, and no call fails; when all are dead, the error names
//! them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use meshlib::base::{Error, Resources};
use meshlib::cluster::{Cluster, ClusterService, config::HealthCheckConfig};
use meshlib::http::grpc::Code;
use meshlib_examples::proto::{EchoRequest, echo_client::EchoClient};
use meshlib_examples::{demo::Summary, demo::Terminal, mesh::StartError, pods::Pods, pods::SERVICE};
use tower::{ServiceBuilder, util::MapErr};

type Channel = MapErr<ClusterService, fn(Error) -> tonic::Status>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let (mut pods, mut output) = (Pods::start(3).await?, Terminal::stdout());
    // Without `with_resolver`, the system's name servers are asked.
    let resources = Resources::default().with_resolver(pods.resolver());
    let second = Duration::from_secs(1);
    let cluster = Cluster::builder("echo-grpc")
        .strict_dns(SERVICE, pods.port())
        .dns_refresh_rate(second / 5)
        .http2()
        .round_robin()
        .health_check(HealthCheckConfig::grpc(second, second / 5, 2, 1))
        .connect_timeout(second / 2)
        .build(&resources)?;
    let status: fn(Error) -> tonic::Status = status;
    let mut client = EchoClient::new(ServiceBuilder::new().map_err(status).service(cluster.service()));

    output.heading("Three pods")?;
    calls(&mut client, 30).await.print(&mut output)?;
    output.heading("pod-2 is killed")?;
    pods.kill("pod-2").await;
    calls(&mut client, 30).await.print(&mut output)?;
    output.heading("pod-4 is added")?;
    let new = pods.add().await?;
    while calls(&mut client, 4).await.answers_of(&new) == 0 {}
    calls(&mut client, 30).await.print(&mut output)?;
    output.heading("All are killed")?;
    pods.kill_all().await;
    let Err(status) = client.echo(EchoRequest::default()).await else { return Err("an answer, but from whom?".into()) };
    output.line(&format!("{:?}: {}", status.code(), status.message()))?;
    let name = failed(&status).and_then(|host| pods.name_of(host));
    Ok(output.line(&format!("the last one that failed is {}", name.ok_or("the error names no pod")?))?)
}

/// The status that gRPC has for an error, which stays its source.
fn status(error: Error) -> tonic::Status {
    let mut status = tonic::Status::new(tonic::Code::from_i32(Code::of(&error).into()), error.to_string());
    status.set_source(Arc::new(error));
    status
}

/// Which pod failed?
fn failed(status: &tonic::Status) -> Option<SocketAddr> {
    Error::find_in(status)?.info()?.upstream_host()
}

async fn calls(client: &mut EchoClient<Channel>, count: u32) -> Summary {
    let mut summary = Summary::new();
    for _ in 0..count {
        match client.echo(EchoRequest { content: "hello".into() }).await.map(|answer| answer.metadata().clone()) {
            Ok(headers) => summary.answered(headers.get("hostname").and_then(|pod| pod.to_str().ok()).unwrap_or("?")),
            Err(status) => summary.failed(status.message()),
        }
    }
    summary
}
