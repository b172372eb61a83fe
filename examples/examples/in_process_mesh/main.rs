//! Client side and server side of a mesh in one program, from one Envoy file, without a sidecar: a tonic service behind
//! the file's listener, and a generated tonic client over the file's cluster.
//!
//! ```sh
//! cargo run --example in-process-mesh
//! cargo run --example in-process-mesh -- --config examples/examples/in_process_mesh/envoy.yaml
//! ```
//!
//! One call goes over the network to port 8786, one stays in the process, and the stats of both are printed.
//!
//! The same file runs as a sidecar, whose application is a process of its own then:
//!
//! ```sh
//! PORT=8081 cargo run --example echo-grpc
//! cargo run --release -p meshlib-bin -- -c examples/examples/in_process_mesh/envoy.yaml
//! cargo run --example call -- http://127.0.0.1:8786 hello
//! ```

use std::process::ExitCode;

use meshlib::{base::RequestInfo, proxy::mesh::Mesh};
use meshlib_examples::{
    demo::{Arguments, Terminal, log_to_stderr, program},
    mesh::StartError,
    proto::{
        EchoRequest, EchoResponse,
        echo_client::EchoClient,
        echo_server::{Echo, EchoServer},
    },
};
use tonic::{Request, Response, Status, service::Routes};

const USAGE: &str = "\
usage: in-process-mesh [--config FILE]
  --config  an Envoy file with a listener, and the clusters `application` and `echo`; the one beside this example without it";

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/in_process_mesh/envoy.yaml");

/// The application.
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
    program("in-process-mesh", USAGE, run).await
}

async fn run(mut arguments: Arguments) -> Result<(), StartError> {
    let file = arguments.option("--config", "a file")?.unwrap_or(FILE.to_owned());
    arguments.end()?;
    let mut terminal = Terminal::stdout();

    // Server side: the file's listener, with its filters, log and limits, in front of the service.
    let (_health, health) = tonic_health::server::health_reporter();
    let app = Routes::new(EchoServer::new(Service)).add_service(health);
    let mesh = Mesh::builder().local_service("application", app.clone()).start_file(file)?;
    mesh.serve_with("ingress", app)?;

    // Client side: resolved, health-checked, balanced.
    let mut echo = EchoClient::new(mesh.cluster("echo")?.service());
    let response = echo.echo(EchoRequest { content: "over the network".to_owned() }).await?;
    terminal.line(&format!("{} answered by {}", response.get_ref().content, host(&response)))?;

    // No socket at all: the listener's filters and routes, which lead to the cluster `application`: the service itself.
    let mut echo = EchoClient::new(mesh.service()?);
    let response = echo.echo(EchoRequest { content: "in the process".to_owned() }).await?;
    terminal.line(&format!("{} answered by {}", response.get_ref().content, host(&response)))?;

    let count = |name: &str| mesh.resources().stats().counter_value(name).unwrap_or_default();
    terminal.line(&format!("calls of the cluster: {}", count("cluster.echo.upstream_rq_total")))?;
    let requests = count("http.ingress.downstream_rq_total");
    terminal.line(&format!("requests of the listener, health checks included: {requests}"))?;
    Ok(())
}

/// What the record says of who answered.
fn host<T>(response: &Response<T>) -> String {
    let info = RequestInfo::of(response.extensions());
    let host = info.and_then(RequestInfo::upstream_host);
    host.map_or("this process".to_owned(), |host| format!("a host on {}", host.ip()))
}
