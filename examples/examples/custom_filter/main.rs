//! HTTP filters of one's own in an Envoy file: a tower layer of this program, and one of tower-http as it is. Their
//! configuration is read as everything else in the file is, so that each mistake has its place.
//!
//! ```sh
//! cargo run --example custom-filter
//! cargo run --example custom-filter -- --config examples/examples/custom_filter/envoy.yaml
//! ```
//!
//! Tenant red passes, tenant green gets a 403, both with the header of CORS; then the file with a field misspelt, and
//! what is said of that. No port is opened.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    process::ExitCode,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{HeaderName, Request, Response, StatusCode};
use meshlib::{
    envoy::{
        mesh::MeshBuilder,
        reader::{FromConfig, Read, Reader},
    },
    http::Body,
    proxy::mesh::Mesh,
};
use meshlib_examples::{
    demo::{Arguments, Terminal, log_to_stderr, program},
    mesh::StartError,
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::cors::CorsLayer;

const USAGE: &str = "\
usage: custom-filter [--config FILE]
  --config  an Envoy file that may name acme.filters.tenant; the one beside this example without it";

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/custom_filter/envoy.yaml");

/// What the file says of the filter.
#[derive(Clone, Debug, PartialEq)]
struct TenantCfg {
    header: HeaderName,
    allowed: Vec<String>,
}

impl FromConfig for TenantCfg {
    const MESSAGE: &'static str = "acme.TenantCfg";

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let header = match reader.get("header") {
            Some(value) => value.read::<String>()?.parse().map_err(|_| value.invalid("the name of a header")),
            None => Ok(HeaderName::from_static("x-tenant")),
        };
        let allowed = reader.list("allowed");
        Ok(Self { header: header?, allowed: allowed? })
    }
}

/// Lets requests pass that are for an allowed tenant. An ordinary tower layer.
#[derive(Clone)]
struct TenantLayer(Arc<TenantCfg>);

impl<S> Layer<S> for TenantLayer {
    type Service = Tenant<S>;

    fn layer(&self, inner: S) -> Tenant<S> {
        Tenant { inner, config: self.0.clone() }
    }
}

#[derive(Clone)]
struct Tenant<S> {
    inner: S,
    config: Arc<TenantCfg>,
}

impl<S> Service<Request<Body>> for Tenant<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let tenant = request.headers().get(&self.config.header);
        if self.config.allowed.iter().any(|allowed| tenant.is_some_and(|tenant| tenant == allowed)) {
            return Either::Left(self.inner.call(request));
        }
        let mut refused = Response::new(Body::from("no such tenant"));
        *refused.status_mut() = StatusCode::FORBIDDEN;
        Either::Right(ready(Ok(refused)))
    }
}

/// All that the file may name, and the application behind it.
fn mesh() -> MeshBuilder {
    let app = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) });
    Mesh::builder()
        .local_service("application", app)
        .register_http_filter("acme.filters.tenant", |config: TenantCfg| TenantLayer(config.into()))
        .register_http_filter("envoy.filters.http.cors", |(): ()| CorsLayer::permissive())
}

#[tokio::main]
async fn main() -> ExitCode {
    log_to_stderr();
    program("custom-filter", USAGE, run).await
}

async fn run(mut arguments: Arguments) -> Result<(), StartError> {
    let file = arguments.option("--config", "a file")?.unwrap_or(FILE.to_owned());
    arguments.end()?;
    let mut terminal = Terminal::stdout();
    let service = mesh().start_file(&file)?.service()?;
    for tenant in ["red", "green"] {
        let request = Request::get("/").header("x-tenant", tenant).body(Body::empty())?;
        let response = service.clone().oneshot(request).await?;
        let origin = response.headers().get("access-control-allow-origin");
        terminal.line(&format!("tenant {tenant}: {}, allowed origin {origin:?}", response.status()))?;
    }
    terminal.heading("With a mistake")?;
    let text = std::fs::read_to_string(file)?.replace("header:", "haeder:");
    let errors = mesh().start_str("envoy.yaml", &text).err();
    Ok(terminal.line(&errors.map_or("none".to_owned(), |errors| errors.to_string()))?)
}
