//! Floor 4: tower layers, each usable alone in front of any service.
//!
//! Every module has a `FooLayer`, a service `Foo` and the future `ResponseFuture` it returns. They are generic in the
//! body and in the service they wrap. Where a layer notes something in the request's
//! [`RequestInfo`](crate::base::RequestInfo), it does so if the request has one, and works without.
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
pub mod error_to_response;
pub mod finish;
pub mod forwarded;
pub mod health_check;
pub mod request_id;
pub mod server_header;
pub mod stats;
pub mod timeout;
pub mod upstream_headers;
