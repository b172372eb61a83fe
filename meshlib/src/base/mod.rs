//! Floor 0: what every other floor stands on.
//!
//! An [`Error`] that knows its kind and whose fault it is, the [`ResponseFlags`] of an access log, the record that
//! travels with a request ([`RequestInfo`]), [`Stats`] under Envoy's names, [`Drain`], and [`Resources`]: the one
//! value through which every part reaches the world outside.
//!
//! ```
//! use meshlib::base::{Error, ErrorKind, ResponseFlags, Retry, Side};
//!
//! let error = Error::new(ErrorKind::ConnectFailure).with_detail("10.0.0.7:8081: connection refused");
//! assert_eq!((error.side(), error.status().as_u16()), (Side::Upstream, 503));
//! assert_eq!(error.flags(), ResponseFlags::UPSTREAM_CONNECTION_FAILURE); // `UF` in an access log
//! assert_eq!(error.retry(), Retry::NotProcessed); // so it may be tried again, elsewhere
//! ```

pub mod drain;
pub mod error;
pub mod flags;
#[cfg(test)]
pub(crate) mod future_size;
pub mod identity;
pub mod info;
mod random;
pub mod resources;
pub mod stats;
pub(crate) mod task;
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
