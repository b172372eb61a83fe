//! An upstream HTTP/2 connection.
//!
//! An exchange costs no task and no channel: the caller's own task sends the request, pumps its body and receives the
//! response. Once response headers are there, an unfinished upload goes to the server stream that the request came on
//! ([`RequestInfo::offer_upload`]), and only without one to a task of its own.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use http_body_util::BodyExt;
//! use meshlib::http::{Body, h2, options::Http2Options, server::HttpServer};
//! # use meshlib::testkit;
//!
//! # let resources = testkit::resources();
//! let app = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) });
//! let server = HttpServer::new(&resources).bind("127.0.0.1:0".parse()?, app)?;
//!
//! let io = resources.network().connect(server.local_addr()).await?;
//! let (client, connection) = h2::client::handshake(io, &Http2Options::upstream()).await?;
//! tokio::spawn(connection);
//! let request = Request::get("http://a.example/").body(Body::empty())?;
//! let response = client.exchange(request).await.map_err(|failed| failed.error)?;
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
//! # Ok(())
//! # }
//! ```

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Reason,
    client::{Connection, ResponseFuture, SendRequest},
};
use http::{HeaderValue, Request, Response, Uri, Version, header, request, uri};
use http_body::Body as _;

use super::{
    error, hpack,
    io::{Adapter, Flush, adapt},
    limits::HeadLimits,
    meter::Role,
    recv::RecvBody,
    replay,
    seen::Seen,
    send::{Copy, SendBody, Sent},
};
use crate::{
    base::{
        Error, ErrorKind, RequestInfo, Retry, info::Upload, resources::BoxIo, task::AbortOnDropHandle, time::Deadline,
    },
    http::{body::Body, headers::X_FORWARDED_PROTO, options::Http2Options, service::Failed},
};

/// The largest response head taken from a host, Envoy's 60 KiB.
const MAX_RESPONSE_HEADERS: u32 = 60 << 10;
/// The most response header fields, Envoy's 100.
const MAX_RESPONSE_FIELDS: usize = 100;
/// How long the last frames of a connection that nobody uses may take.
const CLOSE: Duration = Duration::from_secs(1);
/// Bytes that a stream may hold in memory beyond the host's window.
const SEND_BUFFER: usize = 64 << 10;
/// Streams opened before the host's SETTINGS have said how many it takes (RFC 9113, section 6.5.2, recommends 100).
const INITIAL_STREAMS: usize = 100;

/// A handle of an upstream connection. Cloning shares the connection, which ends once every handle and stream is gone.
#[derive(Clone)]
pub struct H2Client(Arc<Handle>);

struct Handle {
    send: SendRequest<Bytes>,
    max_streams: usize,
    state: Arc<State>,
}

struct State {
    open: AtomicUsize,
    closed: AtomicBool,
    seen: Arc<Seen>,
}

/// The connection itself: a task drives it.
pub struct H2Connection {
    h2: Connection<Adapter<BoxIo>, Bytes>,
    flush: Flush<BoxIo>,
    state: Arc<State>,
    closing: Option<Deadline>,
}

/// Speaks HTTP/2 with prior knowledge on `io`.
///
/// # Errors
///
/// When the connection ends before the preface is written.
pub async fn handshake(io: BoxIo, options: &Http2Options) -> Result<(H2Client, H2Connection), Error> {
    let limits = HeadLimits::new(MAX_RESPONSE_HEADERS, MAX_RESPONSE_FIELDS);
    let (adapter, flush, seen) = adapt(io, Role::Client, limits);
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(options.initial_stream_window_size)
        .initial_connection_window_size(options.initial_connection_window_size)
        .initial_max_send_streams(INITIAL_STREAMS)
        .max_header_list_size(limits.decoded())
        .max_send_buffer_size(SEND_BUFFER)
        .enable_push(false)
        // h2's own limits count over a connection's whole life; the meter's decay.
        .max_local_error_reset_streams(None)
        // Small frames are joined instead.
        .data_frame_budget(usize::MAX);
    let (send, h2) = builder.handshake(adapter).await.map_err(error::upstream)?;
    let state = Arc::new(State { open: AtomicUsize::new(0), closed: AtomicBool::new(false), seen });
    let max_streams = options.max_concurrent_streams as usize;
    let handle = Handle { send, max_streams, state: state.clone() };
    Ok((H2Client(Arc::new(handle)), H2Connection { h2, flush, state, closing: None }))
}

impl Future for H2Connection {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.h2).poll(cx).map_err(error::upstream);
        if ended.is_ready() {
            self.state.closed.store(true, Ordering::Relaxed);
            return ended;
        }
        if self.state.seen.flooded() {
            self.state.closed.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(Error::new(ErrorKind::UpstreamProtocol).with_detail("the host floods frames")));
        }
        self.state.seen.tidy();
        // Everything written in this turn leaves now. An error shows at the next read.
        let _ = self.flush.poll(cx);
        self.poll_closing(cx)
    }
}

/// Without having ended, where its runtime did.
impl Drop for H2Connection {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Relaxed);
    }
}

impl H2Connection {
    /// A connection that nobody can use any more ends itself, but for a host that reads nothing.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if Arc::strong_count(&self.state) > 1 {
            return Poll::Pending;
        }
        let closing = self.closing.get_or_insert_with(|| Deadline::after(CLOSE));
        Pin::new(closing).poll(cx).map(Ok)
    }
}

impl H2Client {
    /// How many more streams may be opened now.
    pub fn available_streams(&self) -> usize {
        if self.is_closed() {
            return 0;
        }
        self.max_streams().saturating_sub(self.active_streams())
    }

    /// How many streams may be open at once: the host's limit, or ours where it is lower.
    pub fn max_streams(&self) -> usize {
        self.0.send.current_max_send_streams().min(self.0.max_streams)
    }

    /// Whether the host has said how many streams it takes. Until then [`available_streams`](Self::available_streams)
    /// is a guess.
    pub fn is_settled(&self) -> bool {
        self.0.state.seen.settings()
    }

    /// How many streams are open.
    pub fn active_streams(&self) -> usize {
        self.0.state.open.load(Ordering::Relaxed)
    }

    /// Whether the connection takes no new streams: it ended, or the host said GOAWAY.
    pub fn is_closed(&self) -> bool {
        self.0.state.closed.load(Ordering::Relaxed) || self.0.state.seen.goaway()
    }

    /// Sends a request. Its head is on its way when this returns; the future pumps the body and waits for the
    /// response's head. Dropping the future, or later the response's body, resets the stream.
    ///
    /// A request comes back in [`Failed`] when the host certainly did not process it and all of it is still there.
    pub fn exchange(&self, request: Request<Body>) -> Exchange {
        let (mut head, body) = request.into_parts();
        head.version = Version::HTTP_2;
        if let Err(error) = complete_target(&mut head.uri, &mut head.headers) {
            return Exchange(Phase::Failed(Some(error.into())));
        }
        let mut wire = Request::new(());
        *wire.method_mut() = head.method.clone();
        *wire.uri_mut() = head.uri.clone();
        *wire.version_mut() = Version::HTTP_2;
        *wire.headers_mut() = head.headers.clone();
        hpack::mark_unique(wire.headers_mut());
        // Asked once: a body from another thread's connection may end between two looks.
        let end = body.is_end_stream();
        match self.open(wire, end) {
            Ok((response, stream)) => {
                let place = Place::take(&self.0.state);
                let upload = (!end).then(|| Pump::new(SendBody::new(stream, body, Reason::CANCEL)));
                Exchange(Phase::Waiting(Waiting { response, upload, head, place }))
            }
            Err(error) => {
                let error = error.with_retry(Retry::NotProcessed);
                Exchange(Phase::Failed(Some(Failed { error, request: Some(Request::from_parts(head, body)) })))
            }
        }
    }

    /// Opens a stream. Where resets that are not written yet still count against the host's limit, the stream waits in
    /// `h2` for its turn: the limit holds on the wire.
    ///
    /// Each stream is opened through a clone of its own: a handle that is used again keeps a reference of a stream
    /// that waits, which then is not reset when it is dropped.
    fn open(&self, request: Request<()>, end: bool) -> Result<(ResponseFuture, h2::SendStream<Bytes>), Error> {
        self.0.send.clone().send_request(request, end).map_err(error::upstream)
    }
}

impl fmt::Debug for H2Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2Client")
            .field("active_streams", &self.active_streams())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for H2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2Connection").finish_non_exhaustive()
    }
}

/// HTTP/2 needs scheme and authority; a request that came by HTTP/1 has its authority in `host`, and the scheme that
/// the client used in `x-forwarded-proto`.
fn complete_target(target: &mut Uri, headers: &mut http::HeaderMap) -> Result<(), Error> {
    let host = headers.remove(header::HOST);
    if target.scheme().is_some() && target.authority().is_some() {
        return Ok(());
    }
    let mut parts = std::mem::take(target).into_parts();
    parts.scheme.get_or_insert_with(|| match headers.get(X_FORWARDED_PROTO) {
        Some(proto) if proto.as_bytes().eq_ignore_ascii_case(b"https") => uri::Scheme::HTTPS,
        _ => uri::Scheme::HTTP,
    });
    if parts.authority.is_none() {
        parts.authority = host.as_ref().map(HeaderValue::as_bytes).and_then(|host| uri::Authority::try_from(host).ok());
    }
    parts.path_and_query.get_or_insert_with(|| uri::PathAndQuery::from_static("/"));
    *target = Uri::from_parts(parts).map_err(|error| {
        Error::new(ErrorKind::DownstreamProtocol).with_detail("the request has no usable authority").with_source(error)
    })?;
    Ok(())
}

/// A stream's place in its connection.
struct Place(Arc<State>);

impl Place {
    fn take(state: &Arc<State>) -> Self {
        state.open.fetch_add(1, Ordering::Relaxed);
        Self(state.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request's body on its way.
struct Pump {
    body: SendBody,
    sent: Copy,
}

impl Pump {
    fn new(body: SendBody) -> Self {
        Self { body, sent: Copy::new() }
    }

    /// Sends what can be sent; fails only when the body itself does.
    fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if self.body.is_done() {
            return Ok(());
        }
        match self.body.poll(cx, &mut self.sent) {
            // What is not wanted needs not be sent: the response says why.
            Poll::Pending | Poll::Ready(Sent::Complete | Sent::Refused) => Ok(()),
            Poll::Ready(Sent::BodyFailed(error)) => Err(error),
        }
    }

    /// The rest of the body as a future of its own.
    fn into_upload(mut self) -> Upload {
        Box::pin(std::future::poll_fn(move |cx| match self.poll(cx) {
            Ok(()) if !self.body.is_done() => Poll::Pending,
            _ => Poll::Ready(()),
        }))
    }

    /// The whole body as it was, if all of it is still there.
    fn into_body(self) -> Option<Body> {
        let sent = self.sent.into_sent()?;
        let (pending, rest) = self.body.into_rest()?;
        Some(replay::body([sent, pending], rest))
    }
}

/// The future of [`H2Client::exchange`].
pub struct Exchange(Phase);

enum Phase {
    Failed(Option<Failed>),
    Waiting(Waiting),
}

struct Waiting {
    response: ResponseFuture,
    upload: Option<Pump>,
    head: request::Parts,
    place: Place,
}

impl Future for Exchange {
    type Output = Result<Response<Body>, Failed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waiting = match &mut self.0 {
            Phase::Waiting(waiting) => waiting,
            Phase::Failed(failed) => {
                let again = || Error::new(ErrorKind::Internal).with_detail("an exchange was polled after its end");
                return Poll::Ready(Err(failed.take().unwrap_or_else(|| again().into())));
            }
        };
        if let Some(Err(error)) = waiting.upload.as_mut().map(|pump| pump.poll(cx)) {
            return Poll::Ready(Err(error.into()));
        }
        let received = ready!(Pin::new(&mut waiting.response).poll(cx));
        let Phase::Waiting(waiting) = std::mem::replace(&mut self.0, Phase::Failed(None)) else {
            return Poll::Pending;
        };
        Poll::Ready(match received {
            Ok(response) => waiting.answered(response).map_err(Failed::from),
            Err(error) => Err(waiting.failed(error::upstream(error))),
        })
    }
}

impl Waiting {
    fn answered(self, response: Response<h2::RecvStream>) -> Result<Response<Body>, Error> {
        let (head, stream) = response.into_parts();
        let seen = &self.place.0.seen;
        if !seen.limits().allow_head(&head.headers, None) {
            return Err(Error::new(error::OVERSIZE).with_detail("the response's headers are too large"));
        }
        if stream.is_end_stream() {
            seen.take_block(|| stream.stream_id().as_u32());
            // An upload that is still unfinished ends here: nobody waits for it.
            return Ok(Response::from_parts(head, Body::empty()));
        }
        let seen = seen.clone();
        let upload = self.upload.filter(|pump| !pump.body.is_done()).map(Pump::into_upload);
        let spawned = upload.and_then(|upload| hand_over(upload, self.head.extensions.get()));
        let in_use = InUse { _place: self.place, _upload: spawned };
        Ok(Response::from_parts(head, Body::h2(RecvBody::response(stream, seen, in_use))))
    }

    fn failed(self, mut error: Error) -> Failed {
        let ended = error.kind() == ErrorKind::UpstreamConnectionTermination;
        if ended && !self.place.0.seen.has_left(self.response.stream_id().as_u32()) {
            error = error.with_retry(Retry::NotProcessed);
        }
        let body = match self.upload {
            _ if error.retry() != Retry::NotProcessed => None,
            Some(pump) => pump.into_body(),
            None => Some(Body::empty()),
        };
        Failed { error, request: body.map(|body| Request::from_parts(self.head, body)) }
    }
}

/// What a response's body holds until it is done: its stream's place in the connection, an upload to stop.
pub(super) struct InUse {
    _place: Place,
    _upload: Option<AbortOnDropHandle<()>>,
}

/// Gives the upload to the request's own server stream, or spawns it.
fn hand_over(upload: Upload, info: Option<&RequestInfo>) -> Option<AbortOnDropHandle<()>> {
    let upload = match info {
        Some(info) => info.offer_upload(upload).err()?,
        None => upload,
    };
    Some(AbortOnDropHandle::new(tokio::spawn(upload)))
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}
