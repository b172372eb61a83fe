//! The processes: servers with their name server, a sidecar, and a client at a time.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use meshlib::{base::Resources, envoy, proxy::server::Server};
use meshlib_examples::pods::Pods;

use crate::{BoxError, clients::Kind};

const SIDECAR: &str = include_str!("sidecar.envoy.yaml");

/// Where clients find what they call.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) dns: SocketAddr,
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) sidecar: Option<SocketAddr>,
}

impl Target {
    /// The name server, the servers, and the sidecar if there is one.
    fn to_text(&self) -> String {
        let servers = self.servers.iter().map(|server| format!(",{server}")).collect::<String>();
        let sidecar = self.sidecar.map(|sidecar| format!("/{sidecar}")).unwrap_or_default();
        format!("{}{servers}{sidecar}", self.dns)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, BoxError> {
        let (addresses, sidecar) = text.split_once('/').map_or((text, None), |(front, back)| (front, Some(back)));
        let mut addresses = addresses.split(',').map(str::parse);
        let dns = addresses.next().ok_or("no name server")??;
        let sidecar = sidecar.map(str::parse).transpose()?;
        Ok(Self { dns, servers: addresses.collect::<Result<_, _>>()?, sidecar })
    }
}

/// A process that ends with this value.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts this program once more, and reads its first line.
fn start(arguments: &[&str]) -> Result<(Running, String), BoxError> {
    let mut command = Command::new(std::env::current_exe()?);
    let child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut running = Running(child);
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    Ok((running, line.trim().to_owned()))
}

pub(crate) fn start_servers() -> Result<(Running, Target), BoxError> {
    let (running, line) = start(&["servers"])?;
    Ok((running, Target::parse(&line)?))
}

pub(crate) fn start_sidecar(target: &Target) -> Result<(Running, SocketAddr), BoxError> {
    let (running, line) = start(&["sidecar", &target.to_text()])?;
    Ok((running, line.parse()?))
}

/// The CPU time that a client used for `calls` calls, `load` of them at once.
pub(crate) fn run_client(kind: Kind, load: u32, calls: u32, target: &Target) -> Result<u64, BoxError> {
    let (load, calls) = (load.to_string(), calls.to_string());
    let (mut running, line) = start(&["client", kind.name(), &load, &calls, &target.to_text()])?;
    let ended = running.0.wait()?;
    line.parse().map_err(|_| format!("the client {} ended with {ended}", kind.name()).into())
}

/// Three servers and their name server, until the standard input ends.
pub(crate) async fn servers() -> Result<(), BoxError> {
    let pods = Pods::start(3).await?;
    let target = Target { dns: pods.dns().address(), servers: pods.addresses().collect(), sidecar: None };
    serve(&target.to_text()).await
}

/// A sidecar from a file, until the standard input ends.
pub(crate) async fn sidecar(target: &str) -> Result<(), BoxError> {
    let target = Target::parse(target)?;
    let server = |server: &SocketAddr| {
        format!(
            "- endpoint: {{ address: {{ socket_address: {{ address: {}, port_value: {} }} }} }}\n        ",
            server.ip(),
            server.port()
        )
    };
    let file = SIDECAR.replace("SERVERS", target.servers.iter().map(server).collect::<String>().trim_end());
    let server = Server::start(envoy::load("sidecar.envoy.yaml", &file)?.config, Resources::default()).await?;
    let address = server.local_addrs().next().ok_or("the sidecar does not listen")?;
    serve(&address.to_string()).await
}

async fn serve(line: &str) -> Result<(), BoxError> {
    writeln!(std::io::stdout(), "{line}")?;
    std::io::stdout().flush()?;
    // A thread of its own: the runtime's goes on serving.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
