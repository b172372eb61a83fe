//! A load balancer of the application's own: each user has a pod, and keeps it for as long as it is there.
//!
//! ```sh
//! cargo run --example custom-balancer
//! ```
//!
//! Rendezvous hashing: the pod with the highest hash of (user, pod) answers. It prints which user is served by which
//! pod, before and after one is killed: only its users move.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use meshlib::base::{Resources, resources::Rng};
use meshlib::cluster::{
    Cluster,
    balance::{LoadBalancer, PickContext, Picker},
    host_set::HostSet,
};
use meshlib_examples::proto::{EchoRequest, echo_client::EchoClient};
use meshlib_examples::{demo::Terminal, mesh::StartError, pods::Pods};
use tonic::Request;

const USERS: [&str; 6] = ["ada", "alan", "barbara", "edsger", "grace", "leslie"];

/// The policy, shared by all data paths.
#[derive(Debug)]
struct ByUser;

impl LoadBalancer for ByUser {
    fn name(&self) -> &str {
        "BY_USER"
    }

    fn picker(&self, _: Rng) -> Box<dyn Picker> {
        Box::new(Rendezvous { seeds: Vec::new() })
    }
}

/// One data path's picks. What is costly is done once for each set of hosts.
#[derive(Debug)]
struct Rendezvous {
    seeds: Vec<DefaultHasher>,
}

impl Picker for Rendezvous {
    fn update(&mut self, hosts: &HostSet) {
        let seed = |host: &std::sync::Arc<meshlib::cluster::host::Host>| {
            let mut hasher = DefaultHasher::new();
            host.address().hash(&mut hasher);
            hasher
        };
        self.seeds = hosts.hosts().iter().map(seed).collect();
    }

    fn pick(&mut self, hosts: &HostSet, request: &PickContext<'_>) -> Option<usize> {
        let user = request.headers.and_then(|headers| headers.get("user")).map_or(&b""[..], |user| user.as_bytes());
        let weight = |index: &usize| {
            let mut hasher = self.seeds.get(*index).cloned().unwrap_or_default();
            user.hash(&mut hasher);
            hasher.finish()
        };
        // A host that could not be connected to was tried: the next one in this user's order takes over.
        let untried = hosts.eligible().iter().copied().filter(|index| !request.tried.contains(index));
        untried.max_by_key(weight)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let (mut pods, mut output) = (Pods::start(3).await?, Terminal::stdout());
    let cluster = Cluster::builder("echo-grpc")
        .addresses(pods.addresses())
        .http2()
        .load_balancer(ByUser)
        .build(&Resources::default())?;
    let mut client = EchoClient::new(cluster.service());
    let before = who_answers(&mut client).await?;
    for (user, pod) in &before {
        output.line(&format!("{user} is served by {pod}"))?;
    }
    let dead = before.values().next().ok_or("nobody answered")?.clone();
    output.heading(&format!("{dead} is killed"))?;
    pods.kill(&dead).await;
    for (user, pod) in who_answers(&mut client).await? {
        let stays = before.get(user) == Some(&pod);
        output.line(&format!("{user} {} {pod}", if stays { "stays with" } else { "moves to" }))?;
    }
    Ok(())
}

async fn who_answers(
    client: &mut EchoClient<meshlib::cluster::ClusterService>,
) -> Result<BTreeMap<&'static str, String>, StartError> {
    let mut answers = BTreeMap::new();
    for user in USERS {
        let mut request = Request::new(EchoRequest::default());
        request.metadata_mut().insert("user", user.parse()?);
        let answer = client.echo(request).await?;
        let pod = answer.metadata().get("hostname").ok_or("an answer of nobody")?.to_str()?;
        answers.insert(user, pod.to_owned());
    }
    Ok(answers)
}
