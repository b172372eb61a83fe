//! Floor 1: byte streams and where they lead.

pub mod log_sink;
pub mod tls;
