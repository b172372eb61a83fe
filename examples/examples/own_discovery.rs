//! Endpoints from the application's own registry, here a file, and a health check of its own, here a connection.
//!
//! ```sh
//! cargo run --example own-discovery
//! ```
//!
//! It prints who answers while two pods are registered, then three of which one has died, then none for the registry is
//! gone. Each item of the stream is the whole set of endpoints; a failure keeps what there is. Without a stream,
//! `Watched` takes a `tokio::sync::watch` channel, and `Discover` is a trait of one required method.

use std::{net::SocketAddr, path::Path, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use meshlib::base::Resources;
use meshlib::cluster::{Cluster, config::HealthCheckConfig, health::CustomCheck, host::Host};
use meshlib::discovery::{Endpoint, Streamed};
use meshlib_examples::proto::{EchoRequest, echo_client::EchoClient};
use meshlib_examples::{demo::Summary, demo::Terminal, mesh::StartError, pods::Pods};
use tokio::time::{MissedTickBehavior, interval};

/// The addresses in a file, one a line, read again and again.
fn registry(path: PathBuf) -> impl Stream<Item = Result<Vec<Endpoint>, String>> + Send {
    let mut ticks = interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold((ticks, path), |(mut ticks, path)| async {
        ticks.tick().await;
        Some((read(&path).await, (ticks, path)))
    })
}

async fn read(path: &Path) -> Result<Vec<Endpoint>, String> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| error.to_string())?;
    let endpoint = |line: &str| line.parse().map(Endpoint::new).map_err(|_| format!("{line:?} is not an address"));
    text.lines().map(endpoint).collect()
}

/// A host is well if it takes connections.
async fn accepts(host: Arc<Host>) -> std::io::Result<()> {
    tokio::net::TcpStream::connect(host.address()).await.map(drop)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let (mut pods, mut output) = (Pods::start(3).await?, Terminal::stdout());
    let (folder, addresses) = (tempfile::tempdir()?, pods.addresses().collect::<Vec<_>>());
    let file = folder.path().join("registry");
    write(&file, addresses.get(..2).unwrap_or_default()).await?;

    let second = Duration::from_secs(1);
    let cluster = Cluster::builder("echo-grpc")
        .discover(Streamed::new(registry(file.clone()).boxed()))
        .health_check(HealthCheckConfig::custom(second, second / 20, 1, 1, CustomCheck::new("accepts", accepts)))
        .http2()
        .build(&Resources::default())?;
    let mut client = EchoClient::new(cluster.service());
    output.heading("Two pods are registered")?;
    calls(&mut client).await.print(&mut output)?;

    output.heading("All three are, and pod-1 has died")?;
    pods.kill("pod-1").await;
    write(&file, &addresses).await?;
    while cluster.hosts().load().hosts().len() < 3 || cluster.hosts().load().healthy() != 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    calls(&mut client).await.print(&mut output)?;

    output.heading("The registry is gone")?;
    tokio::fs::remove_file(&file).await?;
    tokio::time::sleep(second / 5).await;
    Ok(calls(&mut client).await.print(&mut output)?)
}

async fn write(file: &Path, addresses: &[SocketAddr]) -> std::io::Result<()> {
    let lines: String = addresses.iter().map(|address| format!("{address}\n")).collect();
    // Renamed into place, so that nobody reads half of it.
    let new = file.with_extension("new");
    tokio::fs::write(&new, lines).await?;
    tokio::fs::rename(&new, file).await
}

async fn calls(client: &mut EchoClient<meshlib::cluster::ClusterService>) -> Summary {
    let mut summary = Summary::new();
    for _ in 0..20 {
        match client.echo(EchoRequest::default()).await {
            Ok(answer) => {
                summary.answered(answer.metadata().get("hostname").and_then(|pod| pod.to_str().ok()).unwrap_or("?"))
            }
            Err(status) => summary.failed(status.message()),
        }
    }
    summary
}
