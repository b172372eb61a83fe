//! The five pieces in an application's own stack, between tower, hyper and tonic: `cargo run --example five-pieces`

use std::{sync::Arc, time::Duration};

use http::Request;
use hyper_util::{rt::TokioExecutor, rt::TokioIo, server::conn::auto::Builder, service::TowerToHyperService};
use meshlib::cluster::{balance::Balance, config::HealthCheckConfig, health::Prober, host::Host};
use meshlib::discovery::{Endpoint, Fixed};
use meshlib::http::{Body, header_match::HeaderMatch};
use meshlib::layer::{error_to_response::ErrorToResponseLayer, health_check::HealthCheckLayer};
use meshlib::net::tls::{TlsAcceptor, config::CertificateConfig};
use meshlib::route::{Router, config::RouteMatch};
use meshlib_examples::{certificate::SelfSigned, client::EchoClient, echo::EchoServer, mesh::StartError};
use tower::{ServiceBuilder, ServiceExt, service_fn};

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let (any, mut output) = ("127.0.0.1:0".parse()?, meshlib_examples::demo::Terminal::stdout());
    let backends = [EchoServer::start(any, "one").await?, EchoServer::start(any, "two").await?];
    // Balancer: over any discovery, with any service as the connection to a host, here tonic's.
    let fixed = Fixed::new(backends.iter().map(|backend| Endpoint::new(backend.address())).collect());
    let balance =
        Balance::new(fixed, service_fn(connect)).map_request(|r: Request<Body>| r.map(tonic::body::Body::new));
    // Prober: asks any service, here the backends in turn, and reports to whoever wants to know.
    let check = HealthCheckConfig::grpc(Duration::from_secs(1), Duration::from_secs(10), 2, 2);
    let (report, mut reported) = tokio::sync::watch::channel(None);
    tokio::spawn(Prober::new(balance.clone(), &check, "echo")?.run(move |r| drop(report.send_replace(Some(r)))));
    output.line(&format!("probe: {:?}", *reported.wait_for(Option::is_some).await?))?;
    // Health-check filter, in front of a router, in front of the balancer.
    let filter = HealthCheckLayer::matching(&[HeaderMatch::exact(":path".parse()?, "/healthz")])?;
    let stack = ServiceBuilder::new()
        .layer(filter.failing(move || !matches!(*reported.borrow(), Some(Ok(())))))
        .layer(ErrorToResponseLayer::new())
        .service(Router::builder().route(RouteMatch::prefix("/api.Echo/"), balance).build()?);
    // TLS acceptor: over any byte stream, in front of any server, here hyper's.
    let (certificate, listener) = (SelfSigned::new("localhost")?, tokio::net::TcpListener::bind(any).await?);
    let files = CertificateConfig::files(certificate.chain_path(), certificate.key_path());
    let (tls, url) = (TlsAcceptor::builder(files.into()).build()?, format!("https://{}", listener.local_addr()?));
    let service = stack.clone().map_request(|r: Request<hyper::body::Incoming>| r.map(Body::new));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (tls, service) = (tls.clone(), TowerToHyperService::new(service.clone()));
            tokio::spawn(async move {
                let (stream, _) = tls.accept(socket).await?;
                Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
            });
        }
    });
    let client = EchoClient::connect(&url).await?;
    for _ in 0..4 {
        output.line(&format!("answered by {}", client.echo("hello").await?.hostname().unwrap_or("nobody")))?;
    }
    let health = stack.oneshot(Request::get("/healthz").body(Body::empty())?).await?;
    Ok(output.line(&format!("health: {}", health.status()))?)
}

async fn connect(host: Arc<Host>) -> Result<tonic::transport::Channel, StartError> {
    Ok(tonic::transport::Endpoint::new(format!("http://{}", host.address()))?.connect().await?)
}
