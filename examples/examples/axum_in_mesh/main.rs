//! An axum application behind a listener of an Envoy file, in one process: the file's access log, health checks,
//! forwarded headers, limits and drain (and TLS, where the file has it) in front of the application's own routes.
//!
//! ```sh
//! cargo run --example axum-in-mesh
//! cargo run --example axum-in-mesh -- --config examples/examples/axum_in_mesh/envoy.yaml --listener ingress
//! curl -i http://127.0.0.1:8080/hello/world
//! curl -i http://127.0.0.1:8080/healthz
//! curl http://127.0.0.1:8090/stats
//! ```
//!
//! The first `curl` is answered by axum, the second by the file's health-check filter, both with `server: envoy`; a
//! line of the access log stands on the standard output for each.
//!
//! SIGTERM and Ctrl-C drain: health checks fail, requests under way finish. The same again ends at once.

use std::process::ExitCode;

use axum::{Router, extract::Path, http::HeaderMap, routing::get};
use meshlib::proxy::mesh::Mesh;
use meshlib_examples::{
    demo::{Arguments, EndSignals, Terminal, log_to_stderr, program},
    mesh::StartError,
};

const USAGE: &str = "\
usage: axum-in-mesh [--config FILE] [--listener NAME]
  --config    an Envoy file; the one beside this example without it
  --listener  the name or the address of the listener that is axum's; ingress without it";

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/axum_in_mesh/envoy.yaml");

/// The application. It knows nothing of a mesh.
fn app() -> Router {
    let hello = async |Path(name): Path<String>, headers: HeaderMap| {
        let client = headers.get("x-forwarded-for").and_then(|client| client.to_str().ok()).unwrap_or("nobody");
        format!("hello {name}, from {client}\n")
    };
    Router::new().route("/hello/{name}", get(hello))
}

#[tokio::main]
async fn main() -> ExitCode {
    log_to_stderr();
    program("axum-in-mesh", USAGE, run).await
}

async fn run(mut arguments: Arguments) -> Result<(), StartError> {
    let file = arguments.option("--config", "a file")?.unwrap_or(FILE.to_owned());
    let listener = arguments.option("--listener", "a name")?.unwrap_or("ingress".to_owned());
    arguments.end()?;
    let (mut signals, mut terminal) = (EndSignals::listen()?, Terminal::stdout());

    let mesh = Mesh::from_file(file)?;
    let address = mesh.serve_with(&listener, app())?;
    // What else the file names: other listeners, the admin interface.
    let server = mesh.serve().await?;

    terminal.heading("Try (Ctrl-C drains and ends)")?;
    terminal.line(&format!("curl -i http://{address}/hello/world"))?;
    terminal.line(&format!("curl -i http://{address}/healthz"))?;
    if let Some(admin) = server.admin_addr() {
        terminal.line(&format!("curl http://{admin}/stats"))?;
    }
    terminal.heading("Access log")?;
    Ok(signals.drain(&server, &mut terminal).await?)
}
