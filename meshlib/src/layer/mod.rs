//! Floor 4: tower layers, each usable alone in front of any service.
//!
//! Every module has a `FooLayer`, a service `Foo` and the future `ResponseFuture` it returns. They are generic in the
//! body and in the service they wrap. Where a layer notes something in the request's
//! [`RequestInfo`](crate::base::RequestInfo), it does so if the request has one, and works without.
//!
//! In the order in which a stack has them, from outside:
//!
//! | layer | does | in Envoy |
//! |---|---|---|
//! | [`forwarded`] | `x-forwarded-*`: who the client is, and what it may say | `use_remote_address`, `xff_num_trusted_hops` |
//! | [`request_id`] | gives a request its `x-request-id` | `generate_request_id` |
//! | [`access_log`] | writes a line for each request | `access_log` |
//! | [`stats`] | counts requests, statuses and times | `http.<stat_prefix>.downstream_*` |
//! | [`server_header`] | sets `server` and `date` on responses | `server_name`, `server_header_transformation` |
//! | [`error_to_response`] | makes responses of errors, in gRPC's form for gRPC | local replies |
//! | [`health_check`] | answers health checks, fails them during a drain | `envoy.filters.http.health_check` |
//! | [`upstream_headers`] | tells the upstream its time, and the client how long it took | `envoy.filters.http.router` |
//! | [`timeout`] | ends a request that takes too long | a route's `timeout` |
//!
//! [`finish`] is below the log and the stats: it makes the record where there is none, and shows it to observers once
//! both bodies have ended. It counts the bytes of a request's body, as `timeout` looks for its end, so what they wrap
//! gets the body as their `RequestBody<B>`; `map_request(|request| request.map(Body::new))` makes it a
//! [`Body`](crate::http::Body) again. Behind an `HttpServer` or a proxy a request has its record already, and all
//! layers share it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::{convert::Infallible, time::Duration};
//! use http::{Request, Response};
//! use meshlib::{
//!     base::resources::Random,
//!     http::Body,
//!     layer::{error_to_response::ErrorToResponseLayer, request_id::RequestIdLayer, timeout::TimeoutLayer},
//! };
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let service = ServiceBuilder::new()
//!     .layer(RequestIdLayer::new(&Random::new()))
//!     .layer(ErrorToResponseLayer::new())
//!     .layer(TimeoutLayer::new(Some(Duration::from_secs(1))))
//!     .map_request(|request: Request<_>| request.map(drop))
//!     .service(service_fn(|_: Request<()>| std::future::pending::<Result<Response<Body>, Infallible>>()));
//! let response = service.oneshot(Request::new(Body::empty())).await.unwrap(); // a second later
//! assert_eq!(response.status(), 504);
//! # }
//! ```

pub mod access_log;
mod digits;
pub mod error_to_response;
pub mod finish;
pub mod forwarded;
pub mod health_check;
pub mod request_id;
pub mod server_header;
pub mod stats;
pub mod timeout;
pub mod upstream_headers;
