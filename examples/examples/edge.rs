//! An edge proxy without a file: TLS in front, gRPC health checks and round robin behind, all of it values in code.
//!
//! ```text
//! cargo run --example edge                              a certificate made on the spot, an echo application built in
//! cargo run --example edge -- --listen 0.0.0.0:8443 --upstream echo.example.com:8081 --cert tls.crt --key tls.key
//! ```
//!
//! It prints the commands that call it, then its access log. SIGTERM and Ctrl-C drain: health checks fail, requests
//! under way finish. The same again ends at once.

use std::{io::Stdout, net::SocketAddr, path::PathBuf, process::ExitCode, str::FromStr, time::Duration};

use http::HeaderName;
use meshlib::{
    base::Resources,
    cluster::config::{
        ClusterConfig, DiscoveryConfig, DnsEndpoint, DnsLookupFamily, HealthCheckConfig, StrictDnsConfig,
    },
    http::header_match::{HeaderMatch, HeaderMatchName},
    proxy::{config::*, server::Server},
    route::config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig},
};
use meshlib_examples::{
    certificate::SelfSigned,
    demo::{Arguments, EndSignals, Terminal, UsageError, log_to_stderr, print_calls, print_looks, program, reachable},
    echo::EchoServer,
    mesh::StartError,
};

const USAGE: &str = "\
usage: edge [--listen IP:PORT] [--upstream HOST:PORT [--http1]] [--cert FILE --key FILE]
  --listen    where clients connect; a free port of 127.0.0.1 without it
  --upstream  the application, each address of the name; one that is built in without it
  --http1     it speaks HTTP/1.1, and not gRPC with grpc.health.v1
  --cert      the certificate's chain, PEM; watched, as its key is; one made on the spot without it";

/// The whole configuration.
fn config(listen: SocketAddr, upstream: Upstream, certificate: CertificateConfig) -> MeshConfig {
    let probe = HealthCheckFilterConfig::new(vec![
        HeaderMatch::exact(HeaderMatchName::Path, "/healthz"),
        HeaderMatch::exact(HeaderMatchName::Header(HeaderName::from_static("x-envoy-livenessprobe")), "healthz"),
    ]);
    let route = RouteConfig::new(RouteMatch::prefix("/"), RouteAction::cluster("upstream"));
    let http = HttpConnectionManagerConfig::new("ingress_https", RouteTableConfig::any_host("local", vec![route]))
        .http_filter(probe)
        .access_log(AccessLogConfig::file("/dev/stdout"))
        .use_remote_address(true);
    let tls = DownstreamTlsConfig::new(vec![certificate]);

    let mut cluster = ClusterConfig::new("upstream", upstream.discovery);
    if !upstream.http1 {
        let (timeout, interval) = (Duration::from_secs(1), Duration::from_secs(5));
        cluster = cluster.http2().health_check(HealthCheckConfig::grpc(timeout, interval, 2, 2));
    }
    MeshConfig::default()
        .listener(ListenerConfig::new(listen, FilterChainConfig::tls(tls, http)))
        .cluster(cluster)
        .admin(AdminConfig::new(SocketAddr::from(([127, 0, 0, 1], 0))))
}

/// Where requests go.
struct Upstream {
    discovery: DiscoveryConfig,
    http1: bool,
}

impl FromStr for Upstream {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(address) = text.parse() {
            return Ok(Self { discovery: DiscoveryConfig::fixed([address]), http1: false });
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && !host.contains([':', '/']) => {
                let mut dns = StrictDnsConfig::new(vec![DnsEndpoint::new(host, port.parse().map_err(drop)?)]);
                // `localhost` is ::1 too, where an application may not listen: its health checks decide.
                dns.lookup_family = DnsLookupFamily::All;
                Ok(Self { discovery: DiscoveryConfig::StrictDns(dns), http1: false })
            }
            _ => Err(()),
        }
    }
}

/// What the command line asks for; what it leaves out is made, and kept here.
struct Edge {
    config: MeshConfig,
    echo: Option<EchoServer>,
    _certificate: Option<SelfSigned>,
}

impl Edge {
    async fn from_arguments(mut arguments: Arguments) -> Result<Self, StartError> {
        let address = "an IP address with a port, such as 127.0.0.1:8443";
        let listen = arguments.option("--listen", address)?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let upstream = arguments.option::<Upstream>("--upstream", "a host with a port, such as localhost:8081")?;
        let http1 = arguments.flag("--http1");
        let files = [arguments.option::<PathBuf>("--cert", "a file")?, arguments.option("--key", "a file")?];
        arguments.end()?;

        let (certificate, made) = match files {
            [Some(chain), Some(key)] => (CertificateConfig::files(chain, key), None),
            [None, None] => {
                let made = SelfSigned::new("localhost")?;
                (CertificateConfig::files(made.chain_path(), made.key_path()), Some(made))
            }
            _ => return Err(UsageError::new("--cert and --key need each other").into()),
        };
        let (upstream, echo) = match upstream {
            Some(upstream) => (Upstream { http1, ..upstream }, None),
            None if http1 => return Err(UsageError::new("--http1 is for --upstream").into()),
            None => {
                let echo = EchoServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), "built-in").await?;
                (Upstream { discovery: DiscoveryConfig::fixed([echo.address()]), http1: false }, Some(echo))
            }
        };
        Ok(Self { config: config(listen, upstream, certificate), echo, _certificate: made })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    log_to_stderr();
    program("edge", USAGE, async |arguments| {
        let edge = Edge::from_arguments(arguments).await?;
        let mut signals = EndSignals::listen()?;
        let server = Server::start(edge.config, Resources::default()).await?;
        let mut terminal = Terminal::stdout();
        show(&mut terminal, &server, edge.echo.as_ref())?;
        Ok(signals.drain(&server, &mut terminal).await?)
    })
    .await
}

fn show(terminal: &mut Terminal<Stdout>, server: &Server, echo: Option<&EchoServer>) -> Result<(), StartError> {
    let address = server.local_addrs().next().ok_or("no listener")?;
    let url = format!("https://{}", reachable(address));
    terminal.line(&format!("edge: TLS on {address}"))?;
    if let Some(echo) = echo {
        terminal.line(&format!("built-in echo application: {}", echo.address()))?;
    }
    terminal.heading("Try (Ctrl-C drains and ends)")?;
    match echo {
        Some(_) => print_calls(terminal, &url)?,
        None => terminal.line(&format!("curl -k -i {url}/"))?,
    }
    print_looks(terminal, &url, server.admin_addr())?;
    terminal.heading("Access log")?;
    Ok(())
}
