//! Floor 2: HTTP, both ways.
//!
//! One [`Body`] for everything that passes through, one way to erase a service ([`ArcService`]), the codecs behind
//! their seams, and the rules of gRPC and of headers that a proxy keeps.

pub mod body;
pub mod body_guard;
mod date;
pub mod grpc;
#[cfg(feature = "proxy")]
pub mod h1;
#[cfg(feature = "proxy")]
pub mod h2;
#[cfg(feature = "proxy")]
pub mod handler;
pub mod header_match;
pub mod headers;
#[cfg(feature = "proxy")]
mod leave;
pub mod local_reply;
pub mod options;
#[cfg(feature = "proxy")]
pub mod serve;
#[cfg(feature = "proxy")]
pub mod server;
pub mod service;

pub(crate) use self::date::Date;
#[cfg(feature = "proxy")]
pub(crate) use self::leave::cut;
#[cfg(feature = "tls")]
pub(crate) use self::leave::too_late;
pub use self::{
    body::Body,
    service::{ArcService, Failed, HttpService, ResponseFuture},
};
