//! The clients: each connects in a file of its own, whose lines are counted.

mod balance_list;
mod cluster;
#[cfg(feature = "ginepro")]
mod ginepro;
#[cfg(feature = "ginepro")]
mod ginepro_call;
mod sidecar;

use std::io::Write;

use meshlib_examples::proto::EchoRequest;
use tokio::task::JoinSet;

use crate::{BoxError, Target, cpu};

/// Calls before the measurement: connections are made, memory is there.
pub(crate) const WARM_UP: u32 = 1000;
const CONTENT: &str = "hello world";

/// What a call goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cluster,
    BalanceList,
    Ginepro,
    Sidecar,
}

impl Kind {
    /// All that were compiled in.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let kinds = [Self::Cluster, Self::BalanceList, Self::Ginepro, Self::Sidecar];
        kinds.into_iter().filter(|kind| *kind != Self::Ginepro || cfg!(feature = "ginepro"))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::BalanceList => "balance_list",
            Self::Ginepro => "ginepro",
            Self::Sidecar => "sidecar",
        }
    }

    /// The lines that connect, without `use`, comments and empty ones.
    pub(crate) fn lines(self) -> usize {
        let source = match self {
            Self::Cluster => include_str!("cluster.rs"),
            Self::BalanceList => include_str!("balance_list.rs"),
            Self::Ginepro => include_str!("ginepro.rs"),
            Self::Sidecar => concat!(include_str!("sidecar.rs"), include_str!("../sidecar.envoy.yaml")),
        };
        let body = source.split_once("pub(crate)").map_or("", |(_, body)| body);
        body.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//")).count()
    }
}

/// Measures one client, and prints the nanoseconds of CPU time that its calls took.
pub(crate) async fn client(kind: &str, load: &str, calls: &str, target: &str) -> Result<(), BoxError> {
    let (load, calls, target) = (load.parse()?, calls.parse()?, Target::parse(target)?);
    let used = match Kind::all().find(|known| known.name() == kind) {
        Some(Kind::Cluster) => {
            let client = cluster::connect(&target)?;
            measure(load, calls, move || {
                let mut client = client.clone();
                async move { Ok(client.echo(request()).await?.into_inner().content) }
            })
            .await
        }
        Some(Kind::BalanceList) => {
            let client = balance_list::connect(&target)?;
            measure(load, calls, move || {
                let mut client = client.clone();
                async move { Ok(client.echo(request()).await?.into_inner().content) }
            })
            .await
        }
        Some(Kind::Sidecar) => {
            let client = sidecar::connect(&target)?;
            measure(load, calls, move || {
                let mut client = client.clone();
                async move { Ok(client.echo(request()).await?.into_inner().content) }
            })
            .await
        }
        #[cfg(feature = "ginepro")]
        Some(Kind::Ginepro) => {
            let client = ginepro::connect(&target).await?;
            measure(load, calls, move || ginepro_call::echo(client.clone(), CONTENT.to_owned())).await
        }
        _ => Err(format!("{kind:?} is not there").into()),
    }?;
    Ok(writeln!(std::io::stdout(), "{used}")?)
}

fn request() -> EchoRequest {
    EchoRequest { content: CONTENT.to_owned() }
}

/// The CPU time of `calls` calls, `load` at once, once the connections are warm.
async fn measure<F>(load: u32, calls: u32, call: impl Fn() -> F + Clone + Send + 'static) -> Result<u64, BoxError>
where
    F: Future<Output = Result<String, BoxError>> + Send,
{
    run(load, WARM_UP, call.clone()).await?;
    let before = cpu::nanoseconds(std::process::id())?;
    run(load, calls, call).await?;
    Ok(cpu::nanoseconds(std::process::id())? - before)
}

async fn run<F>(load: u32, calls: u32, call: impl Fn() -> F + Clone + Send + 'static) -> Result<(), BoxError>
where
    F: Future<Output = Result<String, BoxError>> + Send,
{
    let mut callers = JoinSet::new();
    for caller in 0..load {
        let call = call.clone();
        callers.spawn(async move {
            for _ in (caller..calls).step_by(load as usize) {
                if call().await? != CONTENT {
                    return Err("the answer is not the question".into());
                }
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}
