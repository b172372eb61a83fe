//! The data plane of a service mesh as a library: [tower] layers and services for discovery, load balancing, health
//! checks, routing, timeouts, access logs and TLS, over HTTP/1.1, HTTP/2 and gRPC.
//!
//! An application embeds them, and needs no sidecar. Assembled, they are an edge or sidecar proxy that runs Envoy's
//! configuration files; the same file drives the proxy and the mesh inside an application. All of it runs under a paused
//! clock too, so that a test sees ten minutes of a mesh in a second.
//!
//! # Embed it
//! A [`Cluster`] finds its hosts, checks them, balances over them and keeps connections to them. What it gives is a
//! [`tower::Service`] for requests with any body: the transport of a client that tonic generated, or of hyper and axum
//! code. An [`HttpServer`] is the other side.
//!
#![cfg_attr(feature = "envoy", doc = "```")]
#![cfg_attr(not(feature = "envoy"), doc = "```ignore")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{convert::Infallible, time::Duration};
//! use http::{Request, Response};
//! use meshlib::{base::{RequestInfo, Resources}, cluster::Cluster, http::{Body, server::HttpServer}};
//! use tower::{ServiceExt, service_fn};
//!
//! let resources = Resources::default(); // the operating system's network, name servers, files and clocks
//! // Any tower service: an axum router, tonic's routes. `.tls(..)`, `.max_connection_age(..)` and `.drain(..)` are there.
//! let app = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) });
//! let server = HttpServer::new(&resources).bind("127.0.0.1:0".parse()?, app)?;
//!
//! let cluster = Cluster::builder("echo")
//!     .addresses([server.local_addr()]) // or `.strict_dns("echo.default.svc", 8081)`, and `.health_check(..)`
//!     .http2()
//!     .connect_timeout(Duration::from_secs(1))
//!     .build(&resources)?;
//! let request = Request::get("http://echo/").body(Body::empty())?;
//! let response = cluster.service().oneshot(request).await?; // the first call waits until the cluster is warm
//!
//! // Every response and every error knows what happened to its request.
//! let info = RequestInfo::of(response.extensions()).ok_or("no record")?;
//! assert_eq!(info.upstream_host(), Some(server.local_addr()));
//! # Ok(())
//! # }
//! ```
//!
//! # Drop the sidecar
//! Its file stays. A [`Mesh`] is the file inside the application:
//!
#![cfg_attr(feature = "envoy", doc = "```no_run")]
#![cfg_attr(not(feature = "envoy"), doc = "```ignore")]
//! # use meshlib::{http::Body, proxy::mesh::Mesh};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # let app = tower::service_fn(|_: http::Request<Body>| async { Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty())) });
//! let mesh = Mesh::from_file("/etc/envoy/envoy.yaml")?; // clusters start; nothing is bound
//! let echo = mesh.cluster("echo-grpc")?.service(); // where the application called its sidecar
//! mesh.serve_with("0.0.0.0:8786", app)?; // where the sidecar called the application
//! # drop(echo);
//! # Ok(())
//! # }
//! ```
//!
//! | method | gives |
//! |---|---|
//! | `Mesh::from_file("envoy.yaml")` | the mesh: its clusters start, nothing is bound |
//! | `mesh.cluster("echo")` | a cluster of the file, for a generated client |
//! | `mesh.service()` | a listener's filters and routes as a tower service, without its socket |
//! | `mesh.serve_with("ingress", app)` | a listener of the file in front of an axum or tonic application |
//! | `mesh.serve()` | the rest of the file: a [`Server`], which is a whole proxy |
//! | `Mesh::builder().local_service("echo", app)` | a cluster that is a service of this process |
//! | `Mesh::builder().register_http_filter(name, layer)` | a tower layer that the file names; likewise load balancers, discoveries, health checks, access logs |
//!
//! # The five pieces
//! Cluster and proxy are put together from parts that work alone, on services that know nothing of meshlib:
//!
//! | piece | type | alone, it |
//! |---|---|---|
//! | health-check filter | [`HealthCheckLayer`](layer::health_check::HealthCheckLayer) | answers probes in front of any axum, tonic or hyper service |
//! | router | [`Router`](route::Router) | hands requests to services by prefix, path, headers |
//! | balancer | [`Balance`](cluster::balance::Balance) | balances over any [`Discover`](discovery::Discover) and any connector, by any [`LoadBalancer`](cluster::balance::LoadBalancer) |
//! | health prober | [`Prober`](cluster::health::Prober) | asks any service for its health, and drives a balancer or only reports |
//! | TLS acceptor | [`TlsAcceptor`] | takes TLS off any byte stream, with certificates that follow their files |
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{convert::Infallible, net::SocketAddr, sync::Arc};
//! use http::{Request, Response};
//! use meshlib::{
//!     cluster::{balance::Balance, host::Host},
//!     discovery::{Endpoint, Fixed},
//!     http::{Body, header_match::HeaderMatch},
//!     layer::{error_to_response::ErrorToResponseLayer, health_check::HealthCheckLayer},
//! };
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! // How a host is reached: a tonic channel, a hyper connection; here a function that says who it is.
//! let connect = service_fn(|host: Arc<Host>| async move {
//!     let name = host.address().to_string();
//!     let answer = move |_: Request<Body>| std::future::ready(Ok::<_, Infallible>(Response::new(name.clone())));
//!     Ok::<_, Infallible>(service_fn(answer))
//! });
//! let endpoints = [1, 2].map(|last| Endpoint::new(SocketAddr::from(([10, 0, 0, last], 80)))).to_vec();
//! let service = ServiceBuilder::new()
//!     .layer(HealthCheckLayer::matching(&[HeaderMatch::exact(":path".parse()?, "/healthz")])?)
//!     .layer(ErrorToResponseLayer::new()) // Envoy's status and text; for gRPC, a status of gRPC
//!     .service(Balance::new(Fixed::new(endpoints), connect));
//!
//! let response = service.oneshot(Request::get("/").body(Body::empty())?).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//!
//! # Layers
//! | layer | does |
//! |---|---|
//! | [`AccessLogLayer`](layer::access_log::AccessLogLayer) | one line for each request, in Envoy's formats |
//! | [`ErrorToResponseLayer`](layer::error_to_response::ErrorToResponseLayer) | makes of an error Envoy's status and text; for gRPC, a status of gRPC |
//! | [`ForwardedLayer`](layer::forwarded::ForwardedLayer) | `x-forwarded-for`, `x-forwarded-proto` and their like |
//! | [`HealthCheckLayer`](layer::health_check::HealthCheckLayer) | answers health checks; they fail while draining |
//! | [`RequestIdLayer`](layer::request_id::RequestIdLayer) | `x-request-id` |
//! | [`ServerHeaderLayer`](layer::server_header::ServerHeaderLayer) | `server` and `date` |
//! | [`StatsLayer`](layer::stats::StatsLayer) | counts requests under Envoy's names |
//! | [`TimeoutLayer`](layer::timeout::TimeoutLayer) | the time until a response is complete |
//! | [`UpstreamHeadersLayer`](layer::upstream_headers::UpstreamHeadersLayer) | `x-envoy-expected-rq-timeout-ms`, `x-envoy-upstream-service-time` |
//!
//! # Configuration and resources
//! Everything is told what to be by plain values ([`ClusterConfig`](cluster::config::ClusterConfig), [`MeshConfig`]),
//! written in code or read from [an Envoy file], and reaches the world outside only through one
//! [`Resources`](base::Resources). So there is no global state, and two meshes fit into one process. Time is
//! [`tokio::time`], so a paused clock drives all of it: [`testkit`] has the rest of a world in memory, and `Sim`, which
//! runs production's files in it.
//!
//! # The house
//! A module imports only from the floors below its own; `ARCHITECTURE.md` has the whole plan.
//!
//! | floor | module | what lives there |
//! |---|---|---|
//! | 0 | [`base`] | errors, the record of a request, stats, drain, resources |
//! | 1 | [`net`] | accepting, connecting, TLS, log files |
//! | 2 | [`http`] | the body, the codecs, the rules of headers and of gRPC, local replies |
//! | 3 | [`discovery`] | full sets of endpoints: fixed, from DNS, your own |
//! | 4 | [`cluster`] | hosts, load balancers, health checks, pools, limits |
//! | 4 | [`layer`] | tower layers |
//! | 5 | [`route`] | virtual hosts and routes |
//! | 6 | [`proxy`] | the assembly |
//! | 7 | [`envoy`] | Envoy's files, v2 and v3 |
//! | 8 | [`testkit`] | a network, a clock and name servers in memory; whole meshes from their files (`Sim`) |
//!
//! # Features
//! | feature | adds | crates | C compiler |
//! |---|---|---|---|
//! | (none) | layers, routes, balancing, probing, the vocabulary of discovery and clusters | 36 | no |
//! | `proxy` | sockets, codecs, `HttpServer`, pools, clusters, the proxy and its admin interface | 47 | no |
//! | `tls` | TLS by rustls with aws-lc-rs; with it `proxy` | 57 | yes |
//! | `dns` | DNS by hickory, and `Resources::default()`; with it `proxy` | 111 | no |
//! | `envoy` (default) | Envoy's files; with it `proxy`, `tls` and `dns` | 127 | yes |
//! | `testkit` | a mesh in memory under a paused clock, for tests; with it `proxy`; `Sim` with `envoy` too | 47 | no |
//!
//! The crates are all that one feature pulls in, its own and those of others, on Linux; a test counts them.
//!
//! meshlib needs a tokio runtime wherever it waits, and brings none.
//!
// Where a feature is missing, what it adds is not there to be linked to.
#![cfg_attr(feature = "proxy", doc = "[`Cluster`]: cluster::Cluster\n[`HttpServer`]: http::server::HttpServer")]
#![cfg_attr(feature = "proxy", doc = "[`Mesh`]: proxy::mesh::Mesh\n[`Server`]: proxy::server::Server")]
#![cfg_attr(feature = "proxy", doc = "[`MeshConfig`]: proxy::config::MeshConfig")]
#![cfg_attr(not(feature = "proxy"), doc = "[`Cluster`]: #features\n[`HttpServer`]: #features\n[`Mesh`]: #features")]
#![cfg_attr(not(feature = "proxy"), doc = "[`Server`]: #features")]
#![cfg_attr(not(feature = "proxy"), doc = "[`MeshConfig`]: #features\n[`net`]: #features\n[`proxy`]: #features")]
#![cfg_attr(feature = "tls", doc = "[`TlsAcceptor`]: net::tls::TlsAcceptor")]
#![cfg_attr(not(feature = "tls"), doc = "[`TlsAcceptor`]: #features")]
#![cfg_attr(feature = "envoy", doc = "[an Envoy file]: envoy::load_file")]
#![cfg_attr(not(feature = "envoy"), doc = "[an Envoy file]: #features\n[`envoy`]: #features")]
#![cfg_attr(not(feature = "testkit"), doc = "[`testkit`]: #features")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::missing_errors_doc)]

pub mod base;
pub mod cluster;
pub mod discovery;
#[cfg(feature = "envoy")]
pub mod envoy;
pub mod http;
pub mod layer;
#[cfg(feature = "proxy")]
pub mod net;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod route;
#[cfg(feature = "testkit")]
pub mod testkit;
