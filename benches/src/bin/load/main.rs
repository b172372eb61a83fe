//! A client for load tests: fixed rates with the latency counted from the intended start, many idle connections, many
//! short ones, long streams; and what such tests need beside it. `benches/tail/run` and `benches/soak/run` use it.
//!
//! ```sh
//! cargo run --release -p meshlib-benches --bin load -- open 127.0.0.1:10000 --rate 5000 --duration 10
//! ```
//!
//! Everything happens on one thread. Reports are JSON, one line, on the standard output; whatever fails is told on the
//! standard error instead, and the exit code is 1.

mod arrivals;
mod call;
mod churn;
mod client;
mod closed;
mod connect;
mod h1;
mod histogram;
mod idle;
mod names;
mod open;
mod record;
mod stream;
mod ticker;

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};

use self::{call::Call, client::Protocol, closed::Closed, connect::Target, open::Open};

/// Any error.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A client for load tests.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Calls at a fixed rate, whether or not they are answered.
    Open {
        #[command(flatten)]
        calls: Calls,
        /// Calls a second.
        #[arg(long, value_parser = positive)]
        rate: f64,
        /// How calls follow each other.
        #[arg(long, value_enum, default_value = "poisson")]
        arrivals: arrivals::Kind,
        /// Of the arrivals.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Connections a second that are replaced by new ones.
        #[arg(long, default_value_t = 0.0)]
        renew: f64,
    },
    /// Calls by callers who wait for their answers.
    Closed {
        #[command(flatten)]
        calls: Calls,
        /// Calls under way at once.
        #[arg(long, default_value_t = 100)]
        callers: usize,
    },
    /// Idle connections, then one request on each; waits for a line on the standard input after each step.
    Idle {
        #[command(flatten)]
        to: To,
        /// How many.
        #[arg(long)]
        connections: usize,
        /// What is spoken.
        #[arg(long, value_enum, default_value = "h2")]
        protocol: Protocol,
    },
    /// Connections of one request each.
    Churn {
        #[command(flatten)]
        to: To,
        /// How many.
        #[arg(long)]
        connections: usize,
        /// How many at once.
        #[arg(long, default_value_t = 50)]
        at_once: usize,
        /// What is spoken.
        #[arg(long, value_enum, default_value = "h2")]
        protocol: Protocol,
    },
    /// Bytes in both directions at once, to and from a `stream-server`.
    Stream {
        #[command(flatten)]
        to: To,
        /// Each way.
        #[arg(long)]
        bytes: u64,
        /// Streams each way.
        #[arg(long, default_value_t = 4)]
        streams: u32,
    },
    /// What `stream` goes to.
    StreamServer {
        /// Where it listens.
        address: SocketAddr,
    },
    /// A name server for one name; prints its address. One address of the name is left out, every second another.
    Names {
        /// The name.
        name: String,
        /// Its addresses.
        #[arg(required = true)]
        addresses: Vec<IpAddr>,
        /// Milliseconds between two changes.
        #[arg(long, default_value_t = 1000)]
        every: u64,
    },
}

#[derive(Args)]
struct To {
    /// The target.
    address: SocketAddr,
    /// Speak TLS to it; any certificate is good.
    #[arg(long)]
    tls: bool,
    /// Of the requests.
    #[arg(long, default_value = "/api.Echo/Echo")]
    path: String,
}

#[derive(Args)]
struct Calls {
    #[command(flatten)]
    to: To,
    /// How many connections.
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// Bytes of a request's body.
    #[arg(long, default_value_t = 11)]
    bytes: usize,
    /// Seconds that are measured.
    #[arg(long, default_value = "10", value_parser = positive)]
    duration: f64,
    /// Seconds before that, which are not.
    #[arg(long, default_value = "1", value_parser = positive)]
    warm_up: f64,
}

impl To {
    fn target(&self, protocol: Protocol) -> Result<Target, BoxError> {
        Ok(Target::new(self.address, self.tls, &[protocol.alpn()])?)
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number < 1e9 => Ok(number),
        _ => Err("not a number above 0".to_owned()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), BoxError> {
    match command {
        Command::Open { calls, rate, arrivals, seed, renew } => {
            let report = open::run(Open {
                target: calls.to.target(Protocol::H2)?,
                call: Call::new(&calls.to.path, calls.bytes)?,
                connections: calls.connections,
                rate,
                kind: arrivals,
                seed,
                warm_up: Duration::from_secs_f64(calls.warm_up),
                duration: Duration::from_secs_f64(calls.duration),
                renewed: renew,
            });
            Ok(writeln!(io::stdout(), "{}", report.await?)?)
        }
        Command::Closed { calls, callers } => {
            let report = closed::run(Closed {
                target: calls.to.target(Protocol::H2)?,
                call: Call::new(&calls.to.path, calls.bytes)?,
                connections: calls.connections,
                callers,
                warm_up: Duration::from_secs_f64(calls.warm_up),
                duration: Duration::from_secs_f64(calls.duration),
            });
            Ok(writeln!(io::stdout(), "{}", report.await?)?)
        }
        Command::Idle { to, connections, protocol } => {
            idle::run(to.target(protocol)?, protocol, Call::new(&to.path, 11)?, connections).await
        }
        Command::Churn { to, connections, at_once, protocol } => {
            churn::run(to.target(protocol)?, protocol, Call::new(&to.path, 11)?, connections, at_once).await
        }
        Command::Stream { to, bytes, streams } => stream::run(to.target(Protocol::H2)?, &to.path, bytes, streams).await,
        Command::StreamServer { address } => stream::serve(address).await,
        Command::Names { name, addresses, every } => names::run(&name, &addresses, Duration::from_millis(every)).await,
    }
}
