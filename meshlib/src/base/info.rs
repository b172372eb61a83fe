//! The one record that a request leaves.
//!
//! [`RequestInfo`] is made by the first part that needs it and travels in the extensions of the request, of the
//! response and of the error. Access log, stats, traces and tests are formatters of it. A handler behind a meshlib
//! server finds it in its request, a caller of a cluster in the response, or in [`Error::info`](super::Error::info):
//!
//! ```
//! use http::Response;
//! use meshlib::base::{RequestInfo, ResponseFlags};
//!
//! // As a cluster or a server makes it:
//! let info = RequestInfo::detached();
//! info.update(|record| record.flags |= ResponseFlags::NO_ROUTE_FOUND);
//! let mut response = Response::new(());
//! response.extensions_mut().insert(info);
//!
//! // Who was asked, and what went wrong?
//! let info = RequestInfo::of(response.extensions()).unwrap();
//! assert!(info.attempts().is_empty());
//! assert_eq!(info.flags().to_string(), "NR"); // as an access log prints it
//! ```

mod connection;
mod observer;
mod record;
mod request_end;

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

use super::flags::ResponseFlags;

pub(crate) use self::request_end::RequestEnd;
pub use self::{
    connection::{ConnectionInfo, TlsInfo},
    observer::{FinishObserver, FinishObservers},
    record::{Attempt, Record},
};

/// The record of one request. Cloning shares it.
#[derive(Clone)]
pub struct RequestInfo(Arc<Shared>);

struct Shared {
    connection: Option<Arc<ConnectionInfo>>,
    started: Instant,
    start_time: SystemTime,
    observers: FinishObservers,
    later_observers: Mutex<Vec<FinishObservers>>,
    request_end: RequestEnd,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    notes_request_end: bool,
    finished: OnceLock<Instant>,
    record: Mutex<Record>,
}

impl RequestInfo {
    /// A record of a request that began `started`, `start_time` by the wall clock.
    pub fn new(
        connection: Option<Arc<ConnectionInfo>>,
        started: Instant,
        start_time: SystemTime,
        observers: FinishObservers,
    ) -> Self {
        Self::made(connection, started, start_time, observers, false)
    }

    /// The same, of a request that a codec of ours reads: its body, as it comes, notes its own end here.
    pub fn served(
        connection: Arc<ConnectionInfo>,
        started: Instant,
        start_time: SystemTime,
        observers: FinishObservers,
    ) -> Self {
        Self::made(Some(connection), started, start_time, observers, true)
    }

    fn made(
        connection: Option<Arc<ConnectionInfo>>,
        started: Instant,
        start_time: SystemTime,
        observers: FinishObservers,
        notes_request_end: bool,
    ) -> Self {
        Self(Arc::new(Shared {
            connection,
            started,
            start_time,
            observers,
            later_observers: Mutex::new(Vec::new()),
            request_end: RequestEnd::default(),
            bytes_received: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            notes_request_end,
            finished: OnceLock::new(),
            record: Mutex::new(Record::default()),
        }))
    }

    /// A record without connection or observers, for a request that an application makes. It begins now;
    /// [`start_time`](Self::start_time) is 1970, for nobody asked a wall clock.
    pub fn detached() -> Self {
        Self::new(None, Instant::now(), SystemTime::UNIX_EPOCH, FinishObservers::default())
    }

    /// The record in these extensions.
    pub fn of(extensions: &http::Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The connection the request came on.
    pub fn connection(&self) -> Option<&Arc<ConnectionInfo>> {
        self.0.connection.as_ref()
    }

    /// When the request's headers were complete.
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The same by the wall clock.
    pub fn start_time(&self) -> SystemTime {
        self.0.start_time
    }

    /// Notes that the request has ended, its body included. Only the first call counts.
    pub fn note_request_end(&self) {
        self.0.request_end.note();
    }

    /// When the request had ended, its body included; `None` while it goes on, or when nobody looks.
    pub fn request_end(&self) -> Option<Instant> {
        self.0.request_end.at()
    }

    /// Waits for the request's end.
    pub(crate) fn poll_request_end(&self, cx: &Context<'_>) -> Poll<Instant> {
        self.0.request_end.poll(cx)
    }

    /// Whether the request's body, as it came, notes its own end here: nobody else has to look.
    pub(crate) fn notes_request_end(&self) -> bool {
        self.0.notes_request_end
    }

    /// From the request's headers to the end of both directions, or until now while they go on.
    pub fn duration(&self) -> Duration {
        self.0.finished.get().copied().unwrap_or_else(Instant::now).saturating_duration_since(self.0.started)
    }

    /// Whether one of our servers made this record, of a request that came on a connection: it keeps it.
    #[cfg(feature = "proxy")]
    pub(crate) fn is_served(&self) -> bool {
        self.0.connection.is_some()
    }

    /// Reads the record, which is locked meanwhile: `read` must not ask this record for anything else.
    pub fn read<T>(&self, read: impl FnOnce(&Record) -> T) -> T {
        read(&self.0.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the record, which is locked meanwhile: `change` must not ask this record for anything else.
    pub fn update<T>(&self, change: impl FnOnce(&mut Record) -> T) -> T {
        change(&mut self.0.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The host of the last attempt.
    pub fn upstream_host(&self) -> Option<std::net::SocketAddr> {
        self.read(Record::upstream_host)
    }

    /// Each attempt so far, in order.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.read(|record| record.attempts.clone())
    }

    /// Why the request ended as it did, as far as it is known.
    pub fn flags(&self) -> ResponseFlags {
        self.read(|record| record.flags)
    }

    /// Lets more observers read the record when it closes. What they want of the request is kept by the next
    /// [`Self::capture_request`].
    pub fn observe(&self, observers: &FinishObservers) {
        self.later_observers().push(observers.clone());
    }

    fn later_observers(&self) -> std::sync::MutexGuard<'_, Vec<FinishObservers>> {
        self.0.later_observers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what observers want of the request's headers. Called just before they move on.
    pub fn capture_request<B>(&self, request: &http::Request<B>) {
        self.update(|record| {
            record.method = request.method().clone();
            record.uri = request.uri().clone();
            record.version = request.version();
            record.authority = authority(request);
            record.grpc = is_grpc(request.headers());
            record.captured = true;
            record.request_headers.clear();
            capture(request.headers(), &self.0.observers.request_headers, &mut record.request_headers);
            for later in self.later_observers().iter() {
                capture(request.headers(), &later.request_headers, &mut record.request_headers);
            }
        });
    }

    /// Keeps what observers want of the response's head. Called just before it moves into the codec.
    pub fn capture_response(&self, status: StatusCode, headers: &HeaderMap) {
        self.update(|record| {
            record.status = Some(status);
            record.response_headers.clear();
            capture(headers, &self.0.observers.response_headers, &mut record.response_headers);
            for later in self.later_observers().iter() {
                capture(headers, &later.response_headers, &mut record.response_headers);
            }
        });
    }

    /// Counts body bytes taken from the client.
    pub fn add_bytes_received(&self, bytes: u64) {
        self.0.bytes_received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts body bytes handed to the downstream codec.
    pub fn add_bytes_sent(&self, bytes: u64) {
        self.0.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Body bytes taken from the client so far.
    pub fn bytes_received(&self) -> u64 {
        self.0.bytes_received.load(Ordering::Relaxed)
    }

    /// Body bytes handed to the downstream codec so far.
    pub fn bytes_sent(&self) -> u64 {
        self.0.bytes_sent.load(Ordering::Relaxed)
    }

    /// Closes the record. Only the first call counts; it tells the observers, while the record is locked.
    pub fn finish(&self) {
        if self.0.finished.set(Instant::now()).is_err() {
            return;
        }
        let record = self.0.record.lock().unwrap_or_else(PoisonError::into_inner);
        let later = self.later_observers();
        for observers in std::iter::once(&self.0.observers).chain(later.iter()) {
            for observer in observers.observers.iter() {
                observer.on_finish(self, &record);
            }
        }
    }
}

/// Whether these headers begin a gRPC message: `content-type` is `application/grpc`, alone or followed by `+` or `;`.
/// `application/grpc-web` is not.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE);
    let rest = content_type.and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

fn authority<B>(request: &http::Request<B>) -> Option<HeaderValue> {
    match request.uri().authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => request.headers().get(http::header::HOST).cloned(),
    }
}

/// Keeps the first value of each of these headers. A head has about as many fields as a log names: one walk compares
/// names, where look-ups would hash each of them.
fn capture(from: &HeaderMap, names: &[HeaderName], into: &mut Vec<(HeaderName, HeaderValue)>) {
    if names.is_empty() {
        return;
    }
    for (name, value) in from {
        // The values of one name follow each other.
        let is_first = into.last().is_none_or(|(last, _)| last != name);
        if is_first && names.contains(name) {
            into.push((name.clone(), value.clone()));
        }
    }
}

impl fmt::Debug for RequestInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|record| {
            f.debug_struct("RequestInfo")
                .field("bytes_received", &self.bytes_received())
                .field("bytes_sent", &self.bytes_sent())
                .field("record", record)
                .finish_non_exhaustive()
        })
    }
}
