//! What the scenarios share.

pub(crate) mod app;
pub(crate) mod file;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod log;
pub(crate) mod proxy;
pub(crate) mod tls;
pub(crate) mod watched;

use std::time::Duration;

use meshlib::base::Stats;
use meshlib_examples::{
    client::EchoClient,
    mesh::{Deployment, Options},
};
use tokio::time::Instant;

/// How long something that has to happen may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `holds`, looking every 20 ms.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "it did not happen within {PATIENCE:?}: {what}");
        looks.tick().await;
    }
}

/// Waits for `future`, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("it did not happen within {PATIENCE:?}: {what}"),
    }
}

/// A deployment with a client.
pub(crate) async fn mesh(options: Options) -> (Deployment, EchoClient) {
    let deployment = within("the deployment starts", Deployment::start(options)).await.expect("the deployment starts");
    let client = EchoClient::connect(&deployment.url()).await.expect("the edge takes connections");
    (deployment, client)
}

/// The pod that answers one call.
pub(crate) async fn answered_by(client: &EchoClient) -> String {
    let reply = within("an answer", client.echo("hello")).await.expect("an answer");
    assert_eq!(reply.content, "hello");
    reply.hostname().expect("a host name").to_owned()
}

/// A counter of the edge.
pub(crate) fn counter(deployment: &Deployment, name: &str) -> u64 {
    stats(deployment).counter_value(name).unwrap_or_else(|| panic!("there is no counter {name}"))
}

pub(crate) fn stats(deployment: &Deployment) -> &Stats {
    deployment.edge().resources().stats()
}

/// How many hosts the edge has, and how many of them are healthy.
pub(crate) fn hosts(deployment: &Deployment) -> (usize, usize) {
    let hosts = deployment.cluster().expect("the cluster").hosts().load_full();
    (hosts.hosts().len(), hosts.healthy())
}
