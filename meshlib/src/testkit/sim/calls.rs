//! The record of every call.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    base::{Error, ErrorKind},
    http::grpc::Code,
    testkit::{Reply, Trace},
};

/// One call of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// Its place among all calls; its `user-agent` is `call-` and this number, so that access logs can be searched.
    pub number: usize,
    /// When it began, since the mesh did.
    pub begin: Duration,
    /// When it ended; `None` while it goes on.
    pub end: Option<Duration>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It goes on.
    Pending,
    /// There was a whole answer.
    Answered {
        /// The status of HTTP.
        status: u16,
        /// The status of gRPC.
        code: Option<Code>,
        /// What gRPC says of it.
        message: String,
        /// The application that answered.
        by: Option<String>,
    },
    /// No connection could be made.
    NotConnected(String),
    /// The connection or the stream broke, before or amid the answer.
    Broken(String),
    /// The client gave up.
    TimedOut,
    /// The mesh was stopped while it went on.
    Abandoned,
}

impl Outcome {
    /// Whether it was answered with success: status 0 of gRPC, or without one 2xx.
    pub fn is_success(&self) -> bool {
        match self {
            Self::Answered { code: Some(code), .. } => *code == Code::OK,
            Self::Answered { status, code: None, .. } => (200..300).contains(status),
            _ => false,
        }
    }

    pub(super) fn of(reply: Result<Reply, Error>) -> Self {
        match reply {
            Ok(reply) => match &reply.broken {
                Some(error) => Self::Broken(error.to_string()),
                None => Self::Answered {
                    status: reply.status,
                    code: reply.grpc_status(),
                    message: reply.grpc_message().to_owned(),
                    by: Some(reply.hostname()).filter(|by| !by.is_empty()).map(str::to_owned),
                },
            },
            Err(error) if error.kind() == ErrorKind::ConnectFailure => Self::NotConnected(text(&error)),
            Err(error) => Self::Broken(text(&error)),
        }
    }
}

/// An error with what caused it.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("goes on"),
            Self::Answered { status, code, message, by } => {
                f.write_str(if self.is_success() { "ok" } else { "fails" })?;
                if let Some(by) = by {
                    write!(f, ", by {by}")?;
                }
                match code {
                    Some(Code::OK) => Ok(()),
                    Some(code) => write!(f, ", {}: {message}", code.name().unwrap_or("a code of its own")),
                    None => write!(f, ", HTTP {status}"),
                }
            }
            Self::NotConnected(reason) => write!(f, "fails, not connected: {reason}"),
            Self::Broken(reason) => write!(f, "fails, broken off: {reason}"),
            Self::TimedOut => f.write_str("fails, the client gave up"),
            Self::Abandoned => f.write_str("is abandoned"),
        }
    }
}

/// Every call. Cloning shares it.
#[derive(Clone)]
pub(super) struct CallLog {
    begin: Instant,
    trace: Trace,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// A call that goes on. Dropped without an end, it was abandoned.
pub(super) struct Ongoing {
    log: CallLog,
    pub(super) number: usize,
}

impl CallLog {
    pub(super) fn new(begin: Instant, trace: Trace) -> Self {
        Self { begin, trace, calls: Arc::default() }
    }

    pub(super) fn all(&self) -> Vec<Call> {
        self.calls().clone()
    }

    pub(super) fn begin(&self) -> Ongoing {
        let mut calls = self.calls();
        let number = calls.len();
        calls.push(Call { number, begin: self.begin.elapsed(), end: None, outcome: Outcome::Pending });
        Ongoing { log: self.clone(), number }
    }

    fn end(&self, number: usize, outcome: Outcome) {
        let mut calls = self.calls();
        let Some(call) = calls.get_mut(number).filter(|call| call.end.is_none()) else { return };
        let took = self.begin.elapsed().saturating_sub(call.begin);
        self.trace.note(|| format!("call {number} {outcome} ({} ms)", took.as_millis()));
        (call.end, call.outcome) = (Some(self.begin.elapsed()), outcome);
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ongoing {
    pub(super) fn end(self, outcome: Outcome) {
        self.log.end(self.number, outcome);
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.log.end(self.number, Outcome::Abandoned);
    }
}
