//! Floor 1: byte streams.

pub mod tls;
