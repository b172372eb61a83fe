//! The data plane of a service mesh as a library: tower layers and services for discovery, load balancing, health
//! checks, routing, timeouts, access logs and TLS, over HTTP/1.1, HTTP/2 and gRPC.
//!
//! An application builds them into its own stack and needs no sidecar. Assembled, they are a proxy that runs Envoy's
//! configuration files.
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
//! # The five pieces
//! Each works on services that know nothing of meshlib, put together by [`tower::ServiceBuilder`], with no other part
//! around it:
//!
//! | piece | type | alone, it |
//! |---|---|---|
//! | health-check filter | [`HealthCheckLayer`](layer::health_check::HealthCheckLayer) | answers probes in front of any axum, tonic or hyper service |
//! | router | [`Router`](route::Router) | hands requests to services by prefix, path, headers |
//! | balancer | [`Balance`](cluster::balance::Balance) | balances over any [`Discover`](discovery::Discover) and any connector, by any [`LoadBalancer`](cluster::balance::LoadBalancer) |
//! | health prober | [`Prober`](cluster::health::Prober) | asks any service for its health, and drives a balancer or only reports |
//! | TLS acceptor | [`TlsAcceptor`] | takes TLS off any byte stream, with certificates that follow their files |
//!
//! More layers of the same kind are in [`layer`].
//!
//! # The assemblies
//! [`Cluster`] is discovery, prober and balancer with pools of connections, limits and stats; its [data path] is a
//! tower service that takes the place of a tonic `Channel`. [`Server`] is a whole proxy: listeners, connection
//! managers, clusters, the admin interface. Both are told what to be by plain values
//! ([`ClusterConfig`](cluster::config::ClusterConfig), [`MeshConfig`]), written in code or read from [an Envoy file].
//! They reach the world outside only through one [`Resources`](base::Resources).
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
//! | feature | adds |
//! |---|---|
//! | (none) | layers, routes, balancing, probing, the vocabulary of discovery and clusters |
//! | `proxy` | sockets, codecs, pools, clusters, the proxy and its admin interface |
//! | `tls` | TLS by rustls with aws-lc-rs (needs a C compiler); with it `proxy` |
//! | `dns` | DNS by hickory, and `Resources::default()`; with it `proxy` |
//! | `envoy` (default) | Envoy's files; with it `proxy`, `tls` and `dns` |
//! | `testkit` | a mesh in memory under a paused clock, for tests; with it `proxy`; `Sim` with `envoy` too |
//!
//! meshlib needs a tokio runtime wherever it waits, and brings none. It holds no global state: two meshes fit into one
//! process. Time is [`tokio::time`], so a paused clock drives all of it.
//!
// Where a feature is missing, what it adds is not there to be linked to.
#![cfg_attr(feature = "proxy", doc = "[`Cluster`]: cluster::Cluster\n[data path]: cluster::Cluster::service")]
#![cfg_attr(feature = "proxy", doc = "[`Server`]: proxy::server::Server\n[`MeshConfig`]: proxy::config::MeshConfig")]
#![cfg_attr(not(feature = "proxy"), doc = "[`Cluster`]: #features\n[data path]: #features\n[`Server`]: #features")]
#![cfg_attr(not(feature = "proxy"), doc = "[`MeshConfig`]: #features\n[`net`]: #features\n[`proxy`]: #features")]
#![cfg_attr(feature = "tls", doc = "[`TlsAcceptor`]: net::tls::TlsAcceptor")]
#![cfg_attr(not(feature = "tls"), doc = "[`TlsAcceptor`]: #features")]
#![cfg_attr(feature = "envoy", doc = "[an Envoy file]: envoy::load_file")]
#![cfg_attr(not(feature = "envoy"), doc = "[an Envoy file]: #features\n[`envoy`]: #features")]
#![cfg_attr(not(feature = "testkit"), doc = "[`testkit`]: #features")]
#![cfg_attr(docsrs, feature(doc_cfg))]

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
