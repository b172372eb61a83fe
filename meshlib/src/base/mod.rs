//! Floor 0: what every other floor stands on.
//!
//! An [`Error`] that knows its kind and whose fault it is, the [`ResponseFlags`] of an access log, the record that
//! travels with a request ([`RequestInfo`]), [`Stats`] under Envoy's names, [`Drain`], and [`Resources`]: the one
//! value through which every part reaches the world outside.

pub mod drain;
pub mod error;
pub mod flags;
pub mod identity;
pub mod info;
mod random;
pub mod resources;
pub mod stats;
pub mod time;

pub use self::{
    drain::{Drain, DrainPhase, DrainTimes},
    error::{BoxError, Error, ErrorKind, Retry, Side},
    flags::ResponseFlags,
    identity::Identity,
    info::{Attempt, ConnectionInfo, FinishObserver, RequestInfo},
    resources::Resources,
    stats::{Counter, Gauge, Histogram, Stats},
};
