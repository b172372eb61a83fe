//! The error of the request path: what happened, whose fault it is, and whether trying again is safe.
//!
//! Layers return an [`Error`]; [`ErrorToResponse`](crate::layer::error_to_response) turns it into the response that
//! Envoy would send. The record of the request rides along, so that "which host failed?" has an answer. What a client
//! library made of the error, a tonic `Status` for example, still has it inside: [`Error::find_in`].
//!
//! ```
//! use meshlib::base::{Attempt, Error, ErrorKind, RequestInfo, Retry};
//!
//! // What a cluster's service returns when its only host refuses the connection:
//! let info = RequestInfo::detached();
//! let attempt = Attempt::new("10.0.0.7:8081".parse().unwrap(), info.started());
//! info.update(|record| record.attempts.push(attempt));
//! let error = Error::new(ErrorKind::ConnectFailure).with_info(info);
//!
//! // And what its caller asks:
//! assert_eq!(error.retry(), Retry::NotProcessed); // a retry is safe
//! assert_eq!((error.status().as_u16(), error.flags().to_string()), (503, "UF".to_owned()));
//! let host = error.info().and_then(RequestInfo::upstream_host);
//! assert_eq!(host, "10.0.0.7:8081".parse().ok());
//! ```

use std::{borrow::Cow, fmt};

use http::StatusCode;

use super::{
    flags::ResponseFlags,
    info::{Record, RequestInfo},
};

/// Any error, as tower has it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whose fault an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client's, or the network's towards it.
    Downstream,
    /// The upstream host's, or the network's towards it.
    Upstream,
    /// This process's: its configuration, its limits.
    Internal,
}

/// Whether the request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// The upstream certainly did not process it: never written, refused, or above a GOAWAY's last stream.
    NotProcessed,
    /// It may have been processed: only a retry policy may decide.
    Unknown,
    /// Sending it again cannot help.
    Never,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No route matched (404, `NR`).
    NoRoute,
    /// The route names a cluster that is not there (503, `NC`).
    NoCluster,
    /// No host may take the request (503, `UH`).
    NoHealthyUpstream,
    /// A circuit breaker is open (503, `UO`).
    Overflow,
    /// The connection was refused or reset while connecting (503, `UF`).
    ConnectFailure,
    /// The connection took longer than the cluster's connect timeout (503, `UF`).
    ConnectTimeout,
    /// The upstream reset the stream before its response headers or during its body (503, `UR`).
    UpstreamReset,
    /// The upstream refused the stream, or its GOAWAY excludes it (503, `UR`).
    UpstreamRefusedStream,
    /// The upstream's connection ended (503, `UC`).
    UpstreamConnectionTermination,
    /// The upstream broke the protocol (502, `UPE`).
    UpstreamProtocol,
    /// The route's timeout ended the request (504, `UT`).
    RouteTimeout,
    /// Nothing moved on the stream for its idle timeout (504, `SI`).
    StreamIdleTimeout,
    /// The same while the request was still on its way (408, `SI`; Envoy's `maybeRequestTimeoutCode`).
    RequestIdleTimeout,
    /// The client went away (`DC`).
    DownstreamTermination,
    /// The client broke the protocol (400, `DPE`).
    DownstreamProtocol,
    /// The request's headers did not arrive in time (408, `DPE`).
    RequestHeaderTimeout,
    /// The request's headers are too large or too many (431, `DPE`).
    HeadersTooLarge,
    /// The request's body is too large (413).
    PayloadTooLarge,
    /// HTTP/1.0 (426).
    UpgradeRequired,
    /// The client asks for another protocol on its connection, and nothing allows that (403).
    UpgradeRefused,
    /// The service itself fails its health check (503, `LH`).
    LocalHealthCheck,
    /// An operation of the system failed: bind, read a file.
    Io,
    /// TLS: a certificate, a key, a handshake.
    Tls,
    /// A configuration value cannot be used.
    Configuration,
    /// Anything else, an application's own error included (500).
    Internal,
}

/// Envoy's sentence for a request that ended before the upstream's response headers.
macro_rules! reset {
    ($reason:literal) => {
        concat!("upstream connect error or disconnect/reset before headers. reset reason: ", $reason)
    };
}

struct KindFacts {
    status: StatusCode,
    side: Side,
    flags: ResponseFlags,
    text: &'static str,
}

impl ErrorKind {
    fn facts(self) -> KindFacts {
        use ResponseFlags as F;
        use Side::{Downstream, Internal, Upstream};
        let facts = |status, side, flags, text| KindFacts { status, side, flags, text };
        match self {
            Self::NoRoute => facts(StatusCode::NOT_FOUND, Downstream, F::NO_ROUTE_FOUND, ""),
            Self::NoCluster => facts(StatusCode::SERVICE_UNAVAILABLE, Internal, F::NO_CLUSTER_FOUND, ""),
            Self::NoHealthyUpstream => unavailable(F::NO_HEALTHY_UPSTREAM, "no healthy upstream"),
            Self::Overflow => unavailable(F::UPSTREAM_OVERFLOW, reset!("overflow")),
            Self::ConnectFailure => unavailable(F::UPSTREAM_CONNECTION_FAILURE, reset!("remote connection failure")),
            Self::ConnectTimeout => unavailable(F::UPSTREAM_CONNECTION_FAILURE, reset!("connection timeout")),
            Self::UpstreamReset => unavailable(F::UPSTREAM_REMOTE_RESET, reset!("remote reset")),
            Self::UpstreamRefusedStream => unavailable(F::UPSTREAM_REMOTE_RESET, reset!("remote refused stream reset")),
            Self::UpstreamConnectionTermination => {
                unavailable(F::UPSTREAM_CONNECTION_TERMINATION, reset!("connection termination"))
            }
            Self::UpstreamProtocol => {
                facts(StatusCode::BAD_GATEWAY, Upstream, F::UPSTREAM_PROTOCOL_ERROR, reset!("protocol error"))
            }
            Self::RouteTimeout => {
                facts(StatusCode::GATEWAY_TIMEOUT, Upstream, F::UPSTREAM_REQUEST_TIMEOUT, "upstream request timeout")
            }
            Self::StreamIdleTimeout => {
                facts(StatusCode::GATEWAY_TIMEOUT, Internal, F::STREAM_IDLE_TIMEOUT, "stream timeout")
            }
            Self::RequestIdleTimeout => {
                facts(StatusCode::REQUEST_TIMEOUT, Downstream, F::STREAM_IDLE_TIMEOUT, "stream timeout")
            }
            Self::DownstreamTermination => {
                facts(StatusCode::INTERNAL_SERVER_ERROR, Downstream, F::DOWNSTREAM_CONNECTION_TERMINATION, "")
            }
            Self::DownstreamProtocol => {
                facts(StatusCode::BAD_REQUEST, Downstream, F::DOWNSTREAM_PROTOCOL_ERROR, "Bad Request")
            }
            Self::RequestHeaderTimeout => {
                facts(StatusCode::REQUEST_TIMEOUT, Downstream, F::DOWNSTREAM_PROTOCOL_ERROR, "")
            }
            Self::HeadersTooLarge => {
                facts(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Downstream, F::DOWNSTREAM_PROTOCOL_ERROR, "")
            }
            Self::PayloadTooLarge => facts(StatusCode::PAYLOAD_TOO_LARGE, Downstream, F::empty(), "Payload Too Large"),
            Self::UpgradeRequired => {
                facts(StatusCode::UPGRADE_REQUIRED, Downstream, F::DOWNSTREAM_PROTOCOL_ERROR, "Upgrade Required")
            }
            Self::UpgradeRefused => facts(StatusCode::FORBIDDEN, Downstream, F::empty(), ""),
            Self::LocalHealthCheck => {
                facts(StatusCode::SERVICE_UNAVAILABLE, Internal, F::FAILED_LOCAL_HEALTH_CHECK, "")
            }
            Self::Io | Self::Tls | Self::Configuration | Self::Internal => {
                facts(StatusCode::INTERNAL_SERVER_ERROR, Internal, F::empty(), "")
            }
        }
    }
}

fn unavailable(flags: ResponseFlags, text: &'static str) -> KindFacts {
    KindFacts { status: StatusCode::SERVICE_UNAVAILABLE, side: Side::Upstream, flags, text }
}

/// The error of the request path. One word wide.
///
/// `Display` writes the whole chain of causes and the hosts that were tried; `source` therefore gives none.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    detail: Option<Cow<'static, str>>,
    source: Option<BoxError>,
    info: Option<RequestInfo>,
}

impl Error {
    /// An error of `kind`. A connection that could not be made and a stream that was refused are
    /// [`Retry::NotProcessed`], a reset and the end of a connection [`Retry::Unknown`], everything else is
    /// [`Retry::Never`].
    pub fn new(kind: ErrorKind) -> Self {
        let retry = match kind {
            ErrorKind::UpstreamRefusedStream | ErrorKind::ConnectFailure | ErrorKind::ConnectTimeout => {
                Retry::NotProcessed
            }
            ErrorKind::UpstreamReset | ErrorKind::UpstreamConnectionTermination => Retry::Unknown,
            _ => Retry::Never,
        };
        Self(Box::new(Inner { kind, retry, detail: None, source: None, info: None }))
    }

    /// Says more than the kind does: which host, which file, what to do.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Overrides whether the request may be sent again.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Attaches the record of the request that failed.
    #[must_use]
    pub fn with_info(mut self, info: RequestInfo) -> Self {
        self.0.info = Some(info);
        self
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whose fault it is.
    pub fn side(&self) -> Side {
        self.0.kind.facts().side
    }

    /// Whether the request may be sent again.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The access log's flags for this error.
    pub fn flags(&self) -> ResponseFlags {
        self.0.kind.facts().flags
    }

    /// The status of the local reply that answers this error.
    pub fn status(&self) -> StatusCode {
        self.0.kind.facts().status
    }

    /// The body of the local reply, in Envoy's words; empty where Envoy's is.
    pub fn reply_text(&self) -> &'static str {
        self.0.kind.facts().text
    }

    /// The record of the request that failed, where there was one: [`RequestInfo::upstream_host`] is the host that
    /// failed last.
    pub fn info(&self) -> Option<&RequestInfo> {
        self.0.info.as_ref()
    }

    /// The first error of this kind in a chain of sources: of what a client library made of it, a tonic `Status` for
    /// example.
    ///
    /// ```
    /// use meshlib::base::{Error, ErrorKind};
    ///
    /// let wrapped = std::io::Error::other(Error::new(ErrorKind::Overflow));
    /// assert_eq!(Error::find_in(&wrapped).map(Error::kind), Some(ErrorKind::Overflow));
    /// ```
    pub fn find_in<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        // An `io::Error` has what it was made of inside, and names that one's source as its own.
        let inside = |error: &'a (dyn std::error::Error + 'static)| {
            let io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            error.downcast_ref::<Self>().or_else(|| io?.downcast_ref::<Self>())
        };
        std::iter::successors(Some(error), |error| error.source()).find_map(inside)
    }

    /// Turns any error into this one: an [`Error`] inside a box comes out as it was.
    pub fn from_boxed(error: impl Into<BoxError>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(error) => *error,
            Err(other) => Self::new(ErrorKind::Internal).with_source(other),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = self.0.kind.facts();
        match &self.0.detail {
            Some(detail) => f.write_str(detail),
            None if !facts.text.is_empty() => f.write_str(facts.text),
            None => write!(f, "{:?}", self.0.kind),
        }?;
        let mut source = self.0.source.as_deref().map(|error| error as &dyn std::error::Error);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        self.info().map_or(Ok(()), |info| info.read(|record| write_attempts(f, record)))
    }
}

/// Which hosts were tried, and what became of it.
fn write_attempts(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    for (index, attempt) in record.attempts.iter().enumerate() {
        let separator = if index == 0 { "; tried " } else { ", " };
        write!(f, "{separator}{}", attempt.host)?;
        match (attempt.error, attempt.status) {
            (Some(error), _) => write!(f, " ({error:?})")?,
            (None, Some(status)) => write!(f, " ({})", status.as_u16())?,
            (None, None) => {}
        }
    }
    Ok(())
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("detail", &self.0.detail)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

// Display prints the whole chain, so the chain must not be printed again by reporters that walk `source`.
impl std::error::Error for Error {}
