//! Floor 4: tower layers, each usable alone in front of any service.
//!
//! Every module has a `FooLayer`, a service `Foo` and the future `ResponseFuture` it returns. They are generic in the
//! body and in the service they wrap. Where a layer notes something in the request's
//! [`RequestInfo`](crate::base::RequestInfo), it does so if the request has one, and works without.

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
