//! What the benchmarks of meshlib share: routes, hosts, an echo, a request's whole way in one process.
//!
//! What cannot be set up cannot be measured, so everything here panics instead of returning errors.
#![expect(clippy::expect_used, missing_debug_implementations, reason = "see above")]

pub mod echo;
#[cfg(feature = "envoy")]
pub mod files;
pub mod heads;
pub mod hosts;
pub mod layers;
pub mod proxy;
pub mod record;
pub mod routes;
mod sink;
pub mod updates;
