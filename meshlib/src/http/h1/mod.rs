//! HTTP/1.1 behind one seam: hyper does the framing, and nothing of hyper leaks out of this module.
//!
//! [`server::serve`] serves one connection from a client.

pub mod server;
