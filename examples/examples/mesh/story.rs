//! What happens, in order.

use std::{io::Write, time::Duration};

use meshlib_examples::{
    client::EchoClient,
    demo::{Summary, Terminal},
    mesh::{Deployment, Options, StartError},
};
use tokio::time::Instant;

use crate::show;

/// How long a new pod may take to answer: two resolutions and a check.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is told, and whether it ends.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// End instead of serving until Ctrl-C.
    pub(crate) once: bool,
    /// The deployment as it was published.
    pub(crate) as_published: bool,
}

impl Story {
    /// Tells it; the deployment goes on running.
    pub(crate) async fn tell<W: Write>(&self, terminal: &mut Terminal<W>) -> Result<Deployment, StartError> {
        let options = match self.as_published {
            true => Options { health_route: false, interval: Duration::from_secs(10), ..Options::default() },
            false => Options::default(),
        };
        let mut deployment = Deployment::start(options).await?;
        terminal.heading("The mesh is up")?;
        terminal.line(&format!("edge    {}  (TLS, finds its pods by DNS)", deployment.url()))?;
        for pod in deployment.pods() {
            terminal.line(&format!("{}   {}  (an application and its sidecar)", pod.name(), pod.address()))?;
        }
        let client = EchoClient::connect(&deployment.url()).await?;
        terminal.heading("One call")?;
        show::reply(terminal, &client.echo("hello, mesh").await?)?;
        terminal.heading("Three hundred calls")?;
        calls(&client, 300).await.print(terminal)?;
        terminal.heading("What the edge thinks of its pods")?;
        show::health(terminal, &deployment)?;
        if self.as_published {
            explain(terminal)?;
        } else {
            kill(terminal, &mut deployment, &client).await?;
            add(terminal, &mut deployment, &client).await?;
        }
        Ok(deployment)
    }
}

/// `count` calls, one after the other.
async fn calls(client: &EchoClient, count: u32) -> Summary {
    let mut summary = Summary::new();
    for _ in 0..count {
        match client.echo("hello").await {
            Ok(reply) => summary.answered(reply.hostname().unwrap_or("?")),
            Err(error) => summary.failed(&error.to_string()),
        }
    }
    summary
}

async fn kill<W: Write>(
    terminal: &mut Terminal<W>,
    deployment: &mut Deployment,
    client: &EchoClient,
) -> Result<(), StartError> {
    terminal.heading("pod-2 is killed")?;
    if let Some(pod) = deployment.pod(1) {
        pod.kill().await;
    }
    calls(client, 30).await.print(terminal)?;
    terminal
        .line("Each failed call met the dead pod: Envoy answers a refused connection with 503, and so does this.")?;
    terminal.line("Two health checks later the edge has noticed:")?;
    let address = deployment.pods().get(1).map(|pod| pod.address());
    let gone = |deployment: &Deployment| {
        let hosts = deployment.cluster().map(|cluster| cluster.hosts().load_full());
        hosts.is_some_and(|hosts| {
            hosts.hosts().iter().all(|host| Some(host.address().ip()) != address || !host.is_healthy())
        })
    };
    until(|| gone(deployment)).await?;
    show::health(terminal, deployment)?;
    calls(client, 300).await.print(terminal)?;
    deployment.publish();
    Ok(())
}

async fn add<W: Write>(
    terminal: &mut Terminal<W>,
    deployment: &mut Deployment,
    client: &EchoClient,
) -> Result<(), StartError> {
    terminal.heading("pod-4 is added")?;
    let name = deployment.add_pod().await?.name().to_owned();
    deployment.publish();
    let (begin, mut summary) = (Instant::now(), Summary::new());
    while summary.answers_of(&name) == 0 {
        if begin.elapsed() > PATIENCE {
            return Err(format!("{name} did not answer within {PATIENCE:?}").into());
        }
        match client.echo("hello").await {
            Ok(reply) => summary.answered(reply.hostname().unwrap_or("?")),
            Err(error) => summary.failed(&error.to_string()),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    terminal.line(&format!(
        "It was in the name server's next answer, passed its first check and answered after {:.1} s; {} calls failed.",
        begin.elapsed().as_secs_f64(),
        summary.failures()
    ))?;
    calls(client, 300).await.print(terminal)?;
    show::health(terminal, deployment)?;
    Ok(())
}

/// Waits for something that the edge finds out by itself.
async fn until(mut holds: impl FnMut() -> bool) -> Result<(), StartError> {
    let begin = Instant::now();
    while !holds() {
        if begin.elapsed() > PATIENCE {
            return Err(format!("the edge did not notice within {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn explain<W: Write>(terminal: &mut Terminal<W>) -> Result<(), StartError> {
    terminal.heading("Why it works all the same")?;
    for line in [
        "The edge checks each pod with grpc.health.v1.Health/Check, on the sidecar's port.",
        "The sidecar has one route, for the prefix /api., so it answers every check with a 404 of its own,",
        "which a gRPC client reads as status 12, UNIMPLEMENTED. All checks fail, and every pod is unhealthy.",
        "",
        "But fewer than 50 % of the hosts are healthy, and then Envoy ignores health altogether: it panics, and",
        "balances over all hosts. Every one of the calls above was routed in panic mode. The deployment works, as",
        "long as nothing else goes wrong: a pod that dies goes on getting its share of the calls.",
        "",
        "Without --as-published the sidecars have a second route, for /grpc.health.v1.Health/, and the checks pass.",
    ] {
        terminal.line(line)?;
    }
    Ok(())
}
