//! A tonic server as a mesh wants it, without a sidecar: TLS whose certificate can be replaced, connections that end
//! with age so that clients find new pods, health checks that fail before the port closes.
//!
//! ```sh
//! cargo run --example tonic-server
//! cargo run --example tonic-server -- --listen 0.0.0.0:8443 --cert tls.crt --key tls.key --max-age 1800 --drain 25
//! ```
//!
//! It prints the command that calls it. Replace the files, and new connections get the new certificate within a second.
//! SIGTERM and Ctrl-C drain: health checks fail, requests under way finish. The same again ends at once.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use meshlib::base::{DrainPhase, DrainTimes, Resources};
use meshlib::http::server::HttpServer;
use meshlib::net::tls::{TlsAcceptor, config::CertificateConfig};
use meshlib_examples::certificate::SelfSigned;
use meshlib_examples::demo::{Arguments, EndSignals, Terminal, UsageError, log_to_stderr, program, reachable};
use meshlib_examples::mesh::StartError;
use meshlib_examples::proto::echo_server::{Echo, EchoServer};
use meshlib_examples::proto::{EchoRequest, EchoResponse};
use tonic::{Request, Response, Status, service::Routes};
use tonic_health::ServingStatus;

const USAGE: &str = "\
usage: tonic-server [--listen IP:PORT] [--cert FILE --key FILE] [--max-age SECONDS] [--drain SECONDS]
  --listen   where clients connect; a free port of 127.0.0.1 without it
  --cert     the certificate's chain, PEM; watched, as its key is; one made on the spot without it
  --max-age  how long connections are used, 10 % less or more; 1800 without it
  --drain    how long calls may take to finish after SIGTERM; 25 without it";

struct Service;

#[tonic::async_trait]
impl Echo for Service {
    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        Ok(Response::new(EchoResponse { content: request.into_inner().content }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    log_to_stderr();
    program("tonic-server", USAGE, run).await
}

async fn run(mut arguments: Arguments) -> Result<(), StartError> {
    let address = "an IP address with a port, such as 127.0.0.1:8443";
    let listen = arguments.option("--listen", address)?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    let files = [arguments.option::<PathBuf>("--cert", "a file")?, arguments.option("--key", "a file")?];
    let max_age = Duration::from_secs(arguments.option("--max-age", "a number of seconds")?.unwrap_or(1800));
    let drain = Duration::from_secs(arguments.option("--drain", "a number of seconds")?.unwrap_or(25));
    arguments.end()?;
    let (certificate, _made) = certificate(files)?;
    let mut signals = EndSignals::listen()?;

    // The application: tonic's own services, and tonic's own health service.
    let resources = Resources::default();
    let (health, health_service) = tonic_health::server::health_reporter();
    let app = Routes::new(EchoServer::new(Service)).add_service(health_service);
    let draining = resources.drain().clone();
    tokio::spawn(async move {
        draining.reached(DrainPhase::FailingHealth).await;
        for name in ["", "api.Echo"] {
            health.set_service_status(name, ServingStatus::NotServing).await;
        }
    });

    // What serves it, in place of tonic's transport.
    let tls = TlsAcceptor::builder(certificate.into()).resources(&resources).build()?;
    let server = HttpServer::new(&resources)
        .tls(tls)
        .max_connection_age(max_age)
        .max_connection_age_grace(Duration::from_secs(60))
        .idle_timeout(Duration::from_secs(300))
        .bind(listen, app)?;

    let mut terminal = Terminal::stdout();
    let url = format!("https://{}", reachable(server.local_addr()));
    terminal.heading("Try (Ctrl-C drains and ends)")?;
    terminal.line(&format!("cargo run --example call -- {url} hello"))?;
    signals.next().await;
    let times = DrainTimes::within(drain);
    server.drain(times);
    let accept = times.accept.as_secs();
    terminal.line(&format!("Draining: connections are taken for {accept} s more. The same again ends at once."))?;
    tokio::select! {
        () = server.finished() => {}
        () = signals.next() => server.stop(),
    }
    Ok(())
}

/// The files that are given, or a pair that is made, and kept as long as the second value.
fn certificate(files: [Option<PathBuf>; 2]) -> Result<(CertificateConfig, Option<SelfSigned>), StartError> {
    match files {
        [Some(chain), Some(key)] => Ok((CertificateConfig::files(chain, key), None)),
        [None, None] => {
            let made = SelfSigned::new("localhost")?;
            Ok((CertificateConfig::files(made.chain_path(), made.key_path()), Some(made)))
        }
        _ => Err(UsageError::new("--cert and --key need each other").into()),
    }
}
