//! The echo application as a program: what runs in the pods of `kubernetes/`.
//!
//! ```sh
//! PORT=8081 cargo run --example echo-grpc
//! ```
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `PORT` | listens on 0.0.0.0 at this port; 0 lets the system choose | 8080 |
//! | `HOSTNAME` | the name that answers carry | the machine's |
//! | `DRAIN_SECONDS` | how long it goes on serving after SIGTERM, while health checks fail | 0 |
//!
//! SIGUSR1 makes health checks fail (NOT_SERVING), SIGUSR2 makes them pass again. SIGTERM fails them, waits for
//! `DRAIN_SECONDS`, then lets the calls in flight finish for at most 15 s, cuts what is left and exits with 0. SIGINT
//! does so at once, as does a second SIGTERM.

use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, process};

use meshlib_examples::demo::{Arguments, Terminal, program};
use meshlib_examples::echo::EchoServer;
use meshlib_examples::mesh::StartError;
use tokio::signal::unix::{Signal, SignalKind, signal};

const DEFAULT_PORT: u16 = 8080;
/// How long the calls in flight may take once accepting has ended.
const STOP_LIMIT: Duration = Duration::from_secs(15);

const USAGE: &str = "\
usage: [PORT=8080] [HOSTNAME=NAME] [DRAIN_SECONDS=0] echo-grpc
  PORT           listens on 0.0.0.0 at this port; 0: a free one
  HOSTNAME       the name that answers carry; the machine's without it
  DRAIN_SECONDS  how long it serves on after SIGTERM, while health checks fail";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    program("echo-grpc", USAGE, run).await
}

async fn run(arguments: Arguments) -> Result<(), StartError> {
    arguments.end()?;
    let mut output = Terminal::stdout();
    let port = number("PORT", DEFAULT_PORT)?;
    let drain = Duration::from_secs(number("DRAIN_SECONDS", 0)?);
    let hostname = hostname()?;
    let mut signals = Signals::new()?;
    let server = EchoServer::start((Ipv4Addr::UNSPECIFIED, port).into(), &hostname).await?;
    output.line(&format!("listening on {} as {hostname}", server.address()))?;
    signals.serve_until_told_to_stop(&server, drain, &mut output).await?;
    output.line("stopping: finishing the calls in flight")?;
    if !server.stop(STOP_LIMIT).await {
        output.line("calls were still in flight after 15 s: cut")?;
    }
    Ok(())
}

/// The number in a variable of the environment.
fn number<T: std::str::FromStr>(variable: &str, default: T) -> Result<T, String> {
    match env::var(variable) {
        Err(env::VarError::NotPresent) => Ok(default),
        Err(error) => Err(format!("{variable}: {error}")),
        Ok(text) => text.parse().map_err(|_| format!("{variable}: {text:?} is not a number in its range")),
    }
}

/// `HOSTNAME`, which Kubernetes sets to the pod's name; else the name of the machine.
fn hostname() -> Result<String, StartError> {
    if let Some(name) = env::var("HOSTNAME").ok().filter(|name| !name.is_empty()) {
        return Ok(name);
    }
    let name = match fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(name) => name,
        // Not Linux.
        Err(_) => String::from_utf8(process::Command::new("uname").arg("-n").output()?.stdout)?,
    };
    match name.trim() {
        "" => Err("the machine has no name: set HOSTNAME".into()),
        name => Ok(name.to_owned()),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    not_serving: Signal,
    serving: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            not_serving: signal(SignalKind::user_defined1())?,
            serving: signal(SignalKind::user_defined2())?,
        })
    }

    /// Serves, and for `drain` after the first SIGTERM still.
    async fn serve_until_told_to_stop(
        &mut self,
        server: &EchoServer,
        drain: Duration,
        output: &mut Terminal<io::Stdout>,
    ) -> io::Result<()> {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => return Ok(()),
                _ = self.not_serving.recv() => {
                    server.set_serving(false).await;
                    output.line("health: NOT_SERVING")?;
                }
                _ = self.serving.recv() => {
                    server.set_serving(true).await;
                    output.line("health: SERVING")?;
                }
            }
        }
        server.set_serving(false).await;
        if !drain.is_zero() {
            output.line(&format!("health: NOT_SERVING, serving on for {} s", drain.as_secs()))?;
        }
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        Ok(())
    }
}
