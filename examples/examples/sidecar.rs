//! A sidecar without a file: it stands beside an application, takes its calls and lets health checks through to it.
//!
//! ```text
//! cargo run --example sidecar                           an echo application built in
//! cargo run --example sidecar -- --listen 0.0.0.0:8786 --application 127.0.0.1:8081
//! ```
//!
//! It prints the commands that call it, then its access log. SIGTERM and Ctrl-C drain: health checks fail, requests
//! under way finish. The same again ends at once.

use std::{io::Stdout, net::SocketAddr, process::ExitCode, time::Duration};

use http::HeaderName;
use meshlib::{
    base::Resources,
    cluster::config::{ClusterConfig, DiscoveryConfig},
    http::header_match::{HeaderMatch, HeaderMatchName},
    proxy::{config::*, server::Server},
    route::config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig},
};
use meshlib_examples::{
    demo::{Arguments, EndSignals, Terminal, log_to_stderr, print_calls, print_looks, program, reachable},
    echo::EchoServer,
    mesh::StartError,
};

const USAGE: &str = "\
usage: sidecar [--listen IP:PORT] [--application IP:PORT]
  --listen       where calls come in; a free port of 127.0.0.1 without it
  --application  where they go, over HTTP/2 without TLS; to an echo application built in without it";

/// The whole configuration.
fn config(listen: SocketAddr, application: SocketAddr) -> MeshConfig {
    // What the kubelet asks of the sidecar itself.
    let probe = HealthCheckFilterConfig::new(vec![
        HeaderMatch::exact(HeaderMatchName::Path, "/healthz"),
        HeaderMatch::exact(HeaderMatchName::Header(HeaderName::from_static("x-envoy-livenessprobe")), "healthz"),
    ]);
    let to = |timeout| RouteAction::cluster("application").timeout(timeout);
    let routes = vec![
        // What an edge asks of the application. Without this route its checks would fail, one and all.
        RouteConfig::new(RouteMatch::prefix("/grpc.health.v1.Health/"), to(Some(Duration::from_secs(1)))),
        // The edge has the timeout of a call.
        RouteConfig::new(RouteMatch::prefix("/api."), to(None)),
    ];
    let http = HttpConnectionManagerConfig::new("ingress_http", RouteTableConfig::any_host("local", routes))
        .http_filter(probe)
        .access_log(AccessLogConfig::file("/dev/stdout"));
    MeshConfig::default()
        .listener(ListenerConfig::new(listen, FilterChainConfig::plain(http)))
        .cluster(ClusterConfig::new("application", DiscoveryConfig::fixed([application])).http2())
        .admin(AdminConfig::new(SocketAddr::from(([127, 0, 0, 1], 0))))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    log_to_stderr();
    program("sidecar", USAGE, async |mut arguments: Arguments| {
        let (any, address) = (SocketAddr::from(([127, 0, 0, 1], 0)), "an IP address with a port, such as 127.0.0.1:80");
        let listen = arguments.option("--listen", address)?.unwrap_or(any);
        let application = arguments.option("--application", address)?;
        arguments.end()?;

        let echo = match application {
            Some(_) => None,
            None => Some(EchoServer::start(any, "built-in").await?),
        };
        let application = echo.as_ref().map(EchoServer::address).or(application).ok_or("no application")?;
        let mut signals = EndSignals::listen()?;
        let server = Server::start(config(listen, application), Resources::default()).await?;
        let mut terminal = Terminal::stdout();
        show(&mut terminal, &server, application)?;
        Ok(signals.drain(&server, &mut terminal).await?)
    })
    .await
}

fn show(terminal: &mut Terminal<Stdout>, server: &Server, application: SocketAddr) -> Result<(), StartError> {
    let address = server.local_addrs().next().ok_or("no listener")?;
    let url = format!("http://{}", reachable(address));
    terminal.line(&format!("sidecar: {address}, in front of {application}"))?;
    terminal.heading("Try (Ctrl-C drains and ends)")?;
    print_calls(terminal, &url)?;
    print_looks(terminal, &url, server.admin_addr())?;
    terminal.heading("Access log")?;
    Ok(())
}
