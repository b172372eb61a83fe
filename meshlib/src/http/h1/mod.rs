//! HTTP/1.1 behind one seam: hyper does the framing, and nothing of hyper leaks out of this module.
//!
//! [`server::serve`] serves one connection from a client; [`client::handshake`] begins one to a host.

pub mod client;
mod incoming;
pub mod server;

pub(crate) use self::incoming::IncomingBody;
